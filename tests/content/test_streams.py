"""Read a stream in chunks, discard it, or write it to a file descriptor."""

from __future__ import annotations

import os
from io import BytesIO

import pytest

from bundler.content.streams import (
    BUFFER_SIZE,
    copy_to_fd,
    drain,
    read_chunks,
    write_all,
)

DATA = os.urandom(2 * BUFFER_SIZE + 17)


@pytest.mark.parametrize("size", [None, 0, 1, 5, len(DATA)])
def test_read_chunks_returns_all_bytes_in_order(size):
    data = DATA if size is None or size > 5 else DATA[:100]
    chunks = [bytes(chunk) for chunk in read_chunks(BytesIO(data), size)]
    assert b"".join(chunks) == data
    assert max(map(len, chunks)) <= BUFFER_SIZE


def test_read_chunks_of_an_empty_stream_is_empty():
    assert list(read_chunks(BytesIO())) == []


def test_drain_reads_to_the_end():
    stream = BytesIO(DATA)
    drain(stream)
    assert stream.read() == b""


def test_copy_to_fd_writes_all_bytes(tmp_path):
    with (tmp_path / "file").open("wb") as file:
        copy_to_fd(BytesIO(DATA), file.fileno())
    assert (tmp_path / "file").read_bytes() == DATA


def test_write_all_continues_after_a_short_write(monkeypatch):
    written = bytearray()

    def write_seven_bytes(_: int, data: memoryview) -> int:
        written.extend(data[:7])
        return min(7, len(data))

    monkeypatch.setattr(os, "write", write_seven_bytes)
    write_all(1, DATA[:100])
    assert written == DATA[:100]
