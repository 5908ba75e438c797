"""Create the plan of a run: the blobs, manifests and names that each destination needs.

A blob that several images share is planned once per destination. Dry runs, the check of free space
and the progress display are based on the plan. ``Holdings`` are sufficient to create a plan; to
execute it, the destinations must be open for writing: ``Plan[Destination]``.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from bundler.cancel import Cancellation
from bundler.copy.fetch import fetch
from bundler.copy.parallel import run_all
from bundler.errors import (
    CannotConvertError,
    ConflictError,
    MalformedError,
    SignaturesUnsupportedError,
)
from bundler.events import BlobTotal, TransferTotals
from bundler.oci import media_types
from bundler.ports import (
    ChecksNames,
    ChecksSignatures,
    Holdings,
    MountsBlobs,
    Node,
    Publication,
    ReadableDestination,
    RegistryRepository,
    Source,
    StoresSignatures,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from bundler.copy.convert.conversion_plan import ConversionPlan, LayerChange
    from bundler.copy.convert.options import ConversionOptions
    from bundler.copy.image import Graph, GraphManifest, Referrer, ResolvedImage
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest

BlobAction = Literal["push", "mount", "present"]

HoldingsT_co = TypeVar("HoldingsT_co", bound=Holdings, covariant=True)


@dataclass(frozen=True, slots=True)
class PlannedImage(Generic[HoldingsT_co]):
    """One resolved image, its destination, and its names there."""

    image: ResolvedImage
    destination: HoldingsT_co
    names: tuple[str, ...]
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Annotations that are published with the names."""
    referrer_names: Mapping[Digest, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """Names of referrers by the digest of their root; by default, a referrer keeps its tag."""
    options: ConversionOptions | None = None
    """The requested conversion; None: only what the destination requires."""
    fixed_reason: str | None = None
    """The reason why no digest may change, regardless of ``options``; None: digests may change."""
    conversion: ConversionPlan | None = None
    """The conversion, set by ``create_plan``; None: the image is copied unchanged."""
    sign: Callable[[Descriptor, bytes], Sequence[bytes]] | None = None
    """Returns new signatures of a manifest of the image; None: no manifest is signed."""

    def decide_conversion(self) -> ConversionPlan | None:
        """Decide how to convert the image; the configs that this requires are not read yet.

        Raises:
            CannotConvertError: the image needs a conversion that is impossible or not allowed.
            SignaturesUnsupportedError: the destination cannot store the signatures of the image.
        """
        image, options, reason = self.image, self.options, self.fixed_reason
        destination: Holdings = self.destination
        capabilities = destination.capabilities
        stores_signatures = isinstance(destination, StoresSignatures)
        if self.sign is not None and not stores_signatures:
            raise SignaturesUnsupportedError(
                f"{image.display_name}: the destination cannot store signatures",
                reason="signing",
                hint="copy the image without signing it",
            )
        if image.signatures:
            if not stores_signatures:
                raise SignaturesUnsupportedError(
                    f"{image.display_name}: the destination cannot store the signatures of"
                    " the image",
                    reason="signed",
                    hint="copy the image without its signatures: --remove-signatures",
                )
            if isinstance(destination, ChecksSignatures):
                for digest, signatures in image.signatures.items():
                    destination.check_signatures(digest, signatures)
            reason = reason or "it is signed; remove the signatures with --remove-signatures"
        types = {item.descriptor.media_type for item in image.graph.manifests}
        supported = media_types.BY_DIGEST if capabilities.indexes else media_types.IMAGE_MANIFESTS
        if capabilities.manifests is not None:
            supported &= capabilities.manifests
        any_layers = capabilities.layers != "uncompressed" and not capabilities.only_tar_layers
        is_accepted = types <= supported and any_layers
        if is_accepted and (options is None or not options.changes_images):
            return None
        from bundler.copy.convert.decide import decide_conversion  # noqa: PLC0415 - rarely needed
        from bundler.copy.convert.options import NO_CONVERSION  # noqa: PLC0415 - as above

        options = options or NO_CONVERSION
        options = replace(options, fixed_reason=options.fixed_reason or reason)
        conversion = decide_conversion(image.graph, capabilities, options, image.display_name)
        if conversion is not None and image.referrers:
            raise CannotConvertError(
                f"{image.display_name}: its digest would change",
                reason="its referrers refer to the current digest",
                hint="copy it without referrers, or without conversion",
            )
        return conversion

    def list_names(self, referrer: Referrer) -> tuple[str, ...]:
        """Return the names to publish for a referrer."""
        tags = (referrer.tag,) if referrer.tag else ()
        return self.referrer_names.get(referrer.graph.root.digest, tags)

    def list_signatures(self) -> Iterator[tuple[Digest, tuple[bytes, ...]]]:
        """Yield the signatures to store for each manifest: those of the source, then new ones."""
        for item in self.image.graph.manifests:
            descriptor = item.descriptor
            signatures = self.image.signatures.get(descriptor.digest, ())
            if self.sign is not None:
                signatures += tuple(self.sign(descriptor, item.raw))
            if signatures:
                yield descriptor.digest, signatures

    def list_publications(self) -> Iterator[Publication]:
        """Yield the roots and names to commit: the image, then its referrers."""
        yield Publication(self.image.graph.root, self.names, self.annotations)
        for referrer in self.image.referrers:
            names = self.list_names(referrer)
            yield Publication(referrer.graph.root, names, is_referrer=True)

    def find_source(self, node: Node) -> Source | None:
        """Return the source of a blob; None: it is a foreign layer that is not copied."""
        image = self.image
        if not node.urls:
            return image.source
        if image.foreign_sources is not None and node.digest is not None:
            return image.foreign_sources.get(node.digest)
        destination: Holdings = self.destination
        return None if destination.capabilities.omits_foreign_layers else image.source

    def list_blobs(self) -> Iterator[tuple[Node, LayerChange | None]]:
        """Yield each blob to copy, with its conversion; configs that are rewritten are omitted."""
        replaced: set[Digest | None] = set()
        if self.conversion is not None:
            for image in self.conversion.images.values():
                if image.config is not None and image.changes_type:
                    replaced.add(image.config.digest)
            for change in self.conversion.find_layer_changes():
                replaced.add(change.layer.digest)
                yield Node.of(change.layer, "layer"), change
        for graph in self.image.graphs:
            for node in graph.blobs:
                if node.digest not in replaced:
                    yield node, None


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
    foreign: dict[Digest, Node] = {}
    for planned in planned_images:
        image, destination = planned.image, planned.destination
        label = image.display_name
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
    complete = [replace(task, labels=tuple(labels[key])) for key, task in tasks.items()]
    return complete, list(foreign.values())


def _decide_actions(
    tasks: Sequence[BlobTask[HoldingsT_co]], present: Sequence[bool]
) -> Iterator[BlobTask[HoldingsT_co]]:
    """Push each blob to one repository of a registry, and mount it into the others."""
    holders: dict[tuple[str, Digest | None], str] = {}
    for task, is_present in zip(tasks, present, strict=True):
        locations: list[tuple[object, bool]] = [(task.destination, is_present), (task.source, True)]
        for location, has_blob in locations:
            if has_blob and task.change is None and isinstance(location, RegistryRepository):
                holders.setdefault((location.mount_scope, task.node.digest), location.repository)
    for task, is_present in zip(tasks, present, strict=True):
        destination: Holdings = task.destination
        if is_present:
            yield replace(task, action="present")
            continue
        if task.change is None and isinstance(destination, MountsBlobs):
            key = (destination.mount_scope, task.node.digest)
            holder = holders.setdefault(key, destination.repository)
            if holder != destination.repository:
                yield replace(task, action="mount", mount_from=holder)
                continue
        yield task
