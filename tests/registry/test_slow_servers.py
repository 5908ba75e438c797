"""Servers that send bytes too slowly."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from bundler.errors import RegistryError
from bundler.oci.digest import Digest
from bundler.registry import response
from bundler.registry.repository import Repository
from bundler.retry_policy import Backoff, RetryPolicy

if TYPE_CHECKING:
    from bundler.content.streams import Reader

BLOB = Digest("sha256:" + "0" * 64)
LENGTH = b"Content-Length: 100000\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n186a0\r\n"


class _Place:
    """The fields of a registry that ``connect`` uses."""

    tls = None

    def __init__(self, host: str) -> None:
        self.host = host


@contextmanager
def dripping(headers: bytes, gap: float):
    """Run a server that returns ``headers``, and then one byte every ``gap`` seconds."""
    ended = threading.Event()

    def answer_one(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\n" + headers)
            while not ended.wait(gap):
                connection.sendall(b"x")

    def serve(listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                threads.append(threading.Thread(target=answer_one, args=(connection,)))
                threads[-1].start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threads = [threading.Thread(target=serve, args=(listening,))]
        threads[0].start()
        try:
            yield _Place(f"127.0.0.1:{listening.getsockname()[1]}")
        finally:
            ended.set()
            listening.shutdown(socket.SHUT_RDWR)
            for thread in threads:
                thread.join()


def read(stream: Reader) -> int:
    """Read the whole stream; return the number of bytes."""
    buffer, count = memoryview(bytearray(65536)), 0
    while got := stream.readinto(buffer):
        count += got
    return count


@pytest.mark.parametrize("headers", [LENGTH, CHUNKED])
def test_slow_document_times_out(connect, monkeypatch, headers: bytes):
    monkeypatch.setattr(response, "_MAX_DOCUMENT_TIME", 0.3)
    with dripping(headers, 0.02) as server:
        session = connect(server, retry_policy=RetryPolicy(1, Backoff(0)))
        begun = time.monotonic()
        with pytest.raises(RegistryError) as raised:
            Repository(session, "library/app").get_manifest("1")
        assert raised.value.temporary
        assert time.monotonic() - begun < 5


@pytest.mark.parametrize("headers", [LENGTH, CHUNKED])
def test_slow_blob_is_a_temporary_error(connect, monkeypatch, headers: bytes):
    """Another attempt may resume the blob."""
    monkeypatch.setattr(response, "_SPEED_PERIOD", 0.6)
    with dripping(headers, 0.02) as server:
        repository = Repository(connect(server), "library/app")
        with (
            repository.open_blob(BLOB, 100_000) as stream,
            pytest.raises(RegistryError) as raised,
        ):
            read(stream)
        assert raised.value.temporary
        assert raised.value.status is None


def test_slow_link_above_minimum_speed_is_accepted(connect, monkeypatch):
    monkeypatch.setattr(response, "_SPEED_PERIOD", 0.1)
    monkeypatch.setattr(response, "_MIN_SPEED", 10)
    with dripping(b"Content-Length: 80\r\n\r\n", 0.01) as server:
        repository = Repository(connect(server), "library/app")
        with repository.open_blob(BLOB, 80) as stream:
            assert read(stream) == 80


def test_time_between_reads_does_not_count(connect, registry, monkeypatch):
    monkeypatch.setattr(response, "_SPEED_PERIOD", 0.1)
    digest = Digest(registry.add_blob("library/app", b"x" * 20))
    buffer = memoryview(bytearray(5))
    with Repository(connect(registry), "library/app").open_blob(digest, 20) as stream:
        for _ in range(4):
            time.sleep(0.1)
            assert stream.readinto(buffer) == 5
