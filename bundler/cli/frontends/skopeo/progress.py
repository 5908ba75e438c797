"""The lines that Skopeo writes to stdout while it copies, and its warnings in the log.

Skopeo copies the images of a list one after the other; we copy them at once. The lines keep its
order all the same: those of an image wait until the one before is done.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Self, TextIO

from bundler import events
from bundler.cli.frontends.skopeo import logrus
from bundler.errors import BundlerError
from bundler.gocompat import durations
from bundler.gocompat.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bundler.events import Event


class Lines:
    """Shows the work of one command; takes events from any thread."""

    first_blob: str | None = None
    """Of what is copied, once that is known."""

    def __init__(
        self,
        stream: TextIO,
        phrase: Callable[[BundlerError], str],
        *,
        quiet: bool,
        debug: bool,
        dry_run: bool,
        signatures: bool = True,
    ) -> None:
        self._signatures = signatures
        self._stream = stream
        self._phrase = phrase
        self._quiet = quiet
        self._debug = debug
        self._log = _SyncLog(dry_run=dry_run)
        self._lock = threading.Lock()
        self._waiting: deque[tuple[str, frozenset[str]]] = deque()
        self._done: set[str] = set()
        self._started = False

    def emit(self, event: Event, /) -> None:
        """Take an event, from any thread."""
        match event:
            case events.ImageResolved():
                self._begin(event)
            case events.Planned():
                self._start()
            case events.BlobFinished(failed=False):
                self._finish(event.digest)
            case events.ImagePresent():
                self._begin_present(event.parts)
            case events.WarningIssued():
                logrus.log("warning", event.text)
            case events.Retrying(repeats=int()):
                self._give_up()
                reason = event.reason if event.error is None else self._phrase(event.error)
                logrus.log("warning", _again(event, reason))
            case events.Retrying() | events.Notice() if self._debug:
                logrus.log("debug", _debugging(event))
            case _:
                self._log.add(event, self._phrase)

    def last_words(self) -> None:
        """There are none."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        exchange = getattr(error, "exchange", None)
        with self._lock:
            if kind is None or exchange is not None:
                self._started = True
            self._release(whatever=kind is None)

    def _begin(self, resolved: events.ImageResolved) -> None:
        with self._lock:
            self.first_blob = next((blob for one in resolved.images for blob in one.layers), None)
            self._release(whatever=True)  # of an image before this one, which is done
            self._waiting.extend(
                line
                for line in _lines(resolved)
                if self._signatures or not line[0].startswith("Getting image ")
            )
            self._release()

    def _begin_present(self, resolved: events.ImageResolved) -> None:
        with self._lock:
            self._release(whatever=True)
            self._waiting.extend((line, frozenset()) for line in _present(resolved))
            self._release()

    def _start(self) -> None:
        """It is known that the images can be copied."""
        with self._lock:
            self._started = True
            self._release()

    def _give_up(self) -> None:
        """What was to come of an attempt that failed never will."""
        with self._lock:
            self._waiting.clear()
            self._started = False

    def _finish(self, digest: str) -> None:
        with self._lock:
            self._done.add(digest)
            self._release()

    def _release(self, *, whatever: bool = False) -> None:
        """Write what waits for nothing any more."""
        while self._started and self._waiting and (whatever or self._waiting[0][1] <= self._done):
            line, _ = self._waiting.popleft()
            if not self._quiet:
                self._stream.write(line + "\n")
        self._stream.flush()


_AT_THE_END = frozenset({""})  # nothing that ever is done has this digest


def _lines(resolved: events.ImageResolved) -> Iterator[tuple[str, frozenset[str]]]:
    """Each line with the digests of what has to be done before it is written."""
    before: frozenset[str] = frozenset()
    if resolved.listed is not None:
        count = len(resolved.images)
        yield "Getting image list signatures", before
        yield f"Copying {count} images generated from {resolved.listed} images in list", before
    for number, image in enumerate(resolved.images, 1):
        if resolved.listed is not None:
            yield f"Copying image {image.digest} ({number}/{len(resolved.images)})", before
        yield "Getting image source signatures", before
        for layer in image.layers:
            yield f"Copying blob {layer}", before
        if image.config:
            before |= {*image.layers}
            yield f"Copying config {image.config}", before
            before |= {image.config}
        yield "Writing manifest to image destination", before | _end(resolved)
    if resolved.listed is not None:
        yield "Writing manifest list to image destination", _AT_THE_END
        yield "Storing list signatures", _AT_THE_END


def _present(resolved: events.ImageResolved) -> Iterator[str]:
    """The lines of what is there already: each image is passed over, a list is written again."""
    count = len(resolved.images)
    if resolved.listed is not None:
        yield "Getting image list signatures"
        yield f"Copying {count} images generated from {resolved.listed} images in list"
    for number, image in enumerate(resolved.images, 1):
        if resolved.listed is not None:
            yield f"Copying image {image.digest} ({number}/{count})"
        yield "Getting image source signatures"
        yield "Skipping: image already present at destination"
    if resolved.listed is not None:
        yield "Writing manifest list to image destination"
        yield "Storing list signatures"


def _end(resolved: events.ImageResolved) -> frozenset[str]:
    """A single image's manifest is written last of all."""
    return _AT_THE_END if resolved.listed is None else frozenset()


def _again(event: events.Retrying, reason: str) -> str:
    wait = durations.format_duration(event.wait)
    return f"Failed, retrying in {wait} ... ({event.attempt}/{event.repeats}). Error: {reason}"


def _debugging(event: events.Retrying | events.Notice) -> str:
    if isinstance(event, events.Notice):
        return event.text
    return (
        f"{event.subject}: {event.reason}; trying again in {durations.format_duration(event.wait)}"
    )


class _SyncLog:
    """What Skopeo's sync tells in the log, whoever wants it or not; images by their numbers."""

    def __init__(self, *, dry_run: bool) -> None:
        self._dry_run = dry_run
        self._early: dict[int, events.ImageStarted] = {}
        self._told = 0
        self._lock = threading.Lock()

    def add(self, event: Event, phrase: Callable[[BundlerError], str]) -> None:
        """Take an event, from any thread; ``phrase`` has the words for what went wrong."""
        would = "Would have " if self._dry_run else ""
        match event:
            case events.ListingTags():
                logrus.log("info", "Getting tags", image=event.repository)
            case events.ImageStarted():
                with self._lock:
                    self._early[event.number] = event
                    while (following := self._early.pop(self._told + 1, None)) is not None:
                        self._tell(following)
            case events.Skipped(what, error=BundlerError() as error):
                logrus.log("error", f"Error copying ref {quote(what)}", error=phrase(error))
            case events.Skipped():
                logrus.log("error", event.reason)
            case events.SyncFinished():
                text = f"{event.images} images from {event.sources} sources"
                logrus.log("info", f"{would}synced {text}" if would else f"Synced {text}")
            case _:
                pass

    def _tell(self, event: events.ImageStarted) -> None:
        if self._dry_run and not self._told:
            logrus.log("warning", "Running in dry-run mode")
        self._told += 1
        does = "Would have copied" if self._dry_run else "Copying"
        sides = {"from": event.source, "to": event.destination}
        logrus.log("info", f"{does} image ref {event.number}/{event.count}", **sides)
