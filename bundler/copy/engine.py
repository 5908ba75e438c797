"""Execute a plan: blobs first, then manifests, and finally the names.

Each step covers all images of the plan:

1. push blobs, with the planned conversion of layers; verify the blobs that are present
2. mount blobs from repositories of the same registry
3. rewrite manifests and configs of converted images, and push the configs
4. push manifests, children before parents
5. sign manifests, store signatures, and publish the names

If a run is interrupted before step 5, no name has changed. All blobs and manifests that were pushed
are complete and remain at the destination, so a second run transfers only the missing ones.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Protocol, TypeVar

from bundler import events
from bundler.cancel import Cancellation
from bundler.copy import blob_transfer, free_space
from bundler.copy.blob_stage import BlobStage
from bundler.copy.parallel import run_all
from bundler.copy.plan import BlobTask, ManifestTask, Plan, create_manifest_tasks, merge_checks
from bundler.copy.resolving.referrers import leave_incomplete_behind
from bundler.errors import (
    BundlerError,
    CancelledError,
    DisconnectedMediumError,
    IntegrityError,
    NotFoundError,
    RegistryError,
)
from bundler.events import BlobTotal, Emit, TransferTotals, discard
from bundler.ports import (
    Destination,
    Node,
    ReadableDestination,
    ReadsInOrder,
    RefusesReferrers,
)
from bundler.signature_ports import StoresSignatures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Executor
    from pathlib import Path

    from bundler.copy.planned_image import PlannedImage
    from bundler.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Options for the execution of plans."""

    executor: Executor
    """Runs tasks in parallel; the caller shuts it down."""
    cancellation: Cancellation = field(default_factory=Cancellation)
    emit: Emit = discard
    keep_going: bool = False
    """If an image fails, skip it and continue."""
    read_everything: bool = False
    """Read and verify the blobs at the source even if they are present at the destination."""
    read_back: bool = False
    """Read and verify all blobs at the destination before names are published."""
    before_commit: Callable[[], None] | None = None
    """Called when all content is transferred; an error that it raises prevents all names."""
    scratch: Path | None = None
    """Directory for large temporary files; None: ``/var/tmp``."""


@dataclass(frozen=True, slots=True)
class ExecutionResult:
    """The published images, and the failed ones."""

    published: tuple[PlannedImage[Destination], ...]
    failed: dict[str, BundlerError]
    """The errors by label of the image; empty unless ``keep_going``."""
    totals: TransferTotals
    """The blobs that were transferred, and those that needed no transfer."""
    changed: frozenset[str] = frozenset()
    """The labels of the images with a blob or a manifest that the destination did not have."""
    refused_referrers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """The reasons of destinations that refused referrers, by label of the image, and by the tag or
    the digest of the referrer."""


def execute(plan: Plan[Destination], options: EngineOptions) -> ExecutionResult:
    """Execute ``plan``.

    Raises:
        NoSpaceError: a disk is too small; nothing was written.
        CancelledError: the run was cancelled; names may have changed only if it was committing.
        BundlerError: the first failure, unless ``options.keep_going``.
    """
    execution = _Execution(plan, options)
    free_space.check_plan(plan)
    execution.report_plan()
    try:
        execution.run_each(execution.transfers, execution.blobs.transfer)
        execution.run_each(execution.mounts, execution.blobs.mount)
        execution.leave_referrers_behind()
        execution.run_each(execution.rewrite_manifests(), execution.push_content)
        for _, stage in groupby(execution.list_manifests(), key=lambda task: task.stage):
            execution.run_each(list(stage), execution.push_manifest)
        if options.read_back:
            execution.read_back_blobs()
        if options.before_commit is not None:
            options.before_commit()
        return execution.commit()
    except (CancelledError, RegistryError) as error:
        error.state_kept(execution.keeps_blobs)
        raise


class _Task(Protocol):
    @property
    def destination(self) -> Destination: ...
    @property
    def labels(self) -> tuple[str, ...]: ...


TaskT = TypeVar("TaskT", bound=_Task)


@dataclass(frozen=True, slots=True)
class _ContentTask:
    """Content to push that was created by a conversion."""

    destination: Destination
    labels: tuple[str, ...]
    node: Node
    raw: bytes


