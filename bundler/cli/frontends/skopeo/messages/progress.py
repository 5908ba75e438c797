"""Progress in Skopeo's form: lines on stdout, and log entries.

Skopeo copies the images of an index one after another; this program copies them in parallel. The
lines keep Skopeo's order: those of an image wait until the image before it is done.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Self, TextIO

from bundler import events
from bundler.cli.frontends.skopeo.messages import logrus
from bundler.errors import BundlerError
from bundler.gocompat import durations
from bundler.gocompat.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bundler.events import Event


class SkopeoProgress:
    """The progress of one command; takes events from any thread."""

    first_blob: str | None = None
    """The digest of the first blob to copy; None if unknown."""

    def __init__(
        self,
        stream: TextIO,
        describe_error: Callable[[BundlerError], str],
        *,
        quiet: bool,
        debug: bool,
        dry_run: bool,
        copies_signatures: bool = True,
    ) -> None:
        self._copies_signatures = copies_signatures
        self._stream = stream
        self._describe_error = describe_error
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
                self._add_image(event)
            case events.Planned():
                self._start()
            case events.BlobFinished(failed=False):
                self._finish(event.digest)
            case events.ImagePresent():
                self._add_present_image(event.parts)
            case events.WarningIssued():
                logrus.log("warning", event.text)
            case events.Retrying(repeats=int()):
                self._discard()
                reason = event.reason if event.error is None else self._describe_error(event.error)
                wait, count = (
                    durations.format_duration(event.wait),
                    f"{event.attempt}/{event.repeats}",
                )
                logrus.log("warning", f"Failed, retrying in {wait} ... ({count}). Error: {reason}")
            case events.Retrying() if self._debug:
                wait = durations.format_duration(event.wait)
                logrus.log("debug", f"{event.subject}: {event.reason}; trying again in {wait}")
            case events.Notice() if self._debug:
                logrus.log("debug", event.text)
            case _:
                self._log.add(event, self._describe_error)

    def show_interruption(self) -> None:
        """Write nothing, like Skopeo."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        exchange = getattr(error, "exchange", None)
        with self._lock:
            if kind is None or exchange is not None:
                self._started = True
            self._write_ready(everything=kind is None)

    def _add_image(self, resolved: events.ImageResolved) -> None:
        with self._lock:
            self.first_blob = next((blob for one in resolved.images for blob in one.layers), None)
            self._write_ready(everything=True)  # the image before this one is done
            self._waiting.extend(
                line
                for line in _format_lines(resolved)
                if self._copies_signatures or not line[0].startswith("Getting image ")
            )
            self._write_ready()

    def _add_present_image(self, resolved: events.ImageResolved) -> None:
        with self._lock:
            self._write_ready(everything=True)
            self._waiting.extend((line, frozenset()) for line in _format_present_lines(resolved))
            self._write_ready()

    def _start(self) -> None:
        """Write lines from now on: the images can be copied."""
        with self._lock:
            self._started = True
            self._write_ready()

    def _discard(self) -> None:
        """Discard the lines of an attempt that failed."""
        with self._lock:
            self._waiting.clear()
            self._started = False

    def _finish(self, digest: str) -> None:
        with self._lock:
            self._done.add(digest)
            self._write_ready()

    def _write_ready(self, *, everything: bool = False) -> None:
        """Write the lines whose blobs are done, or ``everything``."""
        while self._started and self._waiting and (everything or self._waiting[0][1] <= self._done):
            line, _ = self._waiting.popleft()
            if not self._quiet:
                self._stream.write(line + "\n")
        self._stream.flush()


_AT_THE_END = frozenset({""})  # the digest of no blob: such lines wait for the end


def _format_lines(resolved: events.ImageResolved) -> Iterator[tuple[str, frozenset[str]]]:
    """Return each line with the digests of the blobs that have to be done before it."""
    before: frozenset[str] = frozenset()
    end = frozenset[str]() if resolved.listed is not None else _AT_THE_END  # its manifest is last
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
        yield "Writing manifest to image destination", before | end
    if resolved.listed is not None:
        yield "Writing manifest list to image destination", _AT_THE_END
        yield "Storing list signatures", _AT_THE_END


def _format_present_lines(resolved: events.ImageResolved) -> Iterator[str]:
    """Return the lines for images that are present; only an index is written again."""
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


class _SyncLog:
    """Log entries of Skopeo's sync, with images in the order of their numbers."""

    def __init__(self, *, dry_run: bool) -> None:
        self._dry_run = dry_run
        self._early: dict[int, events.ImageStarted] = {}
        self._logged = 0
        self._lock = threading.Lock()

    def add(self, event: Event, describe_error: Callable[[BundlerError], str]) -> None:
        """Log an event; ``describe_error`` returns the message for an error."""
        would = "Would have " if self._dry_run else ""
        match event:
            case events.ListingTags():
                logrus.log("info", "Getting tags", image=event.repository)
            case events.ImageStarted():
                with self._lock:
                    self._early[event.number] = event
                    while (following := self._early.pop(self._logged + 1, None)) is not None:
                        self._log_start(following)
            case events.Skipped(subject, error=BundlerError() as error):
                logrus.log(
                    "error", f"Error copying ref {quote(subject)}", error=describe_error(error)
                )
            case events.Skipped():
                logrus.log("error", event.reason)
            case events.SyncFinished():
                text = f"{event.images} images from {event.sources} sources"
                logrus.log("info", f"{would}synced {text}" if would else f"Synced {text}")
            case _:
                pass

    def _log_start(self, event: events.ImageStarted) -> None:
        if self._dry_run and not self._logged:
            logrus.log("warning", "Running in dry-run mode")
        self._logged += 1
        does = "Would have copied" if self._dry_run else "Copying"
        sides = {"from": event.source, "to": event.destination}
        logrus.log("info", f"{does} image ref {event.number}/{event.count}", **sides)
