"""Transfer and verify one blob, with retries after broken connections.

Only interrupted transfers are retried here. A request that failed before its first byte was
already retried by the transport, so its failure is final.
"""

from __future__ import annotations

from contextlib import ExitStack, closing, contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

from bundler import events
from bundler.cancel import Cancellation
from bundler.content.streams.in_memory import InMemoryContent
from bundler.content.streams.reader import BUFFER_SIZE, Reader, drain
from bundler.content.streams.verified import VerifiedReader
from bundler.errors import IntegrityError, NotFoundError, RegistryError
from bundler.oci import media_types
from bundler.oci.descriptor import Descriptor
from bundler.ports import Destination, Node, ReadableDestination, ResumesPush, Source
from bundler.retry_policy import Attempts, Backoff, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.copy.image import GraphManifest
    from bundler.events import Emit

RETRY_POLICY = RetryPolicy(
    attempts=6,
    backoff=Backoff(first=1.0, longest=30.0, jitter=(0.5, 1.0), longest_retry_after=300.0),
)


def push_blob(
    node: Node,
    source: Source,
    destination: Destination,
    cancellation: Cancellation,
    emit: Emit,
) -> None:
    """Push a blob from ``source`` to ``destination``, and emit its progress.

    Raises:
        IntegrityError: the blob does not match its digest or size; nothing was stored.
        RegistryError: the transfer failed permanently, or all retries failed.
    """
    with report_blob(node, "copy", emit):
        attempts = create_attempts(node, cancellation, emit)
        for attempt in attempts:
            progress = BlobProgress(node, cancellation, emit)
            stream = ResumingReader(node, source, cancellation, emit)
            with closing(stream):
                content = _create_content(node, stream, progress)
                if attempt > 1 and isinstance(destination, ResumesPush):
                    content.skip(destination.offset(node))
                start = content.position
                try:
                    destination.push(node, content)
                except RegistryError as error:
                    interrupted = content.position > start and not stream.failed
                    if not interrupted:
                        raise
                    attempts.fail(error)
                    progress.undo()
                else:
                    progress.report()
                    return


def push_manifest(item: GraphManifest, destination: Destination) -> None:
    """Push a manifest, unless an intact copy is present at ``destination``."""
    push_bytes(Node.of(item.descriptor, "manifest"), item.raw, destination)


def push_bytes(node: Node, raw: bytes, destination: Destination) -> None:
    """Push content from memory, unless an intact copy is present at ``destination``."""
    if destination.has(node) and (
        not isinstance(destination, ReadableDestination)
        or is_intact(node, destination, Cancellation(), events.discard)
    ):
        return
    if node.media_type in media_types.SCHEMA1 and node.digest is not None:
        descriptor = Descriptor(node.media_type, node.digest, len(raw))
        destination.push(node, InMemoryContent(raw, descriptor))
        return
    content = VerifiedReader(
        BytesIO(raw),
        f"{node.kind} {node.digest}",
        digest=node.digest,
        size=len(raw),
        media_type=node.media_type,
    )
    destination.push(node, content)


def check_blob(node: Node, source: Source, cancellation: Cancellation, emit: Emit) -> None:
    """Read and verify a blob at ``source``.

    Raises:
        IntegrityError: the blob does not match its digest or size.
    """
    with (
        report_blob(node, "check", emit),
        closing(ResumingReader(node, source, cancellation, emit)) as stream,
    ):
        _verify(node, stream, cancellation, emit)


def is_intact(
    node: Node, destination: ReadableDestination, cancellation: Cancellation, emit: Emit
) -> bool:
    """Whether ``destination`` has ``node``, and its content, which is read, matches the digest."""
    with report_blob(node, "check", emit):
        try:
            with destination.open(node) as stream:
                _verify(node, stream, cancellation, emit)
        except (IntegrityError, NotFoundError):
            return False
    return True


