"""The targets of a sync: the reference of each image at the destination."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Literal

from bundler.copy.target_names import NameMapping, find_unused_rules
from bundler.errors import ConflictError, DirectoryExistsError, InvalidReferenceError
from bundler.events import Emit, WarningIssued, discard
from bundler.ports import RegistryReference, RepositoryReference
from bundler.transports.shared.bundle_guard import refuse_bundle
from bundler.transports.target_reference import TargetReference, create_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bundler.oci.reference import ImageReference
    from bundler.transports.source_images import SourceImage

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

    image: SourceImage
    target: TargetReference

    @property
    def name(self) -> str | None:
        """The name of the image at its destination, for ``Publication``."""
        return self.target.reference.name

    @property
    def target_name(self) -> ImageReference | None:
        """The full name of the image at the destination; None if it has no repository name."""
        reference = self.target.reference
        return reference.image if isinstance(reference, RepositoryReference) else None

    @property
    def is_remote(self) -> bool:
        """Whether the target is in a registry, which a dry run can read without changing it."""
        return isinstance(self.target.reference, RegistryReference)

    def __str__(self) -> str:
        return str(self.target.reference)


def check_location(destination: SyncDestination) -> None:
    """Check that a sync may write to its location.

    Raises:
        UsageError: the location is in a bundle.
    """
    if destination.transport in ("dir", "oci", "oci-archive"):
        refuse_bundle(Path(destination.location))


def map_targets(images: Iterable[SourceImage], destination: SyncDestination) -> list[SyncTarget]:
    """Return the target of each image.

    Raises:
        InvalidReferenceError: a target name is not valid at the destination.
        UsageError: the location of the destination is the reference of a single image.
    """
    targets = []
    for image in images:
        name = destination.names.map_name(image.target_name)
        try:
            target = create_target(destination.transport, destination.location, name)
        except InvalidReferenceError as error:
            raise InvalidReferenceError(
                f"{image.display_name}: {error.message}", hint=error.hint
            ) from None
        targets.append(SyncTarget(image, target))
    return targets


def warn_of_unused_rules(
    images: Iterable[SourceImage], destination: SyncDestination, emit: Emit
) -> None:
    """Emit a warning for each rename rule that matches no image."""
    names = [image.target_name for image in images]
    for rule in find_unused_rules(destination.names.rules, names):
        emit(WarningIssued(f"rename rule {rule[:200]!r} matches no image of the source"))


def merge_duplicates(
    targets: Sequence[SyncTarget], emit: Emit = discard, *, last_wins: bool = False
) -> list[SyncTarget]:
    """Return the targets without duplicates.

    With ``last_wins``, the last of several images with the same name in a registry is kept, as if
    they were copied one after another, and a warning is emitted.

    Raises:
        ConflictError: different images have the same target, and ``last_wins`` is not set, or the
            directory of an image is within that of another.
        DirectoryExistsError: with ``last_wins``, different images have the same directory, which
            the second one would find there.
    """
    merged: dict[tuple[str, str | None], SyncTarget] = {}
    for item in targets:
        key = (item.target.scope, item.name)
        first = merged.setdefault(key, item)
        if first.image.display_name == item.image.display_name:
            continue
        names = f"{first.image.display_name} and {item.image.display_name}"
        if not last_wins:
            raise ConflictError(
                f"{names}: both have the target {item}",
                subjects=(str(item),),
                hint="keep their whole names with --scoped, or rename one with --names FROM=TO",
            )
        if item.target.directory is not None:
            raise DirectoryExistsError(item.target.directory)
        emit(WarningIssued(f"{names}: both have the target {item}; only the last one is copied"))
        merged[key] = item
    _check_not_nested(list(merged.values()))
    return list(merged.values())


def _check_not_nested(targets: Sequence[SyncTarget]) -> None:
    directories = {
        PurePath(os.path.normpath(item.target.directory)): item
        for item in targets
        if item.target.directory is not None
    }
    for path, item in directories.items():
        for parent in path.parents:
            if (above := directories.get(parent)) is not None:
                raise ConflictError(
                    f"{item.image.display_name}: its directory {path} is within that of"
                    f" {above.image.display_name}",
                    subjects=(str(above), str(item)),
                    hint="rename one of them with --names FROM=TO",
                )


def check_not_existing(targets: Iterable[SyncTarget]) -> None:
    """Check that the directory of each image does not exist yet.

    Raises:
        DirectoryExistsError: a directory exists.
    """
    for item in targets:
        directory = item.target.directory
        if directory is not None and os.path.lexists(directory):
            raise DirectoryExistsError(directory)
