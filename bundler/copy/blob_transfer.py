"""Move one blob: verified, resumed where a connection broke, pushed anew where that is needed.

What broke off in the middle is repeated here. A request that could not even begin was repeated
by the place it went to, so its failure is final.
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

    from bundler.copy.graph import GraphManifest
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
    """Bring ``node`` from ``source`` to ``destination``; progress is told by events.

    Raises:
        IntegrityError: the source's bytes are not the promised ones; nothing was kept.
        RegistryError: temporary failures went on for longer than was worth waiting for.
    """
    with report_blob(node, "copy", emit):
        attempts = new_attempts(node, cancellation, emit)
        for attempt in attempts:
            progress = BlobProgress(node, cancellation, emit)
            stream = ResumingReader(node, source, cancellation, emit)
            with closing(stream):
                content = _content(node, stream, progress)
                if attempt > 1 and isinstance(destination, ResumesPush):
                    content.skip(destination.offset(node))
                start = content.position
                try:
                    destination.push(node, content)
                except RegistryError as error:
                    broke_off = content.position > start and not stream.failed
                    if not broke_off:
                        raise
                    attempts.fail(error)
                    progress.undo()
                else:
                    progress.report()
                    return


def push_manifest(item: GraphManifest, destination: Destination) -> None:
    """Bring a manifest to ``destination``, unless it is there, whole."""
    push_bytes(Node.of(item.descriptor, "manifest"), item.raw, destination)


def push_bytes(node: Node, raw: bytes, destination: Destination) -> None:
    """Bring something small to ``destination``, unless it is there, whole."""
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
    """Read ``node`` from ``source`` to its end, for its digest only.

    Raises:
        IntegrityError: it is not what it should be.
    """
    with (
        report_blob(node, "check", emit),
        closing(ResumingReader(node, source, cancellation, emit)) as stream,
    ):
        _drain(node, stream, cancellation, emit)


def is_intact(
    node: Node, place: ReadableDestination, cancellation: Cancellation, emit: Emit
) -> bool:
    """Whether what ``place`` has under the name of ``node`` really is it."""
    with report_blob(node, "check", emit):
        try:
            with place.open(node) as stream:
                _drain(node, stream, cancellation, emit)
        except (IntegrityError, NotFoundError):
            return False
    return True


def new_attempts(node: Node, cancellation: Cancellation, emit: Emit) -> Attempts:
    """Return the attempts to transfer ``node``."""
    return Attempts(RETRY_POLICY, str(node.digest), cancellation, emit)


class ResumingReader:
    """A stream that reopens its source where it broke off; failures of the source end here."""

    def __init__(self, node: Node, source: Source, cancellation: Cancellation, emit: Emit) -> None:
        self._node = node
        self._source = source
        self._cancellation = cancellation
        self._emit = emit
        self._stack = ExitStack()
        self._stream: Reader | None = None
        self._position = 0
        self._attempts = self._new_attempts()
        self._progressed = 0
        self.failed = False

    def read(self, size: int = -1, /) -> bytes:
        """As ``Reader.read``."""
        buffer = bytearray(BUFFER_SIZE if size < 0 else size)
        return bytes(buffer[: self.readinto(memoryview(buffer))])

    def readinto(self, buffer: memoryview, /) -> int:
        """As ``Reader.readinto``, over all interruptions."""
        while True:
            try:
                if self._stream is None:
                    opened = self._source.open(self._node, self._position)
                    self._stream = self._stack.enter_context(opened)
                count = self._stream.readinto(buffer)
            except RegistryError as error:
                self._recover(error, begun=self._stream is not None)
            else:
                self._position += count
                self._progressed += count
                return count

    def close(self) -> None:
        """Let go of the source's stream."""
        self._stack.close()

    def _recover(self, error: RegistryError, *, begun: bool) -> None:
        """A mebibyte of progress since the last failure earns a new set of attempts."""
        self._stack.close()
        self._stream = None
        if self._progressed >= BUFFER_SIZE:
            self._attempts = self._new_attempts()
        self._progressed = 0
        self.failed = True
        if not begun:
            raise error
        self._attempts.fail(error)
        self.failed = False
        next(self._attempts)

    def _new_attempts(self) -> Attempts:
        attempts = new_attempts(self._node, self._cancellation, self._emit)
        next(attempts)
        return attempts


class BlobProgress:
    """Looks at the cancellation after each chunk; tells of progress once for each mebibyte."""

    def __init__(self, node: Node, cancellation: Cancellation, emit: Emit) -> None:
        self._name = str(node.digest)
        self._cancellation = cancellation
        self._emit = emit
        self._gathered = 0
        self._told = 0

    def __call__(self, count: int) -> None:
        """Take note of ``count`` more bytes.

        Raises:
            CancelledError: somebody wants to stop.
        """
        self._cancellation.check()
        self._gathered += count
        if self._gathered >= BUFFER_SIZE:
            self.report()

    def report(self) -> None:
        """Tell of what went by since the last time."""
        if self._gathered:
            self._emit(events.BlobProgressed(self._name, self._gathered))
        self._told += self._gathered
        self._gathered = 0

    def undo(self) -> None:
        """What was told of an attempt that failed did not happen."""
        if self._told:
            self._emit(events.BlobProgressed(self._name, -self._told))
        self._told = self._gathered = 0


def _content(node: Node, stream: Reader, progress: BlobProgress) -> VerifiedReader:
    return VerifiedReader(
        stream,
        str(node.digest),
        digest=node.digest,
        size=node.size,
        media_type=node.media_type,
        observe=progress,
    )


def _drain(node: Node, stream: Reader, cancellation: Cancellation, emit: Emit) -> None:
    progress = BlobProgress(node, cancellation, emit)
    content = _content(node, stream, progress)
    drain(content)
    progress.report()


@contextmanager
def report_blob(node: Node, activity: events.Activity, emit: Emit) -> Iterator[None]:
    """Tell when the work on ``node`` begins, and how it ends."""
    name = str(node.digest)
    emit(events.BlobStarted(name, node.size, activity))
    try:
        yield
    except BaseException:
        emit(events.BlobFinished(name, failed=True))
        raise
    emit(events.BlobFinished(name))
