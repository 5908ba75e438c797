"""Read a manifest from a file or from standard input."""

from __future__ import annotations

import sys
from pathlib import Path

from bundler.content.files.os_errors import to_bundler_error
from bundler.errors import LimitError
from bundler.oci.manifest import MAX_MANIFEST

_STANDARD_INPUT = Path("-")


def read_manifest(path: Path) -> tuple[bytes, str]:
    """Return a manifest and the name of its file; the path ``-`` is standard input.

    Raises:
        MediumError: the file cannot be read.
        LimitError: it is larger than a manifest may be.
    """
    subject = "standard input" if path == _STANDARD_INPUT else str(path)
    try:
        with sys.stdin.buffer if path == _STANDARD_INPUT else path.open("rb") as stream:
            raw = stream.read(MAX_MANIFEST + 1)
    except OSError as error:
        raise to_bundler_error(error, path, "cannot read") from error
    if len(raw) > MAX_MANIFEST:
        raise LimitError(
            f"{subject}: more than the {MAX_MANIFEST:,} bytes that a manifest may have"
        )
    return raw, subject
