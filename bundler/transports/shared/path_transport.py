"""Transports whose references begin with the path of a file or directory."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bundler.errors import IntegrityError, InvalidReferenceError, NotFoundError, UnsupportedError
from bundler.ports import Reference
from bundler.transports.shared.bundle_guard import refuse_bundle

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.ports import Destination, OpenOptions, Source

_INDEX = re.compile(r"@[0-9]{1,8}")


class PathReference(Reference, Protocol):
    """``TRANSPORT:PATH`` or ``TRANSPORT:PATH:NAME``; ``@N`` names the image at position N."""

    @property
    def path(self) -> str:
        """The path of a file or directory."""


@dataclass(frozen=True, slots=True)
class UnnamedReference:
    """``TRANSPORT:PATH``, for transports whose images have no names."""

    transport: str
    path: str
    """The text after the colon."""
    name: None = None

    def __str__(self) -> str:
        return f"{self.transport}:{self.path}"


@dataclass(frozen=True, slots=True)
class PathTransport:
    """A transport whose sources and destinations are opened by path."""

    parse: Callable[[str], PathReference]
    open_source: Callable[[Path, OpenOptions], Source]
    open_destination: Callable[[Path, OpenOptions], Destination]
    has_shared_sources: bool = False
    """Whether one source reads all images of a path, for several threads."""

    def find_shared_location(self, reference: PathReference, /) -> str | None:
        """Return the path if one source reads all of its images."""
        return reference.path if self.has_shared_sources else None

    def source(self, reference: PathReference, options: OpenOptions, /) -> Source:
        """Open the path for reading; the hint of an error suggests a transport that can read it."""
        path = Path(reference.path)
        try:
            return self.open_source(path, options)
        except (IntegrityError, NotFoundError, UnsupportedError) as error:
            error.hint = suggest_reference(path, reference.transport) or error.hint
            if error.hint is None and isinstance(error, IntegrityError) and path.is_file():
                error.hint = "download or create the file again; it is damaged or incomplete"
            raise

    def destination(self, reference: PathReference, options: OpenOptions, /) -> Destination:
        """Open the path for writing, with a lock.

        Raises:
            UnsupportedError: the name is ``@N``, which is allowed for sources only.
            UsageError: the path is in a bundle.
        """
        if reference.name is not None and reference.name.startswith("@"):
            raise UnsupportedError(
                f"{reference}: an index cannot be written",
                hint=f"specify a name: {reference.transport}:{reference.path}:NAME",
            )
        path = Path(reference.path)
        refuse_bundle(path)
        return self.open_destination(path, options)


def check_index(reference: str, name: str) -> None:
    """Check that a name that begins with ``@`` is ``@N``, where N has at most eight digits.

    ``reference`` is the subject of the message.

    Raises:
        InvalidReferenceError: ``name`` does not have this form.
    """
    if not _INDEX.fullmatch(name):
        raise InvalidReferenceError(
            f"{reference[:200]}: invalid index {name[:80]!r} (expected @N)",
            hint="the first image is @0",
        )


def suggest_reference(path: Path, transport: str) -> str | None:
    """Return a hint with a reference that can read ``path``; None if ``transport`` can.

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
