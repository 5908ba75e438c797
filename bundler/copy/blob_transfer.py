"""Transfer and verify one blob, with retries after broken connections.

Only interrupted transfers are retried here. A request that failed before its first byte was
already retried by the transport, so its failure is final.
"""

from __future__ import annotations

from contextlib import ExitStack, closing, suppress
from functools import cached_property
from io import BytesIO
from typing import TYPE_CHECKING, Protocol, Self

from bundler import events
from bundler.cancel import Cancellation
from bundler.content.streams import BUFFER_SIZE, InMemoryContent, Reader, VerifiedReader, drain
from bundler.errors import BundlerError, IntegrityError, MediumError, NotFoundError, RegistryError
from bundler.oci import media_types
from bundler.oci.descriptor import Descriptor
from bundler.ports import (
    Destination,
    KeepsParts,
    Node,
    ReadableDestination,
    ResumesPush,
    Source,
)
from bundler.silence import count_together

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bundler.content.streams import SizedReader
    from bundler.copy.image import GraphManifest
    from bundler.events import Emit
    from bundler.retry_policy import Attempts


def exists(node: Node, source: Source) -> bool:
    """Return whether ``source`` has a blob."""
    try:
        with source.open(node):
            return True
    except NotFoundError:
        return False


def push_blob(
    node: Node,
    source: Source,
    destination: Destination,
    cancellation: Cancellation,
    emit: Emit,
) -> int:
    """Push a blob from ``source`` to ``destination``, and emit its progress.

    Returns the number of bytes that an earlier run had stored at the destination.

    Raises:
        IntegrityError: the blob does not match its digest or size; nothing was stored.
        RegistryError: the transfer failed permanently, or all retries failed.
    """
    with BlobActivity(node, "copy", cancellation, emit, destination) as activity:
        if isinstance(destination, KeepsParts) and (
            stored := _push_rest(node, source, destination, activity)
        ):
            return stored
        kept = 0
        resumed: int | None = None
        while True:
            with closing(ResumingReader(source, activity)) as stream:
                content = activity.create_reader(stream)
                start = 0
                if isinstance(destination, ResumesPush):
                    start = destination.offset(node)
                    content.skip(start)
                # An earlier run has stored that with which the first attempt begins.
                resumed = start if resumed is None else min(resumed, start)
                if resumed:
                    activity.report_resumed(resumed)
                try:
                    destination.push(node, content)
                except RegistryError as error:
                    interrupted = (start or content.position > start) and not stream.failed
                    if not interrupted:
                        raise
                    if start >= kept + BUFFER_SIZE:
                        # The destination kept what the previous attempts sent.
                        kept = start
                        activity.attempts.restart()
                    activity.schedule_retry(activity.attempts, error)
                    activity.undo_progress()
                else:
                    activity.report_progress()
                    return resumed
            next(activity.attempts)


def find_stored_size(nodes: Iterable[Node], destination: object) -> int:
    """Return the number of bytes of the blobs ``nodes`` that an interrupted run has stored."""
    if not isinstance(destination, KeepsParts):
        return 0
    stored = 0
    for node in nodes:
        if (part := destination.open_part(node)) is not None:
            with part:
                stored += part.size if part.size <= (node.size or 0) else 0
    return stored


def check_blob(node: Node, source: Source, cancellation: Cancellation, emit: Emit) -> None:
    """Read and verify a blob at ``source``.

    Raises:
        IntegrityError: the blob does not match its digest or size.
    """
    with (
        BlobActivity(node, "check", cancellation, emit) as activity,
        closing(ResumingReader(source, activity)) as stream,
    ):
        drain(activity.create_reader(stream))
        activity.report_progress()


def is_intact(
    node: Node, destination: ReadableDestination, cancellation: Cancellation, emit: Emit
) -> bool:
    """Read ``node`` at ``destination``; return whether it is present and matches its digest."""
    try:
        with (
            BlobActivity(node, "check", cancellation, emit) as activity,
            destination.open(node) as stream,
        ):
            drain(activity.create_reader(stream))
            activity.report_progress()
    except (IntegrityError, NotFoundError):
        return False
    return True


def push_manifest(item: GraphManifest, destination: Destination) -> bool:
    """Push a manifest, unless an intact copy is present; return whether it was pushed."""
    return push_bytes(Node.of(item.descriptor, "manifest"), item.raw, destination)


def push_bytes(node: Node, raw: bytes, destination: Destination) -> bool:
    """Push content from memory, unless an intact copy is present; return whether it was pushed."""
    if destination.has(node) and (
        not isinstance(destination, ReadableDestination)
        or is_intact(node, destination, Cancellation(), events.discard)
    ):
        return False
    if node.media_type in media_types.SCHEMA1 and node.digest is not None:
        descriptor = Descriptor(node.media_type, node.digest, len(raw))
        destination.push(node, InMemoryContent(raw, descriptor))
        return True
    content = VerifiedReader(
        BytesIO(raw),
        f"{node.kind} {node.digest}",
        digest=node.digest,
        size=len(raw),
        media_type=node.media_type,
    )
    destination.push(node, content)
    return True


class _PartDestination(Destination, KeepsParts, Protocol):
    """A destination that keeps partially pushed blobs."""


def _push_rest(
    node: Node, source: Source, destination: _PartDestination, activity: BlobActivity
) -> int:
    """Push a blob whose beginning is stored, and read only the rest from ``source``.

    Returns the number of stored bytes; 0: nothing is stored, or it is damaged, and the blob was not
    pushed.
    """
    if (part := destination.open_part(node)) is None:
        return 0
    with closing(ResumingReader(source, activity, part)) as stream:
        content = activity.create_reader(stream)
        try:
            with part:
                content.skip(part.size)
        except (IntegrityError, MediumError):
            activity.discard_resumed()
            return 0
        activity.report_resumed(part.size)
        try:
            destination.push(node, content)
        except IntegrityError:
            activity.discard_resumed()
            return 0
    activity.report_progress()
    return part.size


