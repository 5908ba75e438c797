"""References to local files and directories, and the names of the images in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Protocol

from bundler.errors import InvalidReferenceError, UnsupportedError
from bundler.oci.reference import DEFAULT_TAG, is_tag

_INDEX = re.compile(r"@[0-9]{1,8}")
_NOT_IN_REPOSITORY = re.compile(r"[^a-z0-9]+")


class PathReference(Protocol):
    """A ``Reference`` with a path: ``TRANSPORT:PATH`` or ``TRANSPORT:PATH:NAME``."""

    @property
    def transport(self) -> str:
        """The name of the transport."""
        ...

    @property
    def path(self) -> str:
        """The path of a file or directory."""
        ...

    @property
    def name(self) -> str | None:
        """The name of the image, or ``@N`` for the image at position N, from 0; None if unset."""
        ...


@dataclass(frozen=True, slots=True)
class UnnamedReference:
    """``TRANSPORT:PATH``, for transports whose images have no names."""

    transport: str
    path: str
    """The text after the colon."""

    @property
    def name(self) -> None:
        """Always None."""
        return

    def __str__(self) -> str:
        return f"{self.transport}:{self.path}"


def check_index(reference: str, name: str) -> None:
    """Check that a name that begins with ``@`` is ``@N``, where N has at most eight digits.

    ``reference`` is the subject of the message.

    Raises:
        InvalidReferenceError: ``name`` is not of this form.
    """
    if not _INDEX.fullmatch(name):
        raise InvalidReferenceError(
            f"{reference[:200]}: {name[:80]!r} is not an index", hint="the first image is @0"
        )


def refuse_index(reference: PathReference) -> None:
    """Refuse a destination whose name is ``@N``: a position can only be read.

    Raises:
        UnsupportedError: the name is ``@N``.
    """
    if reference.name is not None and reference.name.startswith("@"):
        location = f"{reference.transport}:{reference.path}"
        raise UnsupportedError(
            f"{location}:{reference.name}: an index cannot be written",
            hint=f"give the image a name: {location}:NAME",
        )


def derive_name(path: str, name: str) -> tuple[str, str] | None:
    """Return a repository and a tag for an image whose name is a tag, ``@N`` or empty.

    The repository is derived from the last component of ``path``, without its suffix.
    None: ``name`` already contains a repository.
    """
    stem = PurePath(path).stem.lower()
    repository = _NOT_IN_REPOSITORY.sub("-", stem).strip("-") or "image"
    if not name or name.startswith("@"):
        return repository, DEFAULT_TAG
    return (repository, name) if is_tag(name) else None
