"""Detection, decompression and expansion limits of compressed streams."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tracemalloc

import pytest
import zstandard
from hypothesis import given, strategies as st

from bundler.content.compression.decompress import DecompressingReader, detect
from bundler.errors import LimitError, MalformedError
from tests.contracts.contents import Chunks

COMPRESS = {
    "gzip": lambda data: gzip.compress(data, 1),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.compress,
}

every_kind = pytest.mark.parametrize("kind", list(COMPRESS))


def reader(data, kind, **named):
    return DecompressingReader(Chunks(data), kind, "test", **named)


def drain(stream, size=65_536):
    buffer = memoryview(bytearray(size))
    total = 0
    while count := stream.readinto(buffer):
        total += count
    return total


@every_kind
def test_compression_is_detected_from_first_bytes(kind):
    assert detect(COMPRESS[kind](b"x")[:6]) == kind


def test_uncompressed_streams_are_detected():
    assert detect(b"{}") is None
    assert detect(b"") is None


@every_kind
@given(data=st.binary(max_size=5000), size=st.integers(1, 3000))
def test_compression_round_trip(kind, data, size):
    stream = reader(COMPRESS[kind](data), kind)
    assert b"".join(iter(lambda: stream.read(size), b"")) == data
    assert stream.read() == b""


@every_kind
def test_concatenated_streams_are_read_as_one(kind):
    parts = [b"first" * 100, b"", b"second"]
    assert reader(b"".join(map(COMPRESS[kind], parts)), kind).read() == b"".join(parts)


@every_kind
def test_truncated_stream_is_reported(kind):
    whole = COMPRESS[kind](os.urandom(5000))
    for end in (0, 5, 100, len(whole) - 1):
        with pytest.raises(MalformedError, match="test"):
            reader(whole[:end], kind).read()


@every_kind
def test_trailing_data_after_a_stream_is_refused(kind):
    with pytest.raises(MalformedError):
        reader(COMPRESS[kind](b"data") + b"garbage!", kind).read()


@every_kind
def test_damage_is_reported(kind):
    whole = bytearray(COMPRESS[kind](b"data" * 1000))
    whole[len(whole) // 2] ^= 0xFF
    with pytest.raises(MalformedError):
        drain(reader(bytes(whole) + b"\0" * 100, kind))


@every_kind
def test_expansion_limit_applies_with_constant_memory(kind):
    bomb = COMPRESS[kind](bytes(90 * 1024 * 1024))
    tracemalloc.start()
    try:
        with pytest.raises(LimitError):
            drain(reader(bomb, kind), 1024 * 1024)
        assert tracemalloc.get_traced_memory()[1] < 48 * 1024 * 1024
    finally:
        tracemalloc.stop()


@every_kind
def test_absolute_limit_applies(kind):
    with pytest.raises(LimitError):
        reader(COMPRESS[kind](bytes(10_000)), kind, limit=9_999).read()
    assert len(reader(COMPRESS[kind](bytes(10_000)), kind, limit=10_000).read()) == 10_000


def test_number_of_empty_streams_is_limited():
    """Empty streams take time, and a ratio of sizes does not limit them."""
    skippable = b"\x50\x2a\x4d\x18\0\0\0\0"
    frame = zstandard.ZstdCompressor().compress(b"")
    for empty in (skippable, frame):
        few = DecompressingReader(io.BytesIO(frame + empty * 9_000), "zstd", "layer")
        assert few.read() == b""
        many = DecompressingReader(io.BytesIO(frame + empty * 20_000), "zstd", "layer")
        with pytest.raises(LimitError):
            many.read()
