"""The file that ``--receipt`` names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.errors import BundlerError, MediumError

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.records.receipts import SignedReceipt


def check_path(path: Path) -> None:
    """Check that a receipt can be written to ``path``, or to a new file in it, by a trial.

    Raises:
        MediumError: it cannot.
    """
    from tempfile import TemporaryFile  # noqa: PLC0415 - rare

    folder = path if path.is_dir() else path.parent
    try:
        with TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise MediumError(
            f"{folder}: cannot write the receipt: {error.strerror}; nothing was imported",
            path=str(folder),
            os_error=error,
            hint="choose a writable file with --receipt FILE; without it, the receipt is only in"
            " the records of the site",
        ) from None


def write_copy(receipt: SignedReceipt, recorded: Path, path: Path) -> Path:
    """Write the receipt to ``path``, or to a new file if it is a directory; return its path.

    ``recorded`` is its file in the records directory.

    Raises:
        NotFoundError, MediumError: it cannot be written; a note names ``recorded``.
    """
    try:
        if path.is_dir():
            return receipt.write_new(path, recorded.stem)
        receipt.write(path)
    except BundlerError as error:
        error.add_note(f"the import is recorded, and its receipt is {recorded}")
        raise
    return path
