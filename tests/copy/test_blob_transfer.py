"""Transfers of single blobs: retries, resumption, cancellation."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bundler import events
from bundler.cancel import Cancellation
from bundler.copy import blob_transfer
from bundler.copy.engine import EngineOptions, execute
from bundler.copy.image import ImageRequest
from bundler.copy.plan import create_plan
from bundler.copy.planned_image import PlannedImage
from bundler.copy.resolving.resolve import resolve
from bundler.errors import (
    CancelledError,
    IntegrityError,
    RegistryError,
    SizeMismatchError,
)
from bundler.events import discard
from bundler.ports import Capabilities, Node
from bundler.transports.memory.transport import MemoryReference
from tests.fakes.memory import Fault, MemoryDestination, MemoryStore

TEMPORARY = RegistryError("busy", temporary=True)


def blob(store, data):
    return Node("layer", "application/octet-stream", store.add_blob(data), len(data))


def push(node, src, destination, emit=discard):
    blob_transfer.push_blob(node, src.source(), destination, Cancellation(), emit)


@pytest.mark.parametrize("data", [b"", b"x", b"y" * 3_000_000])
def test_blob_is_pushed(data):
    src, dst = MemoryStore(), MemoryStore()
    push(blob(src, data), src, dst.destination())
    assert dst.blobs == src.blobs


@pytest.mark.parametrize(("effect", "after"), [("short", 5), ("long", 0), ("wrong", 0)])
def test_damaged_blob_at_the_source_is_not_retried(effect, after):
    src, dst = MemoryStore(), MemoryStore()
    node = blob(src, b"0123456789")
    src.faults.append(Fault("open", effect, after=after, times=99))
    with pytest.raises(IntegrityError):
        push(node, src, dst.destination())
    assert len([line for line in src.log if line.startswith("open")]) == 1
    assert not dst.blobs


@pytest.mark.parametrize("size", [9, 11, 0, 2**40])
def test_wrong_size_is_refused(size):
    src, dst = MemoryStore(), MemoryStore()
    digest = src.add_blob(b"0123456789")
    with pytest.raises(SizeMismatchError):
        push(Node("layer", "a/b", digest, size), src, dst.destination())
    assert not dst.blobs


class Keeping(MemoryDestination):
    """A destination that keeps the start of an interrupted push, and resumes it."""

    def __init__(self, store, breaks_after):
        super().__init__(store, Capabilities())
        self._front = b""
        self._breaks_after = breaks_after
        self.received = 0

    def offset(self, target):
        return len(self._front)

    def push(self, target, content, /):
        assert content.position in (0, len(self._front))
        data = bytearray(self._front[: content.position])
        while chunk := content.read(1_000):
            data += chunk
            self.received += len(chunk)
            if self._breaks_after and len(data) >= self._breaks_after:
                self._front, self._breaks_after = bytes(data), 0
                raise TEMPORARY
        self._store.blobs[content.descriptor().digest] = bytes(data)
        return content.descriptor()


def test_interrupted_push_resumes_at_its_offset():
    src, dst = MemoryStore(), MemoryStore()
    node = blob(src, bytes(range(256)) * 40)
    destination = Keeping(dst, breaks_after=4_000)
    emitted = []
    push(node, src, destination, emitted.append)
    assert dst.blobs == src.blobs
    assert destination.received == node.size
    assert sum(e.advance for e in emitted if isinstance(e, events.BlobProgressed)) == node.size


class KeepsOneByte(Keeping):
    """A destination that keeps one more byte in each attempt."""

    def push(self, target, content, /):
        start = content.position
        self._front += content.read(1)
        assert len(self._front) == start + 1
        raise TEMPORARY


def test_destination_that_keeps_a_byte_of_each_attempt_makes_no_progress():
    src = MemoryStore()
    node = blob(src, bytes(100))
    destination = KeepsOneByte(MemoryStore(), breaks_after=0)
    with pytest.raises(RegistryError) as caught:
        push(node, src, destination)
    assert caught.value is TEMPORARY
    assert destination.offset(node) < 10


def test_temporary_failures_are_retried_a_limited_number_of_times():
    src, dst = MemoryStore(), MemoryStore()
    node = blob(src, b"data")
    dst.faults.append(Fault("push", times=10**6, error=TEMPORARY))
    emitted = []
    with pytest.raises(RegistryError) as caught:
        push(node, src, dst.destination(), emitted.append)
    assert caught.value is TEMPORARY
    assert sum(isinstance(event, events.Retrying) for event in emitted) == 5
    assert emitted[-1] == events.BlobFinished(node.digest.text, failed=True)


def test_permanent_failure_is_not_retried():
    src, dst = MemoryStore(), MemoryStore()
    node = blob(src, b"data")
    permanent = RegistryError("no", temporary=False)
    dst.faults.append(Fault("push", times=1, error=permanent))
    with pytest.raises(RegistryError) as caught:
        push(node, src, dst.destination())
    assert caught.value is permanent


def test_cancellation_ends_running_transfers_within_a_second():
    """No name is published, and no partial blob is stored."""
    src, dst = MemoryStore(), MemoryStore()
    src.add_image("app", layers=[bytes([n]) * 500_000 for n in range(8)], compress=False)
    cancellation, begun = Cancellation(), threading.Event()

    class Slow(MemoryDestination):
        def push(self, target, content, /):
            while content.read(1_000):
                begun.set()
                time.sleep(0.005)
            return super().push(target, content)

    with ThreadPoolExecutor(4) as pool:
        target = PlannedImage(
            resolve(ImageRequest(MemoryReference("app")), src.source()),
            Slow(dst, Capabilities()),
            ("app",),
        )
        plan = create_plan([target], pool, cancellation)

        def cancel_soon():
            begun.wait(10)
            cancellation.request(15)
            requested.append(time.monotonic())

        requested = []
        threading.Thread(target=cancel_soon, daemon=True).start()
        with pytest.raises(CancelledError) as caught:
            execute(plan, EngineOptions(pool, cancellation=cancellation))
        assert time.monotonic() - requested[0] < 1
    assert caught.value.status == 143
    assert not dst.names


def test_blob_damaged_at_the_destination_is_copied_again():
    src, dst = MemoryStore(), MemoryStore()
    src.add_image("app", layers=[b"layer"], compress=False)
    layer = next(digest for digest, data in src.blobs.items() if data == b"layer")
    dst.blobs[layer] = b"LAYER"
    emitted = []
    with ThreadPoolExecutor(2) as pool:
        image = resolve(ImageRequest(MemoryReference("app")), src.source())
        plan = create_plan([PlannedImage(image, dst.destination(), ("app",))], pool, Cancellation())
        execute(plan, EngineOptions(pool, emit=emitted.append))
    assert dst.blobs == src.blobs
    assert any(isinstance(event, events.Notice) for event in emitted)


def test_cut_stream_is_reopened_at_once_after_each_mebibyte():
    """Retries are not needed for that, so an operation without patience resumes as well."""
    src, dst = MemoryStore(), MemoryStore()
    node = blob(src, bytes(5_000_000))
    error = RegistryError("cut off", temporary=True)
    error.patience = 0
    src.faults.append(Fault("read", after=1_500_000, times=99, error=error))
    emitted = []
    push(node, src, dst.destination(), emitted.append)
    assert dst.blobs == src.blobs
    assert {event.wait for event in emitted if isinstance(event, events.Retrying)} == {0}
