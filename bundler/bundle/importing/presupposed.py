"""Check before the first push that a target has the blobs that a bundle presupposes.

A blob that the repository of an image lacks is mounted from another repository of the target: one
of another image, or one that the bundle lists.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from bundler.bundle.importing.target import OpenRegistry
from bundler.copy.blob_transfer import is_intact
from bundler.copy.parallel import run_all
from bundler.errors import (
    AbsentBlob,
    AbsentBlobsError,
    DeniedError,
    NotFoundError,
    UnauthorizedError,
)
from bundler.events import BlobTotal, TransferTotals
from bundler.ports import MountsBlobs, ReadableDestination, RegistryRepository

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bundler.bundle.format.inventory.presupposed import HeldBlob
    from bundler.bundle.importing.target import ImportTarget, OpenTarget
    from bundler.copy.engine import EngineOptions
    from bundler.copy.planned_image import PlannedImage
    from bundler.oci.digest import Digest
    from bundler.ports import Holdings, Node


@dataclass(slots=True)
class _NeededBlob:
    """A presupposed blob, and the repositories or the directory that need it."""

    node: Node
    destinations: dict[Holdings, None] = field(default_factory=dict)
    images: dict[str, None] = field(default_factory=dict)


def provide(
    presupposed: Mapping[Digest, HeldBlob],
    planned_images: Sequence[PlannedImage[Holdings]],
    target: OpenTarget,
    location: ImportTarget,
    engine: EngineOptions,
    *,
    dry_run: bool,
) -> TransferTotals:
    """Check that the target has each presupposed blob, and mount those of other repositories.

    With ``dry_run``, nothing is mounted. Returns the totals of these blobs.

    Raises:
        AbsentBlobsError: the target lacks some of them; nothing was pushed or mounted.
        RegistryError: the target cannot be reached, or refuses to mount a blob that it has.
    """
    needed: dict[Digest, _NeededBlob] = {}
    for planned in planned_images:
        for node in planned.image.graph.blobs:
            if node.digest in planned.presupposed and node.digest is not None:
                blob = needed.setdefault(node.digest, _NeededBlob(node))
                blob.destinations[planned.destination] = None
                blob.images[planned.image.display_name] = None
    tasks = [
        partial(_find_holders, blob, presupposed[digest].repositories, target, engine)
        for digest, blob in needed.items()
    ]
    found = run_all(engine.executor, tasks, engine.cancellation)
    absent = [
        AbsentBlob(str(blob.node.digest), blob.node.size or 0, tuple(blob.images))
        for blob, (missing, holder) in zip(needed.values(), found, strict=True)
        if missing and holder is None
    ]
    if absent:
        raise AbsentBlobsError(str(location), absent)
    mounts = [
        (blob.node, destination, holder)
        for blob, (missing, holder) in zip(needed.values(), found, strict=True)
        for destination in missing
        if holder is not None
    ]
    if not dry_run:
        calls = [partial(_mount, *mount, needed, location) for mount in mounts]
        run_all(engine.executor, calls, engine.cancellation)
    mounted = BlobTotal.of([node.size or 0 for node, *_ in mounts])
    sizes = [blob.node.size or 0 for blob in needed.values() for _ in blob.destinations]
    present = BlobTotal(len(sizes) - mounted.blobs, sum(sizes) - mounted.size)
    return TransferTotals(present=present, mounted=mounted)


def _find_holders(
    blob: _NeededBlob, listed: Iterable[str], target: OpenTarget, engine: EngineOptions
) -> tuple[list[Holdings], str | None]:
    """Return the destinations that lack a blob, and a repository from which it can be mounted."""

    def is_present(destination: Holdings) -> bool:
        if isinstance(destination, ReadableDestination):
            return is_intact(blob.node, destination, engine.cancellation, engine.emit)
        return destination.has(blob.node)

    missing, holder = [], None
    for destination in blob.destinations:
        if not is_present(destination):
            missing.append(destination)
        elif isinstance(destination, RegistryRepository):
            holder = destination.repository
    can_mount = all(isinstance(destination, MountsBlobs) for destination in missing)
    if missing and holder is None and can_mount and isinstance(target, OpenRegistry):
        for repository in listed:
            # The account of the import may not be allowed to read other repositories.
            with suppress(DeniedError, UnauthorizedError, NotFoundError):
                if target.open_repository(repository).has(blob.node):
                    holder = repository
                    break
    return missing, holder if can_mount else None


def _mount(
    node: Node,
    destination: Holdings,
    holder: str,
    needed: Mapping[Digest, _NeededBlob],
    location: ImportTarget,
) -> None:
    mounted = isinstance(destination, MountsBlobs) and destination.mount(node, holder)
    if not mounted and node.digest is not None:
        images = tuple(needed[node.digest].images)
        raise AbsentBlobsError(
            str(location), [AbsentBlob(str(node.digest), node.size or 0, images)], refused=holder
        )
