"""Suggest another transport if the given one cannot read a path."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bundler.errors import IntegrityError, NotFoundError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def add_transport_hint(path: Path, transport: str) -> Iterator[None]:
    """Add a hint to an error that ``transport`` raises while it opens ``path``."""
    try:
        yield
    except (IntegrityError, NotFoundError, UnsupportedError) as error:
        error.hint = suggest_reference(path, transport) or error.hint
        if error.hint is None and isinstance(error, IntegrityError) and path.is_file():
            error.hint = "the file is damaged or incomplete: download or create it again"
        raise


def suggest_reference(path: Path, transport: str) -> str | None:
    """Return a hint with a reference that can read ``path``; None: no suggestion.

    The suggestion depends on file names only; no file is read.
    """
    if path.is_dir():
        if transport != "oci" and (path / "index.json").is_file():
            return f"it is an OCI image layout: oci:{path}"
        if transport != "dir" and (path / "manifest.json").is_file():
            return f"it is one image in a directory: dir:{path}"
    elif path.is_file() and transport in ("dir", "oci"):
        return f"it is a file: try oci-archive:{path} or docker-archive:{path}"
    return None
