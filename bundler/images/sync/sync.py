"""Copy many images, in batches, without the content that is present at the destination.

The manifests of a batch are read in parallel, and the batch is copied with one plan, so a blob that
several images share is copied once. The batch size limits the number of manifests in memory and of
open directories.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from bundler import events, transports
from bundler.copy.engine import execute
from bundler.copy.parallel import run_collecting_errors
from bundler.copy.plan import Target, create_plan
from bundler.copy.resolve import resolve
from bundler.copy.target_names import compare_with_target
from bundler.errors import BundlerError
from bundler.images.copy_image import TransferOptions, create_resolved_event
from bundler.images.sync import sources, targets
from bundler.images.sync.report import SyncedImage, SyncReport
from bundler.ports import Destination, ReadableDestination, Source, TagResolver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.copy.engine import EngineOptions
    from bundler.copy.plan import Plan
    from bundler.images.sync.sources import SyncSource
    from bundler.images.sync.targets import SyncDestination, SyncTarget
    from bundler.oci.digest import Digest
    from bundler.ports import OpenOptions, PolicyCheck, Reference
    from bundler.transports.target_reference import TargetReference

_BATCH_SIZE = 256


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """The images to copy, and their destination."""

    source: SyncSource
    destination: SyncDestination
    transfer: TransferOptions = field(default_factory=TransferOptions)
    refuse_existing: bool = False
    """Raise an error, before anything is copied, if the directory of an image exists."""


def sync_images(
    request: SyncRequest,
    source_options: OpenOptions,
    destination_options: OpenOptions,
    engine: EngineOptions,
    *,
    policy_check: PolicyCheck | None = None,
    dry_run: bool = False,
) -> SyncReport:
    """Copy all images of the source that are missing at the destination.

    Args:
        request: the images and their destination.
        source_options: options for opening the sources, with access settings of a YAML file added.
        destination_options: options for opening the destination.
        engine: options for executing plans; with ``keep_going``, errors are in the report.
        policy_check: rejects images that the policy does not accept; None: no check.
        dry_run: report which images would be copied, but copy nothing.

    Raises:
        BundlerError: the first failure; the images of previous batches remain copied.
    """
    with ExitStack() as stack:
        listing = sources.list_images(request.source, source_options, engine, stack)
        unlisted = listing.unlisted
        if request.source.lenient:  # report them, but not as failures
            for item in unlisted:
                engine.emit(events.Skipped(item.subject, str(item.error), item.error))
            unlisted = ()
        source_options = replace(
            source_options, overrides={**source_options.overrides, **listing.overrides}
        )
        mapped = targets.map_targets(listing.images, request.destination)
        if request.refuse_existing:
            targets.check_not_existing(mapped)
        mapped = targets.merge_duplicates(mapped, last_wins=request.source.lenient)
        sync = _Sync(
            request, source_options, destination_options, engine, policy_check, len(mapped), dry_run
        )
        commits_once = any(item.target.commits_once for item in mapped)
        size = max(1, len(mapped)) if commits_once else _BATCH_SIZE
        for start in range(0, len(mapped), size):
            sync.copy_batch(mapped[start : start + size])
    report = SyncReport(tuple(sync.images), unlisted, tuple(sync.plans))
    done = len(report.images) - report.count("failed")
    engine.emit(events.SyncFinished(done, listing.source_count))
    return report


@dataclass(frozen=True, slots=True)
class _Resolved:
    """A resolved image, the expected result, and the target if the image is to be copied."""

    expected: SyncedImage
    event: events.ImageResolved
    target: Target[Destination] | None = None


@dataclass(slots=True)
class _Sync:
    """Copies batches one after another, and collects the results."""

    _request: SyncRequest
    _source_options: OpenOptions
    _destination_options: OpenOptions
    _engine: EngineOptions
    _policy_check: PolicyCheck | None
    _total: int
    _dry_run: bool
    images: list[SyncedImage] = field(default_factory=list)
    plans: list[Plan[Destination]] = field(default_factory=list)

    def copy_batch(self, batch: Sequence[SyncTarget]) -> None:
        """Copy some of the images with one plan.

        Raises:
            BundlerError: the first failure, unless ``keep_going``.
        """
        engine = self._engine
        published: dict[str, Digest] = {}
        failed: dict[str, BundlerError] = {}
        with ExitStack() as stack:
            endpoints = _OpenEndpoints(self._source_options, self._destination_options, stack)
            tasks = [partial(self._resolve, item, endpoints) for item in batch]
            resolved = run_collecting_errors(engine.executor, tasks, engine.cancellation)
            self._report_resolved(batch, resolved)
            targets = [
                item.target for item in resolved if isinstance(item, _Resolved) and item.target
            ]
            if targets:
                plan = create_plan(targets, engine.executor, engine.cancellation)
                self.plans.append(plan)
                execution = execute(plan, engine)
                failed = execution.failed
                for target in execution.published:
                    published[target.image.label] = target.image.graph.root.digest
        for item, result in zip(batch, resolved, strict=True):
            label = item.image.label
            if isinstance(result, BundlerError):
                error = result
            elif result.target is None:
                self.images.append(result.expected)
                continue
            elif label in published:
                self.images.append(replace(result.expected, digest=published[label]))
                continue
            else:
                error = failed[label]
            self.images.append(SyncedImage(label, str(item), "failed", error=error))
            engine.emit(events.Skipped(label, str(error), error))

    def _resolve(self, item: SyncTarget, endpoints: _OpenEndpoints) -> _Resolved:
        """Resolve an image, and check whether it is present at the target."""
        transfer = self._request.transfer
        source = endpoints.open_source(item.image.source)
        image_request = transfer.create_request(item.image, reads_platform=False)
        image = resolve(image_request, source, self._policy_check)
        root, event = image.graph.root.digest, create_resolved_event(image.graph)
        expected = SyncedImage(item.image.label, str(item), "copied", root)
        if self._dry_run and not item.is_remote:
            return _Resolved(replace(expected, state="new"), event)
        destination = endpoints.open_destination(item.target)
        options = transfer.conversion.for_endpoints(source, item.target_name)
        # In a registry, a name guarantees that the image is complete. A local destination may
        # contain an incomplete image, so its blobs are checked individually.
        if (
            item.name is not None
            and isinstance(destination, TagResolver)
            and not isinstance(destination, ReadableDestination)
            and not (image.referrers or image.signatures or options.changes_images)
        ):
            (state,) = compare_with_target([(item.name, root)], destination)
            if state.is_same:
                return _Resolved(replace(expected, state="present"), event)
        if self._dry_run:
            return _Resolved(replace(expected, state="new"), event)
        names = () if item.name is None else (item.name,)
        return _Resolved(expected, event, Target(image, destination, names, options=options))

    def _report_resolved(
        self, batch: Sequence[SyncTarget], resolved: Sequence[_Resolved | BundlerError]
    ) -> None:
        """Emit events for each image, in order, before anything is copied.

        Raises:
            BundlerError: the first failure, unless ``keep_going``.
        """
        emit = self._engine.emit
        for number, (item, result) in enumerate(
            zip(batch, resolved, strict=True), len(self.images) + 1
        ):
            emit(events.ImageStarted(item.image.label, str(item), number, self._total))
            if isinstance(result, BundlerError) and not self._engine.keep_going:
                raise result
        for result in resolved:
            if isinstance(result, BundlerError):
                continue
            if result.expected.state == "present":
                root = str(result.expected.digest)
                emit(events.ImagePresent(result.expected.destination, root, result.event))
            elif result.target is not None:
                emit(result.event)


class _OpenEndpoints:
    """The sources and destinations of one batch, each opened once. Thread-safe."""

    def __init__(
        self, source_options: OpenOptions, destination_options: OpenOptions, stack: ExitStack
    ) -> None:
        self._source_options = source_options
        self._destination_options = destination_options
        self._stack = stack
        self._lock = threading.Lock()
        self._sources: dict[Reference, Source] = {}
        self._destinations: dict[str, Destination] = {}

    def open_source(self, reference: Reference) -> Source:
        with self._lock:
            source = self._sources.get(reference)
            if source is None:
                source = transports.open_source(reference, self._source_options)
                self._sources[reference] = source
                self._stack.callback(source.close)
            return source

    def open_destination(self, target: TargetReference) -> Destination:
        with self._lock:
            destination = self._destinations.get(target.scope)
            if destination is None:
                destination = transports.open_destination(
                    target.reference, self._destination_options
                )
                self._destinations[target.scope] = destination
                self._stack.callback(destination.close)
            return destination
