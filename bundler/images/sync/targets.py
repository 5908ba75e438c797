"""The target of each image of a sync: its reference at the destination."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bundler.copy.target_names import NameMapping
from bundler.errors import ConflictError, DirectoryExistsError, InvalidReferenceError
from bundler.ports import RegistryReference, RepositoryReference
from bundler.transports.target_reference import TargetReference, create_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bundler.images.sync.sources import SyncImage
    from bundler.oci.reference import ImageReference

DestinationTransport = Literal["containers-storage", "dir", "docker", "oci", "oci-archive"]


@dataclass(frozen=True, slots=True)
class SyncDestination:
    """The location of all targets, and the mapping of their names."""

    transport: DestinationTransport
    location: str
    names: NameMapping = field(default_factory=lambda: NameMapping(default="basename"))


@dataclass(frozen=True, slots=True)
class SyncTarget:
    """One image and its target."""

    image: SyncImage
    target: TargetReference

    @property
    def name(self) -> str | None:
        """The name of the image, as its destination knows it."""
        return self.target.reference.name

    @property
    def target_name(self) -> ImageReference | None:
        """The name of the image in a repository; None if it has none."""
        reference = self.target.reference
        return reference.image if isinstance(reference, RepositoryReference) else None

    @property
    def is_remote(self) -> bool:
        """Whether the target is in a registry, which a dry run can ask without changing it."""
        return isinstance(self.target.reference, RegistryReference)

    def __str__(self) -> str:
        return str(self.target.reference)


def map_targets(images: Iterable[SyncImage], destination: SyncDestination) -> list[SyncTarget]:
    """Give each image its target.

    Raises:
        InvalidReferenceError: a target name is not valid at the destination.
        UsageError: the location of the destination names one image.
    """
    targets = []
    for image in images:
        name = destination.names.map_name(image.target_name)
        try:
            target = create_target(destination.transport, destination.location, name)
        except InvalidReferenceError as error:
            raise InvalidReferenceError(
                f"{image.label}: {error.message}", hint=error.hint
            ) from None
        targets.append(SyncTarget(image, target))
    return targets


def merge_duplicates(targets: Sequence[SyncTarget], *, last_wins: bool = False) -> list[SyncTarget]:
    """Return each target once; an image that was listed twice is one image.

    With ``last_wins``, the last of several images with one target is kept, as if they were copied
    one after the other.

    Raises:
        ConflictError: two images have the same target.
    """
    merged: dict[tuple[str, str | None], SyncTarget] = {}
    for item in targets:
        key = (item.target.scope, item.name)
        first = merged.setdefault(key, item)
        if first.image.label != item.image.label:
            if not last_wins:
                raise ConflictError(
                    f"{first.image.label} and {item.image.label}: both have the target {item}",
                    hint="keep their whole names with --scoped, or rename one with --names FROM=TO",
                )
            merged[key] = item
    return list(merged.values())


def check_not_existing(targets: Iterable[SyncTarget]) -> None:
    """Check that no directory of an image exists at the destination.

    Raises:
        DirectoryExistsError: one exists.
    """
    for item in targets:
        directory = item.target.directory
        if directory is not None and os.path.lexists(directory):
            raise DirectoryExistsError(directory)
