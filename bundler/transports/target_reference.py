"""References of images at a target location: a registry, a directory, a layout.

Image names are untrusted: a name that would escape the location, such as ``..``, is refused.
"""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler import transports
from bundler.errors import InvalidReferenceError, UnsupportedError, UsageError
from bundler.oci.reference import ImageReference

if TYPE_CHECKING:
    from bundler.ports import Reference

_MAX_COMPONENT = 255  # bytes; the limit of most file systems


@dataclass(frozen=True, slots=True)
class TargetReference:
    """The reference of an image at a target."""

    reference: Reference
    scope: str
    """A value that is equal for images with the same destination, such as one repository."""
    directory: str | None = None
    """The directory that contains only this image; None if the location has none."""
    commits_once: bool = False
    """Whether all images of the scope must be committed together."""


def create_target(transport: str, location: str, name: str) -> TargetReference:
    """Return the reference of the image ``name`` below ``location``.

    Args:
        transport: the transport of the location.
        location: ``HOST[:PORT][/PREFIX]``, a path, or ``[STORAGE]PREFIX``.
        name: ``repository:tag`` or ``repository@digest``; for ``dir``, any relative path.

    Raises:
        InvalidReferenceError: ``name`` is not valid for the transport.
        UsageError: ``location`` is the reference of a single image.
        UnsupportedError: a location of this transport can contain only one image.
    """
    match transport:
        case "docker" | "atomic":
            image = ImageReference.parse(posixpath.join(location, name)).with_default_tag()
            prefix = "docker://" if transport == "docker" else "atomic:"
            reference = transports.parse(f"{prefix}{image}")
            return TargetReference(reference, f"{prefix}{image.repository}")
        case "containers-storage":
            storage, bracket, prefix = location.rpartition("]")
            image = ImageReference.parse(posixpath.join(prefix, name)).with_default_tag()
            reference = transports.parse(f"{transport}:{storage}{bracket}{image}")
            return TargetReference(reference, f"{transport}:{storage}{bracket}")
        case "dir":
            for part in name.split("/"):
                too_long = len(os.fsencode(part)) > _MAX_COMPONENT
                if part in ("", ".", "..") or "\0" in part or too_long:
                    raise _invalid(name, "a path below a directory")
            path = posixpath.join(location, name)
            reference = transports.parse(f"{transport}:{path}")
            return TargetReference(reference, str(reference), directory=path)
        case "oci" | "oci-archive":
            scope = transports.parse(f"{transport}:{location}")
            if scope.name is not None:
                raise UsageError(
                    f"{scope}: reference of a single image (expected a location for several)",
                    hint="specify only the directory or the file",
                )
            if any(char.isspace() or not char.isprintable() for char in name):
                raise _invalid(name, "a name in a layout")
            reference = transports.parse(f"{scope}:{name}")
            return TargetReference(reference, str(scope), commits_once=transport == "oci-archive")
        case _:
            raise UnsupportedError(f"{transport}:{location}: can contain only one image")


def _invalid(name: str, role: str) -> InvalidReferenceError:
    return InvalidReferenceError(
        f"{name[:200]!r} cannot be {role}", hint="rename it with --names FROM=TO"
    )
