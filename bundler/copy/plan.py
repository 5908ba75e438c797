"""Plan: what has to move, each blob once for each place, however many images share it.

A plan is a value. A dry run, the check of free space, the total of the progress and the time left
are all read from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Literal

from bundler.cancel import Cancellation
from bundler.copy.convert.decide import decide
from bundler.copy.convert.options import (
    NO_CONVERSION,
    ConversionOptions,
    LayerChange,
    LayerConversion,
)
from bundler.copy.manifest_reader import fetch
from bundler.copy.parallel import run_all
from bundler.errors import CannotConvertError, ConflictError, MalformedError, UnsupportedError
from bundler.oci import media_types
from bundler.ports import (
    Destination,
    MountsBlobs,
    Node,
    Publication,
    ReadableDestination,
    RegistryRepository,
    Source,
    StoresSignatures,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Executor

    from bundler.copy.convert.conversion_plan import ConversionPlan
    from bundler.copy.graph import Graph, GraphManifest, Referrer, ResolvedImage
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest

Action = Literal["push", "mount", "present"]


@dataclass(frozen=True, slots=True)
class Target:
    """Where one resolved image goes, and the names that are to stand for it there."""

    image: ResolvedImage
    destination: Destination
    names: tuple[str, ...]
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    referrer_names: Mapping[Digest, tuple[str, ...]] = field(default_factory=dict, hash=False)
    """Names of referrers by the digest of their root, where they differ from their tags."""
    changes: ConversionOptions = NO_CONVERSION
    """What is asked of the form of its images."""
    recipe: ConversionPlan | None = None
    """What becomes of them, as ``plan`` decided; None: they stay as they are."""

    def names_of(self, referrer: Referrer) -> tuple[str, ...]:
        """The names that are to stand for a referrer."""
        digest = referrer.graph.root.digest
        if digest in self.referrer_names:
            return self.referrer_names[digest]
        return (referrer.tag,) if referrer.tag else ()


@dataclass(frozen=True, slots=True)
class BlobTask:
    """One blob for one destination; ``labels`` are the images that need it there."""

    node: Node
    origin: Source
    destination: Destination
    action: Action
    labels: tuple[str, ...]
    mount_from: str | None = None
    """For ``mount``: the repository that has it, or gets it in the same run."""
    change: LayerChange | None = None
    """What becomes of it on the way; None: nothing."""

    @property
    def size(self) -> int:
        """In bytes."""
        return self.node.size or 0


@dataclass(frozen=True, slots=True)
class ManifestTask:
    """One manifest for one destination; ``stage`` orders children before parents."""

    manifest: GraphManifest
    destination: Destination
    stage: int
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """All work of a run, in the order of its stages."""

    blobs: tuple[BlobTask, ...]
    manifests: tuple[ManifestTask, ...]
    """Those of the images that stay as they are; others are written once their layers are."""
    targets: tuple[Target, ...]
    foreign: tuple[Node, ...]
    """Layers that stay where their URLs say."""

    def size(self, action: Action) -> int:
        """The bytes of all blobs with ``action``."""
        return sum(task.size for task in self.blobs if task.action == action)

    def count(self, action: Action) -> int:
        """How many blobs have ``action``."""
        return sum(task.action == action for task in self.blobs)

    @property
    def largest(self) -> int:
        """The size in bytes of the largest blob that is pushed; 0 if none is."""
        return max((task.size for task in self.blobs if task.action == "push"), default=0)


def plan(targets: Sequence[Target], executor: Executor, stop: Cancellation) -> Plan:
    """Compare what ``targets`` need with what their destinations have.

    Raises:
        CannotConvertError: a destination does not take a manifest's type.
        ConflictError: one name of one destination is wanted for two different images.
        MalformedError: two images tell different sizes of one blob.
    """
    _check_names(targets)
    targets = _decided(targets, executor, stop)
    wanted, foreign = _wanted_blobs(targets)
    questions = [partial(_present, want) for want in wanted]
    present = run_all(executor, questions, Cancellation(stop))
    blobs = _with_mounts(wanted, present)
    unchanged = [target for target in targets if target.recipe is None]
    return Plan(tuple(blobs), manifest_tasks(unchanged), tuple(targets), tuple(foreign))


def publications(target: Target) -> tuple[Publication, ...]:
    """What ``commit`` gets for a target: the image, then its referrers."""
    referrers = tuple(
        Publication(referrer.graph.root, target.names_of(referrer))
        for referrer in target.image.referrers
    )
    return (Publication(target.image.graph.root, target.names, target.annotations), *referrers)


@dataclass(slots=True)
class _BlobNeed:
    node: Node
    origin: Source
    destination: Destination
    labels: dict[str, None]
    change: LayerChange | None = None


def _decided(targets: Sequence[Target], executor: Executor, stop: Cancellation) -> list[Target]:
    """``targets`` with their recipes, and the recipes with the configs that they need."""
    decided = [replace(target, recipe=_recipe(target)) for target in targets]
    needed = {
        (index, config)
        for index, target in enumerate(decided)
        if target.recipe is not None
        for config in target.recipe.find_required_configs()
    }
    reads = {key: partial(_read_config, decided[key[0]], key[1]) for key in needed}
    found = dict(
        zip(reads, run_all(executor, list(reads.values()), Cancellation(stop)), strict=True)
    )
    return [
        target
        if target.recipe is None
        else replace(
            target,
            recipe=replace(
                target.recipe,
                configs={key[1].digest: raw for key, raw in found.items() if key[0] == index},
            ),
        )
        for index, target in enumerate(decided)
    ]


def _recipe(target: Target) -> ConversionPlan | None:
    image, changes, capabilities = target.image, target.changes, target.destination.capabilities
    if image.signatures:
        _check_signatures(target)
        changes = replace(
            changes,
            fixed_reason=changes.fixed_reason or "it is signed; --remove-signatures allows it",
        )
    recipe = decide(image.graph, capabilities, changes, image.label)
    if recipe is not None and image.referrers:
        raise CannotConvertError(
            f"{image.label}: it would get another digest",
            reason="what refers to it names its digest",
            hint="leave the referrers behind, or the form as it is",
        )
    return recipe


def _check_signatures(target: Target) -> None:
    if not isinstance(target.destination, StoresSignatures):
        raise UnsupportedError(
            f"{target.image.label}: it is signed, and the destination has no place for that",
            hint="leave the signatures behind with --remove-signatures",
        )


def _read_config(target: Target, config: Descriptor) -> bytes:
    return fetch(target.image.source, config, target.image.label, kind="config")


def _present(want: _BlobNeed) -> bool:
    """Whether the destination has what will do; what changes would do as it is, or will not."""
    change, place = want.change, want.destination
    if change is not None and (
        not change.conversion.may_stay or isinstance(place, ReadableDestination)
    ):
        return False
    return place.has(want.node)


def _check_names(targets: Sequence[Target]) -> None:
    holders: dict[tuple[int, str], tuple[str, Descriptor]] = {}
    for target in targets:
        for publication in publications(target):
            for name in publication.names:
                key = (id(target.destination), name)
                label = target.image.label
                other, root = holders.setdefault(key, (label, publication.root))
                if root.digest != publication.root.digest:
                    raise ConflictError(
                        f"{other} and {label} both want the name {name!r}",
                        hint="give one of them another name with rename or --names",
                    )


def _wanted_blobs(targets: Sequence[Target]) -> tuple[list[_BlobNeed], list[Node]]:
    wants: dict[tuple[int, Digest, LayerConversion | None], _BlobNeed] = {}
    foreign: dict[Digest, Node] = {}
    for target in targets:
        destination, label = target.destination, target.image.label
        for node, change in _blobs(target):
            if node.digest is None:
                continue
            foreign_layer = media_types.is_foreign(node.media_type, node.urls)
            if foreign_layer and destination.capabilities.foreign_urls:
                foreign.setdefault(node.digest, node)
                continue
            treatment = None if change is None else change.conversion
            key = (id(destination), node.digest, treatment)
            want = wants.get(key)
            if want is None:
                origin = target.image.source
                want = wants[key] = _BlobNeed(node, origin, destination, {}, change)
            _check_size(want, node, label)
            want.labels.setdefault(label)
    return list(wants.values()), list(foreign.values())


def _blobs(target: Target) -> Iterator[tuple[Node, LayerChange | None]]:
    """Each blob of a target's images, and what becomes of it; a config that goes is left out."""
    recipe = target.recipe
    changes = [] if recipe is None else list(recipe.find_layer_changes())
    gone = set() if recipe is None else recipe.find_rewritten_configs()
    gone |= {change.layer.digest for change in changes}
    for change in changes:
        yield Node.of(change.layer, "layer"), change
    for graph in target.image.graphs:
        for node in graph.blobs:
            if node.digest not in gone:
                yield node, None