class BlobActivity:
    """Context in which a blob is read: emits events at its start, during it, and at its end.

    All requests of its transfer are one operation, whose silence is limited.
    """

    def __init__(
        self,
        node: Node,
        activity: events.Activity,
        cancellation: Cancellation,
        emit: Emit,
        destination: Destination | None = None,
    ) -> None:
        """``destination`` is where a failed transfer may leave the beginning of the blob."""
        self.node = node
        self._name = str(node.digest)
        self._activity = activity
        self._cancellation = cancellation
        self._emit = emit
        self._destination = destination
        self._unreported = 0
        self._reported = 0
        self._resumed = 0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._silence = self._stack.enter_context(count_together())
        self._emit(events.BlobStarted(self._name, self.node.size, self._activity))
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._stack.close()
        kept = 0
        if kind is not None:
            self.undo_progress()
            with suppress(BundlerError):
                kept = find_stored_size([self.node], self._destination)
        self._emit(events.BlobFinished(self._name, failed=kind is not None, kept=kept))

    @cached_property
    def attempts(self) -> Attempts:
        """The attempts to push the blob; the first one has been made."""
        attempts = self.create_attempts()
        next(attempts)
        return attempts

    def create_attempts(self) -> Attempts:
        """Create the iterator over the attempts to transfer the blob."""
        from bundler import retry_policy  # noqa: PLC0415 - only after an interruption

        policy = retry_policy.TRANSFER_POLICY
        return retry_policy.Attempts(policy, self._name, self._cancellation, self._emit)

    def schedule_retry(self, attempts: Attempts, error: RegistryError) -> None:
        """Schedule a retry; raise ``error`` if there must be none. The wait counts as silence."""
        self._silence.waited += attempts.fail(error)

    def create_reader(self, stream: Reader) -> VerifiedReader:
        """Return a reader that verifies the blob in ``stream``, and calls ``observe``."""
        return VerifiedReader(
            stream,
            self._name,
            digest=self.node.digest,
            size=self.node.size,
            media_type=self.node.media_type,
            observe=self.observe,
        )

    def observe(self, count: int) -> None:
        """Check for cancellation, and add ``count`` bytes; emit an event for each MiB.

        Raises:
            CancelledError: the run is cancelled.
        """
        self._cancellation.check()
        self._unreported += count
        if self._unreported >= BUFFER_SIZE:
            self.report_progress()

    def report_progress(self) -> None:
        """Emit an event for the bytes since the last event."""
        if self._unreported:
            self._emit(events.BlobProgressed(self._name, self._unreported))
        self._reported += self._unreported
        self._unreported = 0

    def report_resumed(self, size: int) -> None:
        """Emit an event for the first ``size`` bytes, which were stored by an earlier run."""
        self.report_progress()
        self._resumed = size
        self._emit(events.BlobResumed(self._name, size))

    def discard_resumed(self) -> None:
        """Emit events that subtract all progress, because the stored bytes are damaged."""
        self.undo_progress()
        self._emit(events.Notice(f"{self._name}: the stored part is damaged, copied again"))

    def undo_progress(self) -> None:
        """Emit an event that subtracts the progress of a failed attempt."""
        if self._reported:
            self._emit(events.BlobProgressed(self._name, -self._reported))
        if self._resumed:
            self._emit(events.BlobResumed(self._name, -self._resumed))
        self._reported = self._unreported = self._resumed = 0


class ResumingReader:
    """Reader that, after an interruption, reopens the source at the current offset.

    ``part`` contains the first bytes; the source is read from its end on.
    ``failed`` is set if reading failed despite all retries. A caller can thereby distinguish a
    failure of the source from a failure of the destination.
    """

    def __init__(
        self, source: Source, activity: BlobActivity, part: SizedReader | None = None
    ) -> None:
        self._source = source
        self._activity = activity
        self._part = part
        self._stack = ExitStack()
        self._stream: Reader | None = None
        self._position = 0
        self._attempts: Attempts | None = None
        self._progressed = 0
        self.failed = False

    def read(self, size: int = -1, /) -> bytes:
        """Read as ``Reader.read`` does."""
        buffer = bytearray(BUFFER_SIZE if size < 0 else size)
        return bytes(buffer[: self.readinto(memoryview(buffer))])

    def readinto(self, buffer: memoryview, /) -> int:
        """Read as ``Reader.readinto`` does, with retries."""
        if self._part is not None and self._position < self._part.size:
            count = self._part.readinto(buffer)
            self._position += count
            return count
        while True:
            try:
                if self._stream is None:
                    context = self._source.open(self._activity.node, self._position)
                    self._stream = self._stack.enter_context(context)
                count = self._stream.readinto(buffer)
            except RegistryError as error:
                self.failed = True
                if self._stream is None:
                    raise
                self.close()
                # Retry without a wait the first time, and after each MiB.
                moved, self._progressed = self._progressed, 0
                if error.temporary and (self._attempts is None or moved >= BUFFER_SIZE):
                    self._attempts = self._activity.create_attempts()
                    next(self._attempts)
                    self._attempts.announce(error)
                else:
                    attempts = self._attempts or self._activity.create_attempts()
                    self._activity.schedule_retry(attempts, error)
                    next(attempts)
                self.failed = False
            else:
                self._position += count
                self._progressed += count
                return count

    def close(self) -> None:
        """Close the stream of the source."""
        self._stack.close()
        self._stream = None
