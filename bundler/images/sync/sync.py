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
from typing import TYPE_CHECKING, Any, Literal, NoReturn, Self

from bundler import events, transports
from bundler.copy.engine import execute
from bundler.copy.image import find_unique_blobs
from bundler.copy.parallel import run_collecting_errors
from bundler.copy.plan import create_plan
from bundler.copy.planned_image import PlannedImage
from bundler.copy.resolving.resolve import resolve
from bundler.copy.target_names import compare_with_target
from bundler.errors import (
    BundlerError,
    MissingImagesError,
    NotFoundError,
    PartialError,
    be,
    count,
)
from bundler.events import BlobTotal, TransferTotals
from bundler.images.copy_image import TransferOptions, create_resolved_event
from bundler.images.sync import sources, targets
from bundler.ports import Destination, ReadableDestination, Source, TagResolver

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.copy.engine import EngineOptions
    from bundler.copy.image import ResolvedImage
    from bundler.images.sync.sources import ListingFailure, SyncSource
    from bundler.images.sync.targets import SyncDestination, SyncTarget
    from bundler.oci.digest import Digest
    from bundler.ports import OpenOptions, Reference
    from bundler.signature_ports import PolicyCheck, SignManifest
    from bundler.transports.target_reference import TargetReference

SyncState = Literal["new", "present", "copied", "failed"]

_BATCH_SIZE = 256


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """The images to copy, and their destination."""

    source: SyncSource
    destination: SyncDestination
    transfer: TransferOptions = field(default_factory=TransferOptions)
    refuse_existing: bool = False
    """Raise an error, before anything is copied, if the directory of an image exists."""

    def with_signer(self, sign_manifest: SignManifest | None) -> Self:
        """Return the request with another signer."""
        return replace(self, transfer=replace(self.transfer, sign_manifest=sign_manifest))