def _check_size(want: _BlobNeed, node: Node, label: str) -> None:
    if None not in (want.node.size, node.size) and want.node.size != node.size:
        raise MalformedError(
            f"{next(iter(want.labels))} and {label} disagree about {node.digest}: "
            f"{want.node.size} or {node.size} bytes",
            hint="one of them is damaged: leave out either one to see which",
        )


def _with_mounts(wants: Sequence[_BlobNeed], present: Sequence[bool]) -> list[BlobTask]:
    """Within one registry a blob is pushed to one repository; the others mount it from there."""
    holders: dict[tuple[str, Digest | None], str] = {}
    for want, here in zip(wants, present, strict=True):
        for place, holds in ((want.destination, here), (want.origin, True)):
            if holds and want.change is None and isinstance(place, RegistryRepository):
                holders.setdefault((place.mount_scope, want.node.digest), place.repository)
    tasks = []
    for want, here in zip(wants, present, strict=True):
        action: Action = "present" if here else "push"
        mount_from = None
        if not here and want.change is None and isinstance(want.destination, MountsBlobs):
            key = (want.destination.mount_scope, want.node.digest)
            mount_from = holders.setdefault(key, want.destination.repository)
            if mount_from == want.destination.repository:
                mount_from = None
            else:
                action = "mount"
        tasks.append(
            BlobTask(
                want.node,
                want.origin,
                want.destination,
                action,
                tuple(want.labels),
                mount_from,
                want.change,
            )
        )
    return tasks


