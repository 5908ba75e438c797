"""Where each image of a sync goes: its place and its name at the destination.

What registries and files say is only ever a name below the destination, never a way out of it.
"""

from __future__ import annotations

import os
import posixpath
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bundler import transports
from bundler.copy.target_names import NameMapping
from bundler.errors import (
    ConflictError,
    DirectoryExistsError,
    InvalidReferenceError,
    UsageError,
)
from bundler.images.sync.sources import ANY
from bundler.oci.reference import ImageReference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.images.sync.sources import SyncImage
    from bundler.ports import Reference

DestinationKind = Literal["containers-storage", "dir", "docker", "oci", "oci-archive"]

_MAX_COMPONENT = 255  # bytes, what file systems take


@dataclass(frozen=True, slots=True)
class Naming:
    """How names at the destination are made."""

    kind: DestinationKind
    destination: str
    scoped: bool = False
    """Keep the whole name, its registry included; else only what follows the last slash."""
    suffix: str = ""
    """What every name gets at its end."""
    names: NameMapping = field(default_factory=NameMapping)
    """Whole names that become others; they go before ``scoped``."""


@dataclass(frozen=True, slots=True)
class Placed:
    """One image and its place; equal ``place`` means one destination for both."""

    sought: SyncImage
    place: Reference
    name: str | None
    shown: str
    """The whole reference, as people read it."""
    image: ImageReference | None = None
    """Where names at the destination are those of registries."""
    remote: bool = False
    """Whether the destination can be asked what it has without making it first."""
    directory: str | None = None
    """The path of the image's own directory; None if it gets none."""


def place(sought: SyncImage, naming: Naming) -> Placed:
    """Give an image its place.

    Raises:
        InvalidReferenceError: its name cannot be one at the destination.
        UsageError: the destination names one image, where many are to go.
    """
    name = naming.names.moved(sought.path)
    if name is None:
        name = sought.path if naming.scoped else posixpath.basename(sought.path)
    name += naming.suffix
    match naming.kind:
        case "dir":
            return _in_directory(sought, naming.destination, name)
        case "docker":
            return _in_repository(sought, naming.destination, name)
        case "containers-storage":
            return _in_storage(sought, naming.destination, name)
        case kind:
            return _in_layout(sought, f"{kind}:{naming.destination}", name)


def distinct(placed: Sequence[Placed], *, last_wins: bool = False) -> list[Placed]:
    """Each place once; an image that is asked for twice is one image.

    With ``last_wins``, the last of several images with one name takes it, as it would if one were
    copied after the other.

    Raises:
        ConflictError: two images want one name.
    """
    wanted: dict[tuple[str, str | None], Placed] = {}
    for item in placed:
        key = (str(item.place), item.name)
        first = wanted.setdefault(key, item)
        if first.sought.label != item.sought.label:
            if not last_wins:
                raise ConflictError(
                    f"{first.sought.label} and {item.sought.label} would both become {item.shown}",
                    hint="keep their whole names with --scoped, or rename one with --names FROM=TO",
                )
            wanted[key] = item
    return list(wanted.values())


def written_once(naming: Naming) -> bool:
    """Whether all images have to go to the destination in one run of the engine."""
    return naming.kind == "oci-archive"


def refuse_existing(placed: Sequence[Placed]) -> None:
    """Check that no directory of the destination exists.

    Raises:
        DirectoryExistsError: one does.
    """
    for item in placed:
        if item.directory is not None and os.path.lexists(item.directory):
            raise DirectoryExistsError(item.directory)


def _in_directory(sought: SyncImage, destination: str, name: str) -> Placed:
    for part in name.split("/"):
        if part in ("", ".", "..") or "\0" in part or len(os.fsencode(part)) > _MAX_COMPONENT:
            raise _unfit(sought, name, "a path below a directory")
    path = posixpath.join(destination, name)
    reference = transports.parse(f"dir:{path}")
    return Placed(sought, reference, None, str(reference), directory=path)


def _in_repository(sought: SyncImage, destination: str, name: str) -> Placed:
    image = _image(sought, posixpath.join(destination, name))
    whole = transports.parse(f"docker://{image}")
    place = transports.parse(f"docker://{image.repository}")
    return Placed(sought, place, whole.name, str(whole), image, remote=True)


def _in_storage(sought: SyncImage, destination: str, name: str) -> Placed:
    """``[store]prefix``: what stands in brackets says which storage."""
    store, bracket, prefix = destination.rpartition("]")
    image = _image(sought, posixpath.join(prefix, name))
    reference = transports.parse(f"containers-storage:{store}{bracket}{image}")
    place = transports.parse(f"containers-storage:{store}{bracket}{ANY}")
    return Placed(sought, place, reference.name, str(reference), image)


def _in_layout(sought: SyncImage, destination: str, name: str) -> Placed:
    reference = transports.parse(destination)
    if reference.name is not None:
        raise UsageError(
            f"{destination}: names one image, and many are to go there",
            hint="name only the directory or the file",
        )
    if any(char.isspace() or not char.isprintable() for char in name):
        raise _unfit(sought, name, "a name in a layout")
    return Placed(sought, reference, name, f"{reference}:{name}")


def _image(sought: SyncImage, text: str) -> ImageReference:
    try:
        return ImageReference.parse(text).with_default_tag()
    except InvalidReferenceError as error:
        raise InvalidReferenceError(f"{sought.label}: {error.message}", hint=error.hint) from None


def _unfit(sought: SyncImage, name: str, what: str) -> InvalidReferenceError:
    return InvalidReferenceError(
        f"{sought.label}: {name[:200]!r} cannot be {what}", hint="rename it with --names FROM=TO"
    )
