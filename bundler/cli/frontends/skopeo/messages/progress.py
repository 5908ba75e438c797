"""Progress in Skopeo's format: lines on stdout, and log entries.

Skopeo copies the images of an index one after another; this program copies them in parallel. The
lines keep Skopeo's order: the lines of an image are held until the previous image is complete.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Self, TextIO

from bundler import events
from bundler.cli.frontends.skopeo.messages import logrus
from bundler.errors import BundlerError, SignaturesUnsupportedError
from bundler.gocompat import durations
from bundler.gocompat.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bundler.cli.frontends.skopeo.arguments.argv import CommandLine
    from bundler.events import Event


class SkopeoProgress:
    """The progress of one command; accepts events from any thread."""

    first_blob: str | None = None
    """The digest of the first blob to copy; None if unknown."""

    def __init__(
        self,
        stream: TextIO,
        line: CommandLine,
        describe_error: Callable[[BundlerError], str],
        *,
        quiet: bool,
    ) -> None:
        self._stream = stream
        self._quiet, self._debug = quiet, line.is_set("debug")
        self._copies_signatures = not line.is_set("remove-signatures")
        self._signers = [message for flag, message in _SIGNERS.items() if line.text(flag)]
        self._describe_error = describe_error
        self._sync_log = _SyncLog(dry_run=line.is_set("dry-run"))
        self._lock = threading.Lock()
        self._waiting: deque[tuple[str, frozenset[str]]] = deque()
        self._done: set[str] = set()
        self._started = False  # true once the images can be copied

    def emit(self, event: Event, /) -> None:
        """Add an event; may be called from any thread."""
        match event:
            case events.ImageResolved():
                lines = _format_lines(
                    event, signatures=self._copies_signatures, signers=self._signers
                )
                layers = (layer for image in event.images for layer in image.layers)
                with self._lock:
                    self.first_blob = next(layers, None)
                    self._add_image(lines)
            case events.ImagePresent():
                with self._lock:
                    self._add_image(_format_lines(event.parts, present=True))
            case events.Planned():
                with self._lock:
                    self._started = True
                    self._write_ready()
            case events.BlobFinished(failed=False):
                with self._lock:
                    self._done.add(event.digest)
                    self._write_ready()
            case events.Retrying(repeats=int()):
                with self._lock:  # the lines of the failed attempt are discarded
                    self._waiting.clear()
                    self._started = False
                reason = event.reason if event.error is None else self._describe_error(event.error)
                wait = durations.format_duration(event.wait)
                count = f"{event.attempt}/{event.repeats}"
                logrus.log("warning", f"Failed, retrying in {wait} ... ({count}). Error: {reason}")
            case events.Retrying() if self._debug:
                wait = durations.format_duration(event.wait)
                logrus.log("debug", f"{event.subject}: {event.reason}; trying again in {wait}")
            case events.WarningIssued():
                logrus.log("warning", event.text)
            case events.Notice() if self._debug:
                logrus.log("debug", event.text)
            case _:
                self._sync_log.add(event, self._describe_error)

    def show_interruption(self) -> None:
        """Write nothing, as Skopeo does."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        exchange = getattr(error, "exchange", None)
        with self._lock:
            if isinstance(error, SignaturesUnsupportedError) and not self._quiet:
                # The lines up to the check of the destination that failed.
                lines = [f"{line}\n" for line, _ in self._waiting]
                count = next(
                    (n for n, line in enumerate(lines, 1) if line.startswith(_CHECKING)), 0
                )
                self._stream.writelines(lines[:count])
            if kind is None or exchange is not None:
                self._started = True
            self._write_ready(everything=kind is None)

    def _add_image(self, lines: Iterable[tuple[str, frozenset[str]]]) -> None:
        """Add the lines of an image, after those of the previous image."""
        self._write_ready(everything=True)
        self._waiting.extend(lines)
        self._write_ready()

    def _write_ready(self, *, everything: bool = False) -> None:
        """Write the lines whose blobs are complete, or ``everything``."""
        while self._started and self._waiting and (everything or self._waiting[0][1] <= self._done):
            line, _ = self._waiting.popleft()
            if not self._quiet:
                self._stream.write(line + "\n")
        self._stream.flush()