def manifest_tasks(targets: Sequence[Target]) -> tuple[ManifestTask, ...]:
    """Each manifest once, after all that is below it, and referrers after their subjects."""
    tasks: dict[tuple[int, Digest], ManifestTask] = {}
    for target in targets:
        _add_manifests(tasks, target, target.image.graph, 0)
        for referrer in target.image.referrers:
            subject = tasks.get((id(target.destination), referrer.subject))
            _add_manifests(tasks, target, referrer.graph, subject.stage + 1 if subject else 0)
    return tuple(sorted(tasks.values(), key=lambda task: task.stage))


def _add_manifests(
    tasks: dict[tuple[int, Digest], ManifestTask], target: Target, graph: Graph, stage: int
) -> None:
    """A stage, once given, stays: what was put after it relies on that."""
    destination, label = target.destination, target.image.label
    latest: dict[int, int] = {}  # the latest stage at each depth of this graph
    for item in graph.manifests:
        _check_type(item, destination, label)
        key = (id(destination), item.descriptor.digest)
        known = tasks.get(key)
        if known is None:
            after = (at + 1 for depth, at in latest.items() if depth < item.depth)
            tasks[key] = ManifestTask(item, destination, max((stage, *after)), (label,))
        elif label not in known.labels:
            tasks[key] = replace(known, labels=(*known.labels, label))
        latest[item.depth] = max(tasks[key].stage, latest.get(item.depth, 0))


def _check_type(item: GraphManifest, destination: Destination, label: str) -> None:
    accepted = destination.capabilities.manifests
    if accepted is not None and item.descriptor.media_type not in accepted:
        raise CannotConvertError(
            f"{label}: the destination does not take {item.descriptor.media_type}",
            reason="manifests are copied as they are",
        )