@dataclass(frozen=True, slots=True)
class SyncedImage:
    """The result for one image; in a dry run, the expected one."""

    source: str
    destination: str
    state: SyncState
    digest: Digest | None = None
    """The root at the destination; None if the image failed."""
    error: BundlerError | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON."""
        return {
            "source": self.source,
            "destination": self.destination,
            "state": self.state,
            "digest": self.digest and self.digest.text,
            "error": self.error and str(self.error),
        }


@dataclass(frozen=True, slots=True)
class SyncReport:
    """The results for all images, in the order in which they were listed."""

    images: tuple[SyncedImage, ...]
    unlisted: tuple[ListingFailure, ...]
    totals: TransferTotals
    """The blobs that were transferred."""
    omitted: int = 0
    """The number of foreign layers that are not copied, because the destination accepts URLs."""

    @property
    def failures(self) -> list[str]:
        """A message for each image or repository that failed."""
        errors = [(item.subject, item.error) for item in self.unlisted]
        errors += [(image.source, image.error) for image in self.images if image.error]
        return [error.message_about(subject) for subject, error in errors]

    def count(self, state: SyncState) -> int:
        """Return the number of images with ``state``."""
        return sum(image.state == state for image in self.images)

    def digest_lines(self) -> str:
        """Return a line ``DIGEST DESTINATION`` for each image at the destination."""
        return "".join(f"{line.digest} {line.destination}\n" for line in self.images if line.digest)

    def check(self) -> None:
        """Check that all images are at the destination.

        Raises:
            PartialError: some images failed.
        """
        if failures := self.failures:
            done = self.count("copied") + self.count("present")
            message = f"{done} of {count(len(self.images), 'image')} {be(done)} at the destination"
            if number := len(self.unlisted):
                message += f"; {count(number, 'source')} {be(number)} not listed"
            raise PartialError(message, failures)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON; sizes are in bytes."""
        return {
            "images": [image.to_json() for image in self.images],
            "leftOut": [{"name": item.subject, "error": str(item.error)} for item in self.unlisted],
            **self.totals.to_json(),
            **({"omittedLayers": self.omitted} if self.omitted else {}),
        }


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

    Access settings in a YAML file are added to ``source_options``. With ``engine.keep_going``,
    errors are in the report. With ``dry_run``, nothing is copied. ``policy_check`` rejects images
    that the policy does not accept; None: no check.

    Raises:
        BundlerError: the first failure; the images of previous batches remain copied.
    """
    targets.check_location(request.destination)
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
        targets.warn_of_unused_rules(listing.images, request.destination, engine.emit)
        mapped = targets.map_targets(listing.images, request.destination)
        if request.refuse_existing:
            targets.check_not_existing(mapped)
        mapped = targets.merge_duplicates(mapped, engine.emit, last_wins=request.source.lenient)
        sync = _Sync(
            request, source_options, destination_options, engine, policy_check, len(mapped), dry_run
        )
        if not engine.keep_going:
            sync.missing = {
                item.subject: item.error
                for item in unlisted
                if isinstance(item.error, NotFoundError)
            }
            if sync.missing and not mapped:
                raise MissingImagesError.join(sync.missing)
        commits_once = any(item.target.commits_once for item in mapped)
        size = max(1, len(mapped)) if commits_once else _BATCH_SIZE
        for start in range(0, len(mapped), size):
            sync.copy_batch(mapped[start : start + size])
    report = SyncReport(tuple(sync.images), unlisted, sync.totals, sync.omitted)
    done = len(report.images) - report.count("failed")
    engine.emit(events.SyncFinished(done, listing.source_count))
    return report


@dataclass(frozen=True, slots=True)
class _Resolved:
    """A resolved image, the expected result, and the planned image if it is to be copied."""

    expected: SyncedImage
    image: ResolvedImage
    event: events.ImageResolved
    planned: PlannedImage[Destination] | None = None
    is_named: bool = True
    """Whether the destination has the name, if the image has one, for this digest."""
    present_at: Destination | None = None
    """The destination that has the image; None: it is to be copied."""


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
    missing: dict[str, NotFoundError] = field(default_factory=dict)
    """The errors of repositories that do not exist, because of which nothing is copied."""
    images: list[SyncedImage] = field(default_factory=list)
    totals: TransferTotals = field(default_factory=TransferTotals)
    omitted: int = 0

    def copy_batch(self, batch: Sequence[SyncTarget]) -> None:
        """Copy some of the images with one plan; raise the first failure unless ``keep_going``."""
        engine = self._engine
        published: dict[str, Digest] = {}
        failed: dict[str, BundlerError] = {}
        changed: frozenset[str] = frozenset()
        counted: set[tuple[Destination, Digest | None]] = set()
        with ExitStack() as stack:
            endpoints = _OpenEndpoints(stack)
            tasks = [partial(self._resolve, item, endpoints) for item in batch]
            resolved = run_collecting_errors(engine.executor, tasks, engine.cancellation)
            self._report_resolved(batch, resolved)
            planned_images = [
                item.planned for item in resolved if isinstance(item, _Resolved) and item.planned
            ]
            if planned_images:
                plan = create_plan(planned_images, engine.executor, engine.cancellation)
                execution = execute(plan, engine)
                self.totals += execution.totals
                self.omitted += len(plan.foreign)
                failed = execution.failed
                for planned in execution.published:
                    published[planned.image.display_name] = planned.image.graph.root.digest
                changed = execution.changed
                counted |= {(task.destination, task.node.digest) for task in plan.blobs}
            for result in resolved:
                if isinstance(result, _Resolved):
                    self._count_present(result, counted)
        for item, result in zip(batch, resolved, strict=True):
            label = item.image.display_name
            if isinstance(result, BundlerError):
                error = result
            elif result.planned is None:
                self.images.append(result.expected)
                continue
            elif label in published:
                is_present = result.is_named and label not in changed
                state: SyncState = "present" if is_present else "copied"
                copied = replace(result.expected, state=state, digest=published[label])
                self.images.append(copied)
                continue
            else:
                error = failed[label]
            self.images.append(SyncedImage(label, str(item), "failed", error=error))
            engine.emit(events.Skipped(label, str(error), error))

    def _resolve(self, item: SyncTarget, endpoints: _OpenEndpoints) -> _Resolved:
        """Resolve an image, and check whether it is present at the target."""
        transfer = self._request.transfer
        source = endpoints.open_source(item.image.source, self._source_options)
        sign = transfer.create_signer(item.target.reference, item.target_name)
        image_request = transfer.create_request(item.image, reads_platform=False)
        image = resolve(image_request, source, self._policy_check, self._engine.emit)
        root = image.graph.root.digest
        event = create_resolved_event(image.graph, image.signatures)
        expected = SyncedImage(item.image.display_name, str(item), "copied", root)
        if self._dry_run and not item.is_remote:
            return _Resolved(replace(expected, state="new"), image, event)
        destination = endpoints.open_destination(item.target, self._destination_options)
        options = transfer.conversion.for_endpoints(source, item.target_name)
        is_changed = bool(image.signatures or sign or options.changes_images)
        is_named = not is_changed
        if item.name is not None:
            is_named = False
            if not is_changed and isinstance(destination, TagResolver):
                (state,) = compare_with_target([(item.name, root)], destination)
                is_named = state.is_same
        # In a registry, a name guarantees that the image is complete. A local destination may
        # contain an incomplete image, so its blobs are checked individually.
        is_complete = item.name is not None and not isinstance(destination, ReadableDestination)
        if is_named and is_complete and not image.referrers:
            present = replace(expected, state="present")
            return _Resolved(present, image, event, present_at=destination)
        if self._dry_run:
            return _Resolved(replace(expected, state="new"), image, event)
        names = () if item.name is None else (item.name,)
        planned = PlannedImage(image, destination, names, options=options, sign=sign)
        return _Resolved(expected, image, event, planned, is_named)

    def _count_present(
        self, item: _Resolved, counted: set[tuple[Destination, Digest | None]]
    ) -> None:
        """Add the blobs of a present image to the totals, each once per destination."""
        destination = item.present_at
        if destination is None:
            return
        sizes = []
        for digest, node in find_unique_blobs([item.image]).items():
            if (destination, digest) not in counted:
                counted.add((destination, digest))
                sizes.append(node.size or 0)
        self.totals += TransferTotals(present=BlobTotal.of(sizes))

    def _report_resolved(
        self, batch: Sequence[SyncTarget], resolved: Sequence[_Resolved | BundlerError]
    ) -> None:
        """Emit events for each image, in order, before anything is copied."""
        emit = self._engine.emit
        for number, (item, result) in enumerate(
            zip(batch, resolved, strict=True), len(self.images) + 1
        ):
            emit(events.ImageStarted(item.image.display_name, str(item), number, self._total))
            if isinstance(result, BundlerError) and not self._engine.keep_going:
                self._raise_failure(result, batch, resolved)
        if self.missing:
            self._raise_failure(next(iter(self.missing.values())), batch, resolved)
        for result in resolved:
            if isinstance(result, BundlerError):
                continue
            if result.expected.state == "present":
                root = str(result.expected.digest)
                emit(events.ImagePresent(result.expected.destination, root, result.event))
            elif result.planned is not None:
                emit(result.event)

    def _raise_failure(
        self,
        failure: BundlerError,
        batch: Sequence[SyncTarget],
        resolved: Sequence[_Resolved | BundlerError],
    ) -> NoReturn:
        """Raise ``failure``; if an image or a repository does not exist, raise all such errors."""
        if not isinstance(failure, NotFoundError):
            raise failure
        missing = self.missing | {
            item.image.display_name: error
            for item, error in zip(batch, resolved, strict=True)
            if isinstance(error, NotFoundError)
        }
        raise MissingImagesError.join(missing)


class _OpenEndpoints:
    """The sources and destinations of one batch, each opened once. Thread-safe."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._lock = threading.Lock()
        self._sources: dict[Reference, Source] = {}
        self._destinations: dict[str, Destination] = {}

    def open_source(self, reference: Reference, options: OpenOptions) -> Source:
        with self._lock:
            if reference not in self._sources:
                self._sources[reference] = source = transports.open_source(reference, options)
                self._stack.callback(source.close)
            return self._sources[reference]

    def open_destination(self, target: TargetReference, options: OpenOptions) -> Destination:
        with self._lock:
            if target.scope not in self._destinations:
                destination = transports.open_destination(target.reference, options)
                self._destinations[target.scope] = destination
                self._stack.callback(destination.close)
            return self._destinations[target.scope]
