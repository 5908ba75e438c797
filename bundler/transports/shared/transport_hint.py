"""What a user may have meant who names a place by the wrong transport."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from bundler.errors import IntegrityError, NotFoundError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bundler.errors import BundlerError


@contextmanager
def add_transport_hint(path: Path, transport: str) -> Iterator[None]:
    """Where nothing of ``transport`` can be read at ``path``, hint at the next step."""
    try:
        yield
    except (IntegrityError, NotFoundError, UnsupportedError) as error:
        error.hint = suggest_reference(path, transport) or error.hint or _again(error, path)
        raise


def suggest_reference(path: Path, transport: str) -> str | None:
    """What lies at ``path``, by the transport that reads it, as far as a glance tells."""
    if path.is_dir():
        if transport != "oci" and (path / "index.json").is_file():
            return f"it is an OCI image layout: oci:{path}"
        if transport != "dir" and (path / "manifest.json").is_file():
            return f"it is one image in a directory: dir:{path}"
    elif path.is_file() and transport in ("dir", "oci"):
        return f"it is a file, as oci-archive:{path} or docker-archive:{path} is"
    return None


def _again(error: BundlerError, path: Path) -> str | None:
    if isinstance(error, IntegrityError) and path.is_file():
        return "the file is damaged, or only part of one: fetch or make it again"
    return None
