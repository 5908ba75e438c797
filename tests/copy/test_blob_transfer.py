"""One blob on its way: resumed, pushed anew, waited for, stopped."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bundler import events
from bundler.cancel import Cancellation
from bundler.copy import blob_transfer
from bundler.copy.engine import EngineOptions, execute
from bundler.copy.plan import Target, create_plan
from bundler.copy.request import ImageRequest
from bundler.copy.resolve import resolve
from bundler.errors import (
    CancelledError,
    IntegrityError,
    RegistryError,
    SizeMismatchError,
)
from bundler.events import discard
from bundler.ports import Capabilities, Node
from bundler.retry_policy import Backoff, RetryPolicy
from bundler.transports.memory.transport import MemoryReference
from tests.fakes.memory import Fault, MemoryDestination, MemoryStore

TEMPORARY = RegistryError("busy", temporary=True)


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(blob_transfer, "RETRY_POLICY", RetryPolicy(6, Backoff(0.001, 0.05)))


def blob(store, data):
    return Node("layer", "application/octet-stream", store.add_blob(data), len(data))


def push(node, there, destination, emit=discard):
    blob_transfer.push_blob(node, there.source(), destination, Cancellation(), emit)


@pytest.mark.parametrize("data", [b"", b"x", b"y" * 3_000_000])
def test_blob_is_pushed(data):
    there, here = MemoryStore(), MemoryStore()
    push(blob(there, data), there, here.destination())
    assert here.blobs == there.blobs


@pytest.mark.parametrize(("effect", "after"), [("short", 5), ("long", 0), ("wrong", 0)])
def test_damaged_blob_at_the_source_is_not_retried(effect, after):
    there, here = MemoryStore(), MemoryStore()
    node = blob(there, b"0123456789")
    there.faults.append(Fault("open", effect, after=after, times=99))
    with pytest.raises(IntegrityError):
        push(node, there, here.destination())
    assert len([line for line in there.log if line.startswith("open")]) == 1
    assert not here.blobs


@pytest.mark.parametrize("size", [9, 11, 0, 2**40])
def test_wrong_size_is_refused(size):
    there, here = MemoryStore(), MemoryStore()
    digest = there.add_blob(b"0123456789")
    with pytest.raises(SizeMismatchError):
        push(Node("layer", "a/b", digest, size), there, here.destination())
    assert not here.blobs


class Keeping(MemoryDestination):
    """Keeps the front of a push that broke off, and goes on from there."""

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


def test_interrupted_push_resumes_at_its_offset(quick):
    there, here = MemoryStore(), MemoryStore()
    node = blob(there, bytes(range(256)) * 40)
    destination = Keeping(here, breaks_after=4_000)
    told = []
    push(node, there, destination, told.append)
    assert here.blobs == there.blobs
    assert destination.received == node.size
    assert sum(e.advance for e in told if isinstance(e, events.BlobProgressed)) == node.size


def test_temporary_failures_are_retried_a_limited_number_of_times(quick):
    there, here = MemoryStore(), MemoryStore()
    node = blob(there, b"data")
    here.faults.append(Fault("push", times=10**6, error=TEMPORARY))
    told = []
    with pytest.raises(RegistryError, match="busy"):
        push(node, there, here.destination(), told.append)
    assert sum(isinstance(event, events.Retrying) for event in told) == 5
    assert told[-1] == events.BlobFinished(node.digest.text, failed=True)


def test_permanent_failure_is_not_retried():
    there, here = MemoryStore(), MemoryStore()
    node = blob(there, b"data")
    here.faults.append(Fault("push", times=1, error=RegistryError("no", temporary=False)))
    with pytest.raises(RegistryError, match="no"):
        push(node, there, here.destination())


def test_cancellation_ends_running_transfers_within_a_second():
    """No name is set, and what had begun to arrive is not there."""
    there, here = MemoryStore(), MemoryStore()
    there.add_image("app", layers=[bytes([n]) * 500_000 for n in range(8)], compress=False)
    stop, begun = Cancellation(), threading.Event()

    class Slow(MemoryDestination):
        def push(self, target, content, /):
            while content.read(1_000):
                begun.set()
                time.sleep(0.005)
            return super().push(target, content)

    with ThreadPoolExecutor(4) as pool:
        target = Target(
            resolve(ImageRequest(MemoryReference("app")), there.source()),
            Slow(here, Capabilities()),
            ("app",),
        )
        made = create_plan([target], pool, stop)

        def stop_soon():
            begun.wait(10)
            stop.request(15)
            requested.append(time.monotonic())

        requested = []
        threading.Thread(target=stop_soon, daemon=True).start()
        with pytest.raises(CancelledError) as caught:
            execute(made, EngineOptions(pool, cancellation=stop))
        assert time.monotonic() - requested[0] < 1
    assert caught.value.status == 143
    assert not here.names


def test_blob_damaged_at_the_destination_is_copied_again():
    there, here = MemoryStore(), MemoryStore()
    there.add_image("app", layers=[b"layer"], compress=False)
    layer = next(digest for digest, data in there.blobs.items() if data == b"layer")
    here.blobs[layer] = b"LAYER"
    told = []
    with ThreadPoolExecutor(2) as pool:
        image = resolve(ImageRequest(MemoryReference("app")), there.source())
        made = create_plan([Target(image, here.destination(), ("app",))], pool, Cancellation())
        execute(made, EngineOptions(pool, emit=told.append))
    assert here.blobs == there.blobs
    assert any(isinstance(event, events.Notice) for event in told)
