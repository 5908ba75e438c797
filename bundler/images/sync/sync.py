"""Copy many images at once, and only what the destination has not yet.

All images of a wave go through the engine as one plan: their manifests are read in parallel, a
blob that several of them share moves once, and no image waits for another. A wave bounds how many
manifests are in memory and how many directories are open.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

from bundler import events, transports
from bundler.copy.convert.options import NO_CONVERSION, ConversionOptions
from bundler.copy.engine import execute
from bundler.copy.parallel import run_collecting_errors
from bundler.copy.plan import Target, create_plan
from bundler.copy.platform_selection import EVERYTHING, Selection
from bundler.copy.request import ImageRequest, SignaturePolicy
from bundler.copy.resolve import resolve
from bundler.copy.resolved_event import create_resolved_event
from bundler.errors import BundlerError, NotFoundError
from bundler.images.sync import destinations, sources
from bundler.images.sync.report import Line, SyncReport
from bundler.ports import Destination, ReadableDestination, Source, TagResolver

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bundler.copy.engine import EngineOptions, ExecutionResult
    from bundler.copy.plan import Plan
    from bundler.images.sync.destinations import Naming, Placed
    from bundler.images.sync.sources import SyncListing, SyncSource
    from bundler.oci.digest import Digest
    from bundler.ports import OpenOptions, PolicyCheck, Reference

_WAVE = 256


@dataclass(frozen=True, slots=True)
class SyncRequest:
    """What to copy, and where to."""

    question: SyncSource
    naming: Naming
    selection: Selection = EVERYTHING
    referrers: bool = False
    changes: ConversionOptions = NO_CONVERSION
    signatures: SignaturePolicy = "all"
    refuse_existing: bool = False
    """Copy nothing if one of the directories is there already."""


def sync_images(
    order: SyncRequest,
    reading: OpenOptions,
    writing: OpenOptions,
    running: EngineOptions,
    *,
    admit: PolicyCheck | None = None,
    dry_run: bool = False,
) -> SyncReport:
    """Copy all images that ``order`` asks for; with ``dry_run`` only find out which these are.

    Args:
        order: what to copy.
        reading: how to open the sources; what a file says of its registries is added.
        writing: how to open the destination.
        running: how to go about it; with ``keep_going``, what fails is in the report.
        admit: says whether an image may be copied; None: every one.
        dry_run: whether nothing is to be moved.

    Raises:
        BundlerError: the first failure; images of earlier waves are copied, and a re-run goes on.
    """
    with ExitStack() as stack:
        found = sources.find(order.question, reading, running, stack)
        left_out = _left_out(order, found, running)
        reading = replace(reading, overrides={**reading.overrides, **found.options})
        placed = _placed(order, found)
        work = _Work(order, reading, writing, running, admit, len(placed), dry_run=dry_run)
        size = max(_WAVE, len(placed)) if destinations.written_once(order.naming) else _WAVE
        for start in range(0, len(placed), size):
            work.wave(placed[start : start + size])
    report = SyncReport(tuple(work.lines), left_out, tuple(work.plans))
    done = len(report.lines) - report.count("failed")
    running.emit(events.SyncFinished(done, found.sources))
    return report


def _placed(order: SyncRequest, found: SyncListing) -> list[Placed]:
    """The place of each image; all that can be wrong with them is known before one moves."""
    lenient = order.question.lenient
    wanted = [destinations.place(item, order.naming) for item in found.images]
    if order.refuse_existing:
        destinations.refuse_existing(wanted)
    return destinations.distinct(wanted, last_wins=lenient)


def _left_out(
    order: SyncRequest, found: SyncListing, running: EngineOptions
) -> tuple[sources.LeftOut, ...]:
    """What could not be listed and counts as a failure; with ``lenient`` it is only told."""
    if not order.question.lenient:
        return found.left_out
    for item in found.left_out:
        running.emit(events.Skipped(item.what, str(item.error), item.error))
    return ()


@dataclass(frozen=True, slots=True)
class _Inspected:
    """An image as it is at its source, and what is to be done for it."""

    digest: Digest
    target: Target[Destination] | None
    """None: the destination has it, or nothing is to be moved."""
    parts: events.ImageResolved
    present: bool = False


@dataclass(slots=True)
class _Work:
    order: SyncRequest
    reading: OpenOptions
    writing: OpenOptions
    running: EngineOptions
    admit: PolicyCheck | None
    count: int
    dry_run: bool
    lines: list[Line] = field(default_factory=list)
    plans: list[Plan[Destination]] = field(default_factory=list)

    def wave(self, placed: Sequence[Placed]) -> None:
        """Copy some of the images, all at once."""
        with ExitStack() as stack:
            opened = _OpenEndpoints(self.reading, self.writing, stack)
            tasks = [partial(self._look, item, opened) for item in placed]
            looked = run_collecting_errors(self.running.executor, tasks, self.running.cancellation)
            self._tell(placed, looked)
            targets = [
                item.target for item in looked if isinstance(item, _Inspected) and item.target
            ]
            outcome = self._copy(targets)
        published = () if outcome is None else outcome.published
        roots = {one.image.label: one.image.graph.root.digest for one in published}
        for item, result in zip(placed, looked, strict=True):
            line = _line(item, result, outcome, roots)
            self.lines.append(line)
            if line.error is not None:
                self.running.emit(events.Skipped(line.source, str(line.error), line.error))

    def _tell(self, placed: Sequence[Placed], looked: Sequence[_Inspected | BundlerError]) -> None:
        """Say of each image what is to come, in their order, before anything moves.

        Raises:
            BundlerError: the first that cannot be copied, unless the others are to be.
        """
        emit = self.running.emit
        for number, (item, result) in enumerate(zip(placed, looked, strict=True), len(self.lines)):
            emit(events.ImageStarted(item.sought.label, item.shown, number + 1, self.count))
            if isinstance(result, BundlerError) and not self.running.keep_going:
                raise result
        for item, found in zip(placed, looked, strict=True):
            if isinstance(found, BundlerError):
                continue
            if found.present:
                emit(events.ImagePresent(item.shown, found.digest.text, found.parts))
            elif found.target is not None:
                emit(found.parts)

    def _look(self, item: Placed, opened: _OpenEndpoints) -> _Inspected:
        """Find out what is to be done for an image."""
        sought, order = item.sought, self.order
        source = opened.source(sought.place)
        request = ImageRequest(
            sought,
            selection=order.selection,
            referrers="all" if order.referrers else "none",
            signatures=order.signatures,
            reads_platform=False,
        )
        image = resolve(request, source, self.admit)
        root, parts = image.graph.root.digest, create_resolved_event(image.graph)
        if self.dry_run and not item.remote:
            return _Inspected(root, None, parts)
        destination = opened.destination(item.place)
        changes = order.changes.for_endpoints(source, item.image)
        more = image.referrers or image.signatures or changes.changes_images
        if not more and _holds(destination, item.name, root):
            return _Inspected(root, None, parts, present=True)
        names = () if item.name is None else (item.name,)
        target = Target(image, destination, names, options=changes)
        return _Inspected(root, None if self.dry_run else target, parts)

    def _copy(self, targets: Sequence[Target[Destination]]) -> ExecutionResult | None:
        if not targets:
            return None
        made = create_plan(targets, self.running.executor, self.running.cancellation)
        self.plans.append(made)
        return execute(made, self.running)


class _OpenEndpoints:
    """The places of one wave, each opened once, by whoever comes first."""

    def __init__(self, reading: OpenOptions, writing: OpenOptions, stack: ExitStack) -> None:
        self._reading = reading
        self._writing = writing
        self._stack = stack
        self._lock = threading.Lock()
        self._sources: dict[str, Source] = {}
        self._destinations: dict[str, Destination] = {}

    def source(self, reference: Reference) -> Source:
        """The place that ``reference`` names, for reading."""
        key = str(reference)
        with self._lock:
            if key not in self._sources:
                opened = transports.open_source(reference, self._reading)
                self._sources[key] = opened
                self._stack.callback(opened.close)
            return self._sources[key]

    def destination(self, reference: Reference) -> Destination:
        """The place that ``reference`` names, for writing."""
        key = str(reference)
        with self._lock:
            if key not in self._destinations:
                opened = transports.open_destination(reference, self._writing)
                self._destinations[key] = opened
                self._stack.callback(opened.close)
            return self._destinations[key]


def _line(
    item: Placed,
    looked: _Inspected | BundlerError,
    outcome: ExecutionResult | None,
    roots: Mapping[str, Digest],
) -> Line:
    """What became of an image; ``roots`` are what was published, by the labels of images."""
    source, shown = item.sought.label, item.shown
    if isinstance(looked, BundlerError):
        return Line(source, shown, "failed", error=looked)
    if looked.target is None or outcome is None:
        return Line(source, shown, "present" if looked.present else "new", looked.digest)
    if source in outcome.failed:
        return Line(source, shown, "failed", error=outcome.failed[source])
    return Line(source, shown, "copied", roots[source])


def _holds(destination: Destination, name: str | None, root: Digest) -> bool:
    """Whether a registry has the very image under that name; it vouches for all below it.

    What lies in a local place is compared blob by blob, and hashed: it may be half an image.
    """
    if not isinstance(destination, TagResolver) or isinstance(destination, ReadableDestination):
        return False
    try:
        return destination.resolve(name).digest == root
    except NotFoundError:
        return False
