"""Create the plan of a run: the blobs, manifests and names that each destination needs.

A blob that several images share is planned once per destination. Dry runs, the check of free space
and the progress display are based on the plan. ``Holdings`` are sufficient to create a plan; to
execute it, the destinations must be open for writing: ``Plan[Destination]``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Generic, Literal

from bundler.cancel import Cancellation
from bundler.copy.parallel import run_all
from bundler.copy.planned_image import HoldingsT_co
from bundler.copy.resolving.fetch import fetch
from bundler.errors import (
    CannotConvertError,
    ConflictError,
    MalformedError,
)
from bundler.events import BlobTotal, TransferTotals
from bundler.ports import (
    ChecksNames,
    Holdings,
    MountsBlobs,
    Node,
    ReadableDestination,
    RegistryRepository,
    Source,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from concurrent.futures import Executor

    from bundler.copy.convert.conversion_plan import LayerChange
    from bundler.copy.image import Graph, GraphManifest
    from bundler.copy.planned_image import PlannedImage
    from bundler.oci.digest import Digest

BlobAction = Literal["push", "mount", "present"]


@dataclass(frozen=True, slots=True)
class BlobTask(Generic[HoldingsT_co]):
    """The action for one blob at one destination."""

    node: Node
    source: Source
    destination: HoldingsT_co
    action: BlobAction
    labels: tuple[str, ...]
    """The images that contain the blob."""
    mount_from: str | None = None
    """For ``mount``: the repository that has the blob, or to which the same run pushes it."""
    change: LayerChange | None = None
    """The conversion of a layer; None: unchanged."""
    is_optional: bool = False
    """Whether only referrers need the blob; they are left behind if the source does not have it."""

    @property
    def size(self) -> int:
        """The size in bytes; 0 if unknown."""
        return self.node.size or 0


@dataclass(frozen=True, slots=True)
class ManifestTask(Generic[HoldingsT_co]):
    """One manifest to push to one destination."""

    manifest: GraphManifest
    destination: HoldingsT_co
    stage: int
    """Manifests of a lower stage are pushed first: children before parents."""
    labels: tuple[str, ...]
    """The images that contain the manifest."""


@dataclass(frozen=True, slots=True)
class Plan(Generic[HoldingsT_co]):
    """All tasks of a run, in the order of execution."""

    blobs: tuple[BlobTask[HoldingsT_co], ...]
    manifests: tuple[ManifestTask[HoldingsT_co], ...]
    """Sorted by stage. Manifests of converted images are created during the run."""
    images: tuple[PlannedImage[HoldingsT_co], ...]
    foreign: tuple[Node, ...]
    """Foreign layers that are not copied; ``PlannedImage.find_source`` selects them."""

    @property
    def totals(self) -> TransferTotals:
        """The totals of the run if every step succeeds."""

        def total(action: BlobAction) -> BlobTotal:
            return BlobTotal(self.count(action), self.size(action))

        return TransferTotals(total("push"), total("present"), total("mount"))

    def size(self, action: BlobAction) -> int:
        """Return the total size in bytes of the blobs with ``action``."""
        return sum(task.size for task in self.blobs if task.action == action)

    def count(self, action: BlobAction) -> int:
        """Return the number of blobs with ``action``."""
        return sum(task.action == action for task in self.blobs)

    @property
    def largest(self) -> int:
        """The size in bytes of the largest blob that is pushed; 0 if none is."""
        return max((task.size for task in self.blobs if task.action == "push"), default=0)


def create_plan(
    planned_images: Sequence[PlannedImage[HoldingsT_co]],
    executor: Executor,
    cancellation: Cancellation,
) -> Plan[HoldingsT_co]:
    """Compare the content of the images with the holdings of their destinations.

    ``executor`` runs the queries to sources and destinations in parallel.

    Raises:
        CannotConvertError: an image needs a conversion that is impossible or not allowed.
        ConflictError: two different images have the same name at a destination, or names that
            exclude one another.
        MalformedError: two images state different sizes for the same blob.
        SignaturesUnsupportedError: a destination cannot store the signatures of an image.
    """
    holders: dict[tuple[Holdings, str], tuple[str, Digest]] = {}
    for planned in planned_images:
        label = planned.image.display_name
        for publication in planned.list_publications():
            for name in publication.names:
                digest = publication.root.digest
                key = (planned.destination, name)
                other, other_digest = holders.setdefault(key, (label, digest))
                if other_digest != digest:
                    raise ConflictError(
                        f"{other} and {label}: both have the target name {name!r}",
                        hint="rename one of them with rename or --names",
                    )
    names: dict[Holdings, list[str]] = {}
    for destination, name in holders:
        names.setdefault(destination, []).append(name)
    for destination, own in names.items():
        if isinstance(destination, ChecksNames):
            destination.check_names(own)
    planned_images = [
        replace(planned, conversion=planned.decide_conversion()) for planned in planned_images
    ]
    if any(planned.conversion for planned in planned_images):
        planned_images = _read_configs(planned_images, executor, cancellation)
    tasks, foreign = _find_needed_blobs(planned_images)

    def is_present(task: BlobTask[Holdings]) -> bool:
        destination, change = task.destination, task.change
        may_stay = change is None or (
            change.conversion.may_stay and not isinstance(destination, ReadableDestination)
        )
        return may_stay and destination.has(task.node)

    checks = [partial(is_present, task) for task in tasks]
    present = run_all(executor, checks, Cancellation(cancellation))
    blobs = _decide_actions(tasks, present)
    unchanged = [planned for planned in planned_images if planned.conversion is None]
    return Plan(
        tuple(blobs), create_manifest_tasks(unchanged), tuple(planned_images), tuple(foreign)
    )


def merge_checks(tasks: Iterable[BlobTask[HoldingsT_co]]) -> list[BlobTask[HoldingsT_co]]:
    """Merge the tasks that only verify the same blob at a source; leave out mounts."""
    merged: dict[object, BlobTask[HoldingsT_co]] = {}
    for task in tasks:
        if task.action == "mount":
            continue
        only_reads = (
            task.action == "present"
            and task.change is None
            and not isinstance(task.destination, ReadableDestination)
        )
        destination = None if only_reads else task.destination
        conversion = task.change and task.change.conversion
        key = (destination, task.source, task.node.digest, conversion)
        known = merged.setdefault(key, task)
        if known is not task:
            labels = dict.fromkeys((*known.labels, *task.labels))
            merged[key] = replace(known, labels=tuple(labels))
    return list(merged.values())


def create_manifest_tasks(
    planned_images: Sequence[PlannedImage[HoldingsT_co]],
) -> tuple[ManifestTask[HoldingsT_co], ...]:
    """Return one task per manifest and destination, sorted by stage.

    Children precede parents, and subjects precede their referrers.

    Raises:
        CannotConvertError: a destination does not support the media type of a manifest.
    """
    tasks: dict[tuple[Holdings, Digest | None], ManifestTask[HoldingsT_co]] = {}
    for planned in planned_images:
        image, destination = planned.image, planned.destination
        label, accepted = image.display_name, destination.capabilities.manifests
        graphs: list[tuple[Graph, Digest | None]] = [(image.graph, None)]
        graphs += [(referrer.graph, referrer.subject) for referrer in image.referrers]
        for graph, subject in graphs:
            subject_task = tasks.get((destination, subject))
            lowest = 0 if subject_task is None else subject_task.stage + 1
            latest: dict[int, int] = {}  # the highest stage at each depth of this graph
            for item in graph.manifests:
                media_type = item.descriptor.media_type
                if accepted is not None and media_type not in accepted:
                    raise CannotConvertError(
                        f"{label}: the destination does not support {media_type}",
                        reason="the manifest is copied unchanged",
                    )
                key = (destination, item.descriptor.digest)
                known = tasks.get(key)
                if known is None:
                    after = (stage + 1 for depth, stage in latest.items() if depth < item.depth)
                    stage = max((lowest, *after))
                    tasks[key] = ManifestTask(item, destination, stage, (label,))
                elif label not in known.labels:
                    # The stage is unchanged, because the stages of other tasks depend on it.
                    tasks[key] = replace(known, labels=(*known.labels, label))
                latest[item.depth] = max(tasks[key].stage, latest.get(item.depth, 0))
    return tuple(sorted(tasks.values(), key=lambda task: task.stage))


def _read_configs(
    planned_images: Sequence[PlannedImage[HoldingsT_co]],
    executor: Executor,
    cancellation: Cancellation,
) -> list[PlannedImage[HoldingsT_co]]:
    """Read the configs that the conversions require; return the planned images with them."""
    reads = {
        config: partial(
            fetch, planned.image.source, config, planned.image.display_name, kind="config"
        )
        for planned in planned_images
        if planned.conversion is not None
        for config in planned.conversion.find_required_configs()
    }
    contents = run_all(executor, list(reads.values()), Cancellation(cancellation))
    configs = {config.digest: raw for config, raw in zip(reads, contents, strict=True)}
    return [
        replace(
            planned, conversion=planned.conversion and replace(planned.conversion, configs=configs)
        )
        for planned in planned_images
    ]


def _find_needed_blobs(
    planned_images: Sequence[PlannedImage[HoldingsT_co]],
) -> tuple[list[BlobTask[HoldingsT_co]], list[Node]]:
    """Return a task per blob, destination and conversion, and the foreign layers to leave out."""
    tasks: dict[object, BlobTask[HoldingsT_co]] = {}
    labels: dict[object, dict[str, None]] = {}
    required: set[object] = set()
    foreign: dict[Digest, Node] = {}
    for planned in planned_images:
        image, destination = planned.image, planned.destination
        label, own = image.display_name, {node.digest for node in image.graph.blobs}
        for node, change in planned.list_blobs():
            if node.digest is None:
                continue
            source = planned.find_source(node)
            if source is None:
                foreign.setdefault(node.digest, node)
                continue
            key = (destination, node.digest, change and change.conversion)
            known = tasks.setdefault(
                key, BlobTask(node, source, destination, "push", (), change=change)
            )
            if None not in (known.node.size, node.size) and known.node.size != node.size:
                raise MalformedError(
                    f"{node.digest}: {next(iter(labels[key]))} and {label} state different sizes"
                    f" ({known.node.size} and {node.size} bytes)",
                    hint="one of them is damaged: copy each one separately to find out which",
                )
            labels.setdefault(key, {})[label] = None
            if node.digest in own:
                required.add(key)
    complete = [
        replace(task, labels=tuple(labels[key]), is_optional=key not in required)
        for key, task in tasks.items()
    ]
    return complete, list(foreign.values())


def _decide_actions(
    tasks: Sequence[BlobTask[HoldingsT_co]], present: Sequence[bool]
) -> Iterator[BlobTask[HoldingsT_co]]:
    """Push each blob to one repository of a registry, and mount it into the others."""
    # A test for a protocol is slow, so each location is tested once.
    destinations: set[object] = {task.destination for task in tasks}
    registries: dict[object, RegistryRepository] = {
        location: location
        for location in (*destinations, *{task.source for task in tasks})
        if isinstance(location, RegistryRepository)
    }
    mounting: dict[object, MountsBlobs] = {
        location: location for location in destinations if isinstance(location, MountsBlobs)
    }
    holders: dict[tuple[str, Digest | None], str] = {}
    for task, is_present in zip(tasks, present, strict=True):
        locations: list[tuple[object, bool]] = [(task.destination, is_present), (task.source, True)]
        for location, has_blob in locations:
            registry = registries.get(location)
            if has_blob and task.change is None and registry is not None:
                holders.setdefault((registry.mount_scope, task.node.digest), registry.repository)
    for task, is_present in zip(tasks, present, strict=True):
        if is_present:
            yield replace(task, action="present")
            continue
        target = mounting.get(task.destination)
        if task.change is None and target is not None:
            key = (target.mount_scope, task.node.digest)
            holder = holders.setdefault(key, target.repository)
            if holder != target.repository:
                yield replace(task, action="mount", mount_from=holder)
                continue
        yield task
