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
    """A ``Reference`` that begins with a path: ``TRANSPORT:PATH``, ``TRANSPORT:PATH:NAME``."""

    @property
    def transport(self) -> str:
        """Name of the transport."""
        ...

    @property
    def path(self) -> str:
        """Path of a file or directory."""
        ...

    @property
    def name(self) -> str | None:
        """Name of the image, or ``@N`` for the image at index N; None if unset."""
        ...


@dataclass(frozen=True, slots=True)
class UnnamedReference:
    """``TRANSPORT:PATH``, where the path contains one image without a name."""

    transport: str
    path: str
    """Everything after the colon."""

    @property
    def name(self) -> None:
        """None: the only image has no name."""
        return

    def __str__(self) -> str:
        return f"{self.transport}:{self.path}"


def check_index(reference: str, name: str) -> None:
    """Check that a name which begins with ``@`` is ``@N``, with N of at most eight digits.

    Raises:
        InvalidReferenceError: ``name`` is not ``@N``; ``reference`` is the subject of the message.
    """
    if not _INDEX.fullmatch(name):
        raise InvalidReferenceError(
            f"{reference[:200]}: {name[:80]!r} is not an index", hint="the first image is @0"
        )


def refuse_index(reference: PathReference) -> None:
    """Refuse ``@N`` in the reference of a destination.

    Raises:
        UnsupportedError: the name is ``@N``.
    """
    if reference.name is not None and reference.name.startswith("@"):
        front = f"{reference.transport}:{reference.path}"
        raise UnsupportedError(
            f"{front}:{reference.name}: an index cannot be written",
            hint=f"give the image a name: {front}:NAME",
        )


def derived_name(path: str, name: str) -> tuple[str, str] | None:
    """Return the repository and the tag of an image whose name is a tag, ``@N`` or empty.

    The repository is derived from the last component of ``path``, without its suffix.
    None if ``name`` is a reference with a repository of its own.
    """
    stem = PurePath(path).stem.lower()
    repository = _NOT_IN_REPOSITORY.sub("-", stem).strip("-") or "image"
    if not name or name.startswith("@"):
        return repository, DEFAULT_TAG
    return (repository, name) if is_tag(name) else None
