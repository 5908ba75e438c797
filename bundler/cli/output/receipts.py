"""The file that ``--receipt`` names."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from bundler.errors import MediumError

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.records.receipts import SignedReceipt


def check_path(path: Path) -> None:
    """Check that a receipt can be written to ``path``, or to a new file in it.

    Raises:
        MediumError: it cannot.
    """
    folder = path.parent
    problem = None if os.access(folder, os.W_OK | os.X_OK) else errno.EACCES
    if not folder.exists():
        problem = errno.ENOENT
    if problem is not None:
        raise MediumError(
            f"{folder}: cannot write the receipt: {os.strerror(problem)}",
            hint="choose a writable file with --receipt FILE",
        )


def write_copy(receipt: SignedReceipt, recorded: Path, path: Path) -> Path:
    """Write the receipt to ``path``, or to a new file if it is a directory; return its path.

    ``recorded`` is its file in the records directory.
    """
    if path.is_dir():
        return receipt.write_new(path, recorded.stem)
    receipt.write(path)
    return path
