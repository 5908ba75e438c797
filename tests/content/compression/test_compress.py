"""Compressed content is decompressed by every tool, and does not depend on the read sizes."""

from __future__ import annotations

import gzip
import io
import os
import random
import shutil
import subprocess
import threading
import tracemalloc
import zlib

import pytest
import zstandard
from hypothesis import given, settings, strategies as st

from bundler.content.compression.compress import CompressingReader
from bundler.content.compression.decompress import DecompressingReader
from bundler.errors import DigestMismatchError, UsageError
from tests.strategies import Chunked, chunk_sizes

MB = 1024 * 1024
LEVELS = {"gzip": range(1, 10), "zstd": range(1, 21)}
EXPAND = {
    "gzip": gzip.decompress,
    "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}
every_algorithm = pytest.mark.parametrize("algorithm", list(LEVELS))
FEW_LEVELS = {"gzip": (1, 6, 9), "zstd": (1, 3, 11, 19)}
every_level = pytest.mark.parametrize(
    ("algorithm", "level"),
    [
        pytest.param(
            name, level, marks=() if level in FEW_LEVELS[name] else (pytest.mark.thorough,)
        )
        for name in LEVELS
        for level in LEVELS[name]
    ],
)


def compress(source, algorithm, level=None, **named):
    reader = CompressingReader(source, algorithm, level, **named)
    try:
        return reader.read()
    finally:
        reader.close()


def text(size, seed=1):
    """Return bytes that compress about as well as typical files."""
    chance = random.Random(seed)
    words = [chance.randbytes(chance.randrange(2, 12)) for _ in range(3000)]
    parts = b"".join(chance.choices(words, k=size // 6))
    return (parts + chance.randbytes(size))[:size]


TEXT = text(3 * MB + 12_345)


@every_algorithm
@settings(max_examples=30)
@given(data=st.binary(max_size=5000), sizes=chunk_sizes, piece=st.integers(1, 3000))
def test_compressed_content_decompresses_to_the_same_bytes(algorithm, data, sizes, piece):
    reader = CompressingReader(Chunked(data, sizes), algorithm)
    try:
        result = b"".join(iter(lambda: reader.read(piece), b""))
    finally:
        reader.close()
    assert EXPAND[algorithm](result) == data


@every_level
def test_every_level_decompresses_to_input(algorithm, level):
    result = compress(io.BytesIO(TEXT), algorithm, level)
    assert EXPAND[algorithm](result) == TEXT
    assert len(result) < len(TEXT) * 0.9


@every_algorithm
@pytest.mark.parametrize("level", [None, 1, 9])
def test_output_does_not_depend_on_chunks_or_threads(algorithm, level):
    whole = compress(io.BytesIO(TEXT), algorithm, level, threads=1)
    for threads in (2, 5):
        pieces = Chunked(TEXT, [7, 100_000, 1, MB, 65_536] * 5)
        assert compress(pieces, algorithm, level, threads=threads) == whole


@every_algorithm
def test_gzip_blocks_use_the_previous_block_as_dictionary(algorithm):
    """A repetition directly after a block boundary compresses well."""
    noise = random.Random(2).randbytes(16_384)
    data = bytes(MB - len(noise)) + noise + noise
    assert len(compress(io.BytesIO(data), algorithm)) < len(noise) * 1.5


@pytest.mark.parametrize(("algorithm", "tool"), [("gzip", "gzip"), ("zstd", "zstd")])
def test_tar_and_other_tools_read_archive(algorithm, tool):
    assert shutil.which(tool), f"{tool} is not installed: apt-get install {tool}"
    for data in (b"", b"x", TEXT):
        result = compress(io.BytesIO(data), algorithm)
        command = [tool, "--decompress", "--stdout"]
        assert subprocess.run(command, input=result, capture_output=True, check=True).stdout == data


def test_gzip_is_one_member_without_timestamp():
    result = compress(io.BytesIO(TEXT), "gzip")
    assert result[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    decompressor = zlib.decompressobj(wbits=31)
    assert decompressor.decompress(result) == TEXT
    assert decompressor.eof
    assert not decompressor.unused_data


def test_zstd_is_one_frame_with_small_window():
    result = compress(io.BytesIO(TEXT), "zstd", 20)
    assert zstandard.get_frame_parameters(result).window_size <= 8 * MB
    decoder = zstandard.ZstdDecompressor().decompressobj()
    decoder.decompress(result)
    assert decoder.eof
    assert not decoder.unused_data


@pytest.mark.parametrize(
    ("algorithm", "level"),
    [("gzip", 0), ("gzip", 10), ("gzip", -1), ("zstd", 0), ("zstd", 21), ("zstd:chunked", 21)],
)
def test_unknown_level_is_refused(algorithm, level):
    with pytest.raises(
        UsageError, match=rf"{algorithm}: unsupported compression level {level}"
    ) as refusal:
        CompressingReader(io.BytesIO(), algorithm, level)
    assert "1 (fastest)" in refusal.value.hint


class Breaking(io.BytesIO):
    """A stream that fails instead of ending."""

    def readinto(self, buffer):
        count = super().readinto(buffer)
        if not count:
            raise DigestMismatchError("layer", expected="one", got="another")
        return count


@every_algorithm
@pytest.mark.parametrize("size", [0, 10, 3 * MB])
def test_failing_source_does_not_end_stream(algorithm, size):
    reader = CompressingReader(Breaking(os.urandom(size)), algorithm)
    try:
        with pytest.raises(DigestMismatchError):
            reader.read()
        with pytest.raises(RuntimeError):
            reader.read()
        with pytest.raises(RuntimeError):
            reader.annotations()
    finally:
        reader.close()


@every_algorithm
def test_reader_can_be_closed_at_any_point(algorithm):
    before = threading.active_count()
    reader = CompressingReader(io.BytesIO(os.urandom(20 * MB)), algorithm, threads=3)
    assert reader.read(1)
    reader.close()
    reader.close()
    assert threading.active_count() == before


@every_algorithm
def test_read_into_empty_buffer_reads_nothing(algorithm):
    reader = CompressingReader(io.BytesIO(b"data"), algorithm)
    assert reader.readinto(memoryview(bytearray())) == 0
    result = reader.read()
    reader.close()
    assert EXPAND[algorithm](result) == b"data"
    assert reader.read(5) == b""
    assert reader.annotations() == {}


class Endless:
    """A stream of ``size`` bytes that are generated on demand."""

    def __init__(self, size):
        self.left = size

    def readinto(self, buffer, /):
        count = min(len(buffer), self.left)
        buffer[:count] = TEXT[:count]
        self.left -= count
        return count

    def read(self, size=-1, /):
        raise AssertionError("the reader must use readinto")


@every_algorithm
def test_memory_does_not_grow_with_the_stream(algorithm):
    reader = CompressingReader(Endless(100 * MB), algorithm, 1, threads=2)
    buffer = memoryview(bytearray(MB))
    tracemalloc.start()
    try:
        while reader.readinto(buffer):
            pass
        assert tracemalloc.get_traced_memory()[1] < 12 * MB
    finally:
        tracemalloc.stop()
        reader.close()


@every_algorithm
def test_own_output_is_readable(algorithm):
    result = compress(io.BytesIO(TEXT), algorithm)
    assert DecompressingReader(io.BytesIO(result), algorithm, "test").read() == TEXT