class _Execution:
    def __init__(self, plan: Plan[Destination], options: EngineOptions) -> None:
        self._plan = plan
        self._options = options
        self._emit = options.emit
        self._cancellation = Cancellation(options.cancellation)
        self._images = plan.images
        destinations = dict.fromkeys(planned.destination for planned in plan.images)
        self._serial = [item for item in destinations if item.capabilities.writers == 1]
        self.keeps_blobs = all(item.capabilities.keeps_blobs for item in destinations)
        self.blobs = BlobStage(
            self._cancellation,
            options.emit,
            read_everything=options.read_everything,
            scratch=options.scratch,
        )
        self._changed: set[str] = set()
        self._failed: dict[str, BundlerError] = {}
        self._refused: dict[str, dict[str, str]] = {}
        self.mounts = [task for task in plan.blobs if task.action == "mount"]
        self.transfers = merge_checks(plan.blobs)

    def report_plan(self) -> None:
        checked = [
            task.size
            for task in self.transfers
            if task.action == "present"
            and task.change is None
            and (self._options.read_everything or isinstance(task.destination, ReadableDestination))
        ]
        totals = replace(self._plan.totals, checked=BlobTotal.of(checked))
        self._emit(events.Planned(totals, keeps_blobs=self.keeps_blobs))

    def run_each(self, tasks: Sequence[TaskT], perform: Callable[[TaskT], None]) -> None:
        """Perform the tasks in parallel, except those that only failed images need."""

        def perform_all(tasks: Iterable[TaskT]) -> None:
            for task in tasks:
                with self._record_failure(task.labels):
                    perform(task)

        needed = [task for task in tasks if not all(label in self._failed for label in task.labels)]
        queues = [[task] for task in needed if task.destination not in self._serial]
        if any(
            isinstance(task, BlobTask) and isinstance(task.source, ReadsInOrder) for task in needed
        ):
            queues = []
            perform_all(needed)
        # A single writer receives one blob at a time, and an archive stores layers first.
        for destination in self._serial:
            queue = [task for task in needed if task.destination is destination]
            if destination.capabilities.layers_first:
                queue.sort(
                    key=lambda task: isinstance(task, BlobTask) and task.node.kind != "layer"
                )
            queues.append(queue)
        if any(queues):
            calls = [partial(perform_all, queue) for queue in queues]
            run_all(self._options.executor, calls, self._cancellation)

    def leave_referrers_behind(self) -> None:
        """Leave out the referrers with blobs that do not exist at their source."""
        if self.blobs.absent:
            self._images = tuple(
                replace(
                    planned,
                    image=leave_incomplete_behind(planned.image, self.blobs.absent, self._emit),
                )
                for planned in self._images
            )

    def rewrite_manifests(self) -> list[_ContentTask]:
        """Rewrite the manifests of converted images; return tasks for new configs."""
        tasks: list[_ContentTask] = []
        planned_images: list[PlannedImage[Destination]] = []
        for planned in self._images:
            image, destination = planned.image, planned.destination
            if planned.conversion is None or image.display_name in self._failed:
                planned_images.append(planned)
                continue
            from bundler.copy.convert.rewrite import rewrite_graph  # noqa: PLC0415 - only if images are converted

            with self._record_failure((image.display_name,)):
                graph, new_content = rewrite_graph(
                    image.graph,
                    planned.conversion,
                    partial(self.blobs.find_converted, destination=destination),
                    image.display_name,
                    None if planned.options is None else planned.options.target_name,
                )
                planned_images.append(replace(planned, image=replace(image, graph=graph)))
                tasks += [
                    _ContentTask(destination, (image.display_name,), node, raw)
                    for node, raw in new_content.items()
                ]
        self._images = tuple(planned_images)
        return tasks

    def push_content(self, task: _ContentTask) -> None:
        self._cancellation.check()
        blob_transfer.push_bytes(task.node, task.raw, task.destination)

    def list_manifests(self) -> tuple[ManifestTask[Destination], ...]:
        """Return the tasks for all manifests, including the rewritten ones."""
        if self.blobs.absent or any(planned.conversion is not None for planned in self._images):
            return create_manifest_tasks(self._images)
        return self._plan.manifests

    def push_manifest(self, task: ManifestTask[Destination]) -> None:
        self._cancellation.check()
        if blob_transfer.push_manifest(task.manifest, task.destination):
            self._changed.update(task.labels)

    def read_back_blobs(self) -> None:
        from bundler.copy import read_back  # noqa: PLC0415 - on request

        self.run_each(read_back.list_blobs(self._images), partial(read_back.verify, self._options))

    def commit(self) -> ExecutionResult:
        """Publish the names of all complete images, at all destinations in parallel."""
        self._cancellation.check()
        groups: dict[Destination, list[PlannedImage[Destination]]] = {}
        for planned in self._images:
            if planned.image.display_name not in self._failed:
                groups.setdefault(planned.destination, []).append(planned)

        def commit_to(
            destination: Destination, planned_images: Sequence[PlannedImage[Destination]]
        ) -> None:
            with self._record_failure([planned.image.display_name for planned in planned_images]):
                if isinstance(destination, StoresSignatures):
                    for planned in planned_images:
                        for digest, signatures in planned.list_signatures():
                            destination.push_signatures(digest, signatures)
                destination.commit(
                    [image for planned in planned_images for image in planned.list_publications()]
                )
                if isinstance(destination, RefusesReferrers):
                    self._record_refusals(destination.refused_referrers, planned_images)

        commits = [partial(commit_to, *group) for group in groups.items()]
        run_all(self._options.executor, commits, self._cancellation)
        published = [
            planned for planned in self._images if planned.image.display_name not in self._failed
        ]
        for planned in published:
            for name in planned.names:
                digest = planned.image.graph.root.digest
                self._emit(events.ImagePublished(name, digest.text))
        totals = self.blobs.count(self._plan)
        self._emit(events.Completed(totals))
        return ExecutionResult(
            tuple(published),
            dict(self._failed),
            totals,
            frozenset(self._changed | self.blobs.changed),
            dict(self._refused),
        )

    def _record_refusals(
        self,
        refused: Mapping[Digest, BundlerError],
        planned_images: Sequence[PlannedImage[Destination]],
    ) -> None:
        """Report each referrer that a destination refused, with its image."""
        for planned in planned_images:
            label = planned.image.display_name
            for referrer in planned.image.referrers:
                error = refused.get(referrer.graph.root.digest)
                if error is not None:
                    name = referrer.tag or referrer.graph.root.digest.text
                    self._refused.setdefault(label, {})[name] = error.message
                    problem = f"{label}: referrer {name}: not stored: {error.message}"
                    self._emit(events.WarningIssued(problem))

    @contextmanager
    def _record_failure(self, labels: Sequence[str]) -> Iterator[None]:
        """Record an error for the images with ``labels``, or without ``keep_going``, raise it."""
        try:
            yield
        except (CancelledError, DisconnectedMediumError):
            raise
        except BundlerError as error:
            if isinstance(error, IntegrityError | NotFoundError):
                error.add_images(labels)
            if not self._options.keep_going:
                raise
            for label in labels:
                self._failed.setdefault(label, error.without_traceback())
