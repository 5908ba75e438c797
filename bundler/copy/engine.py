"""Execute: blobs in parallel, then mounts, manifests children first, and names last of all.

What is true if it stops half way: every blob and manifest that was pushed is whole and stays, no
name has changed, and the same run again moves only what is missing.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Protocol, TypeVar

from bundler import events
from bundler.cancel import Cancellation
from bundler.copy import blob_transfer
from bundler.copy.convert.conversion_plan import ConversionPlan, ConvertedGraph, parse_compression
from bundler.copy.convert.options import ConvertedLayer, LayerChange, LayerConversion
from bundler.copy.parallel import run_all
from bundler.copy.plan import (
    BlobTask,
    ManifestTask,
    Plan,
    Target,
    manifest_tasks,
    publications,
)
from bundler.errors import BundlerError, CancelledError, IntegrityError, RegistryError
from bundler.errors.counts import shortlist
from bundler.events import Emit, discard
from bundler.ports import (
    Destination,
    MountsBlobs,
    Node,
    ReadableDestination,
    StoresSignatures,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    from bundler.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How a run goes about its work."""

    executor: Executor
    cancellation: Cancellation = field(default_factory=Cancellation)
    emit: Emit = discard
    keep_going: bool = False
    """Leave out an image that fails, and go on with the others."""
    read_everything: bool = False
    """Read and check a source's blob even where the destination has it already."""
    scratch: Path | None = None
    """Where large temporary files go; None: on a disk."""


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """What was published, and which images failed with which error."""

    published: tuple[Target, ...]
    failed: dict[str, BundlerError]


_NAMED = 3  # as many images as a message names


class _HasDestination(Protocol):
    @property
    def destination(self) -> Destination: ...


class _Task(_HasDestination, Protocol):
    @property
    def labels(self) -> tuple[str, ...]: ...


PlacedT = TypeVar("PlacedT", bound=_HasDestination)
TaskT = TypeVar("TaskT", bound=_Task)


def execute(plan: Plan, running: EngineOptions) -> ExecutionResult:
    """Do all of ``plan``.

    Raises:
        CancelledError: stopped; nothing half done has a name.
        BundlerError: the first failure, unless ``running.keep_going``.
    """
    work = _Execution(plan, running)
    work.tell()
    work.each(work.blobs, work.blob)
    work.each([task for task in plan.blobs if task.action == "mount"], work.mount)
    work.each(work.convert(), work.written)
    for _, stage in groupby(work.manifests(), key=lambda task: task.stage):
        work.each(list(stage), work.manifest)
    return work.commit()


