"""Input files of limited size."""

from __future__ import annotations

import sys
from pathlib import Path

from bundler.errors import LimitError

_STANDARD_INPUT = Path("-")


def read_input(path: Path, noun: str, limit: int) -> tuple[bytes, str]:
    """Read a file of at most ``limit`` bytes, or standard input if the path is ``-``.

    Returns:
        The content, and the name of the input for messages.

    Raises:
        LimitError: the file, which ``noun`` describes, is larger.
        MissingFileError, MediumError: it cannot be read.
    """
    subject = "standard input" if path == _STANDARD_INPUT else str(path)
    try:
        with sys.stdin.buffer if path == _STANDARD_INPUT else path.open("rb") as stream:
            raw = stream.read(limit + 1)
    except OSError as error:
        from bundler.content.files.os_errors import to_bundler_error  # noqa: PLC0415 - for errors

        raise to_bundler_error(error, path, "cannot read") from error
    if len(raw) > limit:
        raise LimitError(f"{subject}: {noun} too large (expected at most {limit:,} bytes)")
    return raw, subject