_SIGNERS = {
    "sign-by-sigstore": "Signing image using a sigstore signature",
    "sign-by-sq-fingerprint": "Signing image using Sequoia-PGP simple signing",
    "sign-by": "Signing image using simple signing",
    "sign-by-sigstore-private-key": "Signing image using a sigstore signature",
}
"""The flags that sign images, in the order of the signatures, and the lines that report it."""

_CHECKING = "Checking if image"
_AT_THE_END = frozenset({""})  # matches no blob: such lines are written at the end


def _format_lines(
    resolved: events.ImageResolved,
    *,
    signatures: bool = True,
    signers: Sequence[str] = (),
    present: bool = False,
) -> Iterator[tuple[str, frozenset[str]]]:
    """Yield each line with the digests of the blobs that must be complete before it.

    ``signatures`` states whether those of the source are copied; ``signers`` describe the new ones.
    If the images are ``present`` at the destination, only the index is written again.
    """
    before: frozenset[str] = frozenset()
    count, is_index = len(resolved.images), resolved.listed is not None
    created = [f"Creating signature: {line}" for line in signers]
    if len(signers) > 1:
        created = [f"Creating signature {n}: {line}" for n, line in enumerate(signers, 1)]
    if is_index:
        for line in _describe_source_signatures(resolved.index_signatures, signatures, "list "):
            yield line, before
        yield f"Copying {count} images generated from {resolved.listed} images in list", before
    for number, image in enumerate(resolved.images, 1):
        if is_index:
            yield f"Copying image {image.digest} ({number}/{count})", before
        for line in _describe_source_signatures(image.signatures, signatures):
            yield line, before
        if present:
            yield "Skipping: image already present at destination", before
            continue
        for layer in image.layers:
            yield f"Copying blob {layer}", before
        if image.config:
            before |= {*image.layers}
            yield f"Copying config {image.config}", before
            before |= {image.config}
        # The manifest of a single image is written last.
        end = before if is_index else before | _AT_THE_END
        stored = ["Storing signatures"] if created or image.signatures else []
        for line in ("Writing manifest to image destination", *created, *stored):
            yield line, end
    if is_index:
        end = before if present else _AT_THE_END
        for line in (
            "Writing manifest list to image destination",
            *created,
            "Storing list signatures",
        ):
            yield line, end


def _describe_source_signatures(count: int, copied: bool, kind: str = "") -> Iterator[str]:
    """Yield the lines about the signatures at the source; ``kind`` is ``list`` for an index."""
    if copied:
        yield f"Getting image {kind or 'source '}signatures"
    if count:
        yield f"{_CHECKING} {kind}destination supports signatures"


class _SyncLog:
    """Log entries of Skopeo's sync, ordered by image number."""

    def __init__(self, *, dry_run: bool) -> None:
        self._dry_run = dry_run
        self._early: dict[int, events.ImageStarted] = {}
        self._logged = 0
        self._lock = threading.Lock()

    def add(self, event: Event, describe_error: Callable[[BundlerError], str]) -> None:
        """Log an event; ``describe_error`` returns the message for an error."""
        match event:
            case events.ListingTags():
                logrus.log("info", "Getting tags", image=event.repository)
            case events.ImageStarted():
                with self._lock:
                    self._early[event.number] = event
                    while (started := self._early.pop(self._logged + 1, None)) is not None:
                        if self._dry_run and not self._logged:
                            logrus.log("warning", "Running in dry-run mode")
                        self._logged += 1
                        image = f"image ref {started.number}/{started.count}"
                        verb = "Would have copied" if self._dry_run else "Copying"
                        sides = {"from": started.source, "to": started.destination}
                        logrus.log("info", f"{verb} {image}", **sides)
            case events.Skipped(subject, error=BundlerError() as error):
                reference = quote(subject)
                logrus.log("error", f"Error copying ref {reference}", error=describe_error(error))
            case events.Skipped():
                logrus.log("error", event.reason)
            case events.SyncFinished():
                verb = "Would have synced" if self._dry_run else "Synced"
                logrus.log("info", f"{verb} {event.images} images from {event.sources} sources")
            case _:
                pass