def create_attempts(node: Node, cancellation: Cancellation, emit: Emit) -> Attempts:
    """Create the iterator over the attempts to transfer ``node``."""
    return Attempts(RETRY_POLICY, str(node.digest), cancellation, emit)


class ResumingReader:
    """Reader that, after an interruption, reopens the source at the current offset.

    ``failed`` is set if reading failed despite all retries. A caller can thereby distinguish a
    failure of the source from a failure of the destination.
    """

    def __init__(self, node: Node, source: Source, cancellation: Cancellation, emit: Emit) -> None:
        self._node = node
        self._source = source
        self._cancellation = cancellation
        self._emit = emit
        self._stack = ExitStack()
        self._stream: Reader | None = None
        self._position = 0
        self._attempts = self._start_attempts()
        self._progressed = 0
        self.failed = False

    def read(self, size: int = -1, /) -> bytes:
        """As ``Reader.read``."""
        buffer = bytearray(BUFFER_SIZE if size < 0 else size)
        return bytes(buffer[: self.readinto(memoryview(buffer))])

    def readinto(self, buffer: memoryview, /) -> int:
        """As ``Reader.readinto``, with retries, which are counted anew after each MiB."""
        while True:
            try:
                if self._stream is None:
                    context = self._source.open(self._node, self._position)
                    self._stream = self._stack.enter_context(context)
                count = self._stream.readinto(buffer)
            except RegistryError as error:
                was_open = self._stream is not None
                self._stack.close()
                self._stream = None
                if self._progressed >= BUFFER_SIZE:  # not the same interruption again
                    self._attempts = self._start_attempts()
                self._progressed = 0
                self.failed = True
                if not was_open:
                    raise
                self._attempts.fail(error)
                self.failed = False
                next(self._attempts)
            else:
                self._position += count
                self._progressed += count
                return count

    def close(self) -> None:
        """Close the stream of the source."""
        self._stack.close()

    def _start_attempts(self) -> Attempts:
        attempts = create_attempts(self._node, self._cancellation, self._emit)
        next(attempts)
        return attempts


class BlobProgress:
    """Observer of a stream that checks the cancellation for each chunk and emits its progress."""

    def __init__(self, node: Node, cancellation: Cancellation, emit: Emit) -> None:
        self._name = str(node.digest)
        self._cancellation = cancellation
        self._emit = emit
        self._unreported = 0
        self._reported = 0

    def __call__(self, count: int) -> None:
        """Add ``count`` bytes, and emit an event for each MiB.

        Raises:
            CancelledError: the run is cancelled.
        """
        self._cancellation.check()
        self._unreported += count
        if self._unreported >= BUFFER_SIZE:
            self.report()

    def report(self) -> None:
        """Emit an event for the bytes since the last event."""
        if self._unreported:
            self._emit(events.BlobProgressed(self._name, self._unreported))
        self._reported += self._unreported
        self._unreported = 0

    def undo(self) -> None:
        """Emit an event that subtracts the progress of a failed attempt."""
        if self._reported:
            self._emit(events.BlobProgressed(self._name, -self._reported))
        self._reported = self._unreported = 0


def _create_content(node: Node, stream: Reader, progress: BlobProgress) -> VerifiedReader:
    return VerifiedReader(
        stream,
        str(node.digest),
        digest=node.digest,
        size=node.size,
        media_type=node.media_type,
        observe=progress,
    )


def _verify(node: Node, stream: Reader, cancellation: Cancellation, emit: Emit) -> None:
    progress = BlobProgress(node, cancellation, emit)
    drain(_create_content(node, stream, progress))
    progress.report()


@contextmanager
def report_blob(node: Node, activity: events.Activity, emit: Emit) -> Iterator[None]:
    """Emit events at the start and at the end of the work on ``node``."""
    name = str(node.digest)
    emit(events.BlobStarted(name, node.size, activity))
    try:
        yield
    except BaseException:
        emit(events.BlobFinished(name, failed=True))
        raise
    emit(events.BlobFinished(name))