class _Execution:
    def __init__(self, plan: Plan, running: EngineOptions) -> None:
        self._plan = plan
        self._running = running
        self._targets = plan.targets
        self._made: dict[tuple[int, Digest, LayerConversion], ConvertedLayer] = {}
        self.blobs = _read_once(task for task in plan.blobs if task.action != "mount")
        self._stop = Cancellation(running.cancellation)
        self._emit = running.emit
        self._failed: dict[str, BundlerError] = {}

    def tell(self) -> None:
        """Say how much there is to do."""
        plan = self._plan
        present = [task for task in self.blobs if task.action == "present"]
        self._emit(
            events.Planned(
                blobs=plan.count("push"),
                size=plan.size("push"),
                present_blobs=len(present) + plan.count("mount"),
                present_size=sum(task.size for task in present) + plan.size("mount"),
            )
        )

    def each(self, tasks: Sequence[TaskT], do: Callable[[TaskT], None]) -> None:
        """Run ``do`` for every task that an image still needs."""
        needed = [task for task in tasks if not all(label in self._failed for label in task.labels)]
        parallel = [task for task in needed if task.destination.capabilities.writers != 1]
        serial = [task for task in needed if task.destination.capabilities.writers == 1]
        serial.sort(key=_is_no_layer)  # archives put layers first
        thunks = [partial(self._guarded, do, task) for task in parallel]
        for _, queue in _by_destination(serial):
            thunks.append(partial(self._in_turn, do, queue))
        run_all(self._running.executor, thunks, self._stop)

    def blob(self, task: BlobTask) -> None:
        """Push a blob, or make sure that the one that is there already is what it should be."""
        node, source, destination = task.node, task.origin, task.destination
        if task.change is not None:
            self._change(task, task.change)
            return
        if task.action == "push":
            blob_transfer.push_blob(node, source, destination, self._stop, self._emit)
            return
        if isinstance(destination, ReadableDestination) and not blob_transfer.is_intact(
            node, destination, self._stop, self._emit
        ):
            self._emit(events.Notice(f"{node.digest} was damaged at the destination: copied anew"))
            blob_transfer.push_blob(node, source, destination, self._stop, self._emit)
        elif self._running.read_everything:
            blob_transfer.check_blob(node, source, self._stop, self._emit)

    def mount(self, task: BlobTask) -> None:
        """Have the registry take a blob from a neighbouring repository, or else push it."""
        destination = task.destination
        mounted = False
        if task.mount_from is not None and isinstance(destination, MountsBlobs):
            with suppress(RegistryError):
                mounted = destination.mount(task.node, task.mount_from)
        if not mounted:
            blob_transfer.push_blob(task.node, task.origin, destination, self._stop, self._emit)

    def convert(self) -> list[_WrittenTask]:
        """Rewrite the images whose form changes; what nobody had before, and has to be pushed."""
        tasks: list[_WrittenTask] = []
        targets: list[Target] = []
        for target in self._targets:
            label = target.image.label
            if target.recipe is None or label in self._failed:
                targets.append(target)
                continue
            convert = _Convert(target.destination, (label,), target, target.recipe, self._made)
            self._guarded(_Convert.run, convert)
            if convert.new is None:
                continue
            image = target.image
            targets.append(replace(target, image=replace(image, graph=convert.new.graph)))
            tasks += [
                _WrittenTask(target.destination, (label,), node, raw)
                for node, raw in convert.new.new_content.items()
            ]
        self._targets = tuple(targets)
        return tasks

    def written(self, task: _WrittenTask) -> None:
        """Push a config that was written here."""
        self._stop.check()
        blob_transfer.push_bytes(task.node, task.raw, task.destination)

    def manifests(self) -> tuple[ManifestTask, ...]:
        """All manifests, children first, in the form that they have now."""
        if any(target.recipe is not None for target in self._targets):
            return manifest_tasks(self._targets)
        return self._plan.manifests

    def manifest(self, task: ManifestTask) -> None:
        """Push a manifest, unless the destination has it, whole."""
        self._stop.check()
        blob_transfer.push_manifest(task.manifest, task.destination)

    def commit(self) -> ExecutionResult:
        """Let names stand for what has arrived, at all destinations at once."""
        self._stop.check()
        whole = [item for item in self._targets if item.image.label not in self._failed]
        commits = [_Commit(*group) for group in _by_destination(whole)]
        tasks = [partial(self._guarded, _Commit.run, item) for item in commits]
        run_all(self._running.executor, tasks, self._stop)
        done = [item for item in whole if item.image.label not in self._failed]
        for target in done:
            for name in target.names:
                root = target.image.graph.root
                self._emit(events.ImagePublished(name, root.digest.text))
        return ExecutionResult(tuple(done), dict(self._failed))

    def _change(self, task: BlobTask, change: LayerChange) -> None:
        """Make a layer what it is to be; one that is there already may stay as it is."""
        from bundler.copy.convert.layer_pipeline import ConversionContext, convert_layer  # noqa: PLC0415 - only where layers change

        if task.action == "present":
            layer = change.layer
            made = ConvertedLayer(layer, parse_compression(layer.media_type))
        else:
            shop = ConversionContext(self._stop, self._emit, self._running.scratch)
            made = convert_layer(change, task.origin, task.destination, shop)
        self._made[id(task.destination), change.layer.digest, change.conversion] = made

    def _in_turn(self, do: Callable[[TaskT], None], tasks: Sequence[TaskT]) -> None:
        for task in tasks:
            self._guarded(do, task)

    def _guarded(self, do: Callable[[TaskT], None], task: TaskT) -> None:
        """With ``keep_going`` a failure is the failure of the images that needed the task."""
        try:
            do(task)
        except CancelledError:
            raise
        except BundlerError as error:
            if isinstance(error, IntegrityError):
                error.message += f" (in {shortlist(task.labels, _NAMED)})"
            if not self._running.keep_going:
                raise
            for label in task.labels:
                self._failed.setdefault(label, error)


@dataclass(slots=True)
class _WrittenTask:
    destination: Destination
    labels: tuple[str, ...]
    node: Node
    raw: bytes


@dataclass(slots=True)
class _Convert:
    destination: Destination
    labels: tuple[str, ...]
    target: Target
    recipe: ConversionPlan
    made: Mapping[tuple[int, Digest, LayerConversion], ConvertedLayer]
    new: ConvertedGraph | None = None

    def run(self) -> None:
        from bundler.copy.convert.rewrite import rewrite_graph  # noqa: PLC0415 - where nothing changes it is not needed

        image = self.target.image
        self.new = rewrite_graph(
            image.graph, self.recipe, self._made, image.label, self.target.changes.target_name
        )

    def _made(self, change: LayerChange) -> ConvertedLayer:
        return self.made[id(self.destination), change.layer.digest, change.conversion]


def _read_once(tasks: Iterable[BlobTask]) -> list[BlobTask]:
    """One task for a blob that is only read at its source, however many places have it already."""
    merged: dict[object, BlobTask] = {}
    for task in tasks:
        place = task.destination
        only_read = task.action == "present" and not isinstance(place, ReadableDestination)
        only_read = only_read and task.change is None
        treatment = task.change and task.change.conversion
        key = (None if only_read else id(place), id(task.origin), task.node.digest, treatment)
        known = merged.setdefault(key, task)
        if known is not task:
            labels = dict.fromkeys((*known.labels, *task.labels))
            merged[key] = replace(known, labels=tuple(labels))
    return list(merged.values())


@dataclass(frozen=True, slots=True)
class _Commit:
    destination: Destination
    targets: Sequence[Target]

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(target.image.label for target in self.targets)

    def run(self) -> None:
        if isinstance(self.destination, StoresSignatures):
            for target in self.targets:
                for digest, signatures in target.image.signatures.items():
                    self.destination.push_signatures(digest, signatures)
        self.destination.commit(
            [image for target in self.targets for image in publications(target)]
        )


def _is_no_layer(task: _Task) -> bool:
    return isinstance(task, BlobTask) and task.node.kind != "layer"


def _by_destination(items: Iterable[PlacedT]) -> list[tuple[Destination, list[PlacedT]]]:
    groups: dict[int, tuple[Destination, list[PlacedT]]] = {}
    for item in items:
        groups.setdefault(id(item.destination), (item.destination, []))[1].append(item)
    return list(groups.values())
