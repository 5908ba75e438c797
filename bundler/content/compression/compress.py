"""Compress a stream as it is read, on several cores.

For the same input, algorithm and level the same bytes come out, however the input arrives in
pieces and however many threads there are. The gzip stream is one member without a name or a time.

https://www.rfc-editor.org/rfc/rfc1952, https://www.rfc-editor.org/rfc/rfc8878
"""

from __future__ import annotations

import os
import zlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal, Protocol

import zstandard
from isal import isal_zlib

from bundler.content.archives.zstd_chunked import ChunkedEncoder
from bundler.content.streams.reader import BUFFER_SIZE, new_buffer
from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from concurrent.futures import Future

    from bundler.content.streams.reader import Reader

Algorithm = Literal["gzip", "zstd", "zstd:chunked"]

GZIP_LEVELS = range(1, 10)
ZSTD_LEVELS = range(1, 21)

_MAX_THREADS = 8  # each holds two pieces; more of them wait for the disk
_DEFAULT_ZSTD_LEVEL = 3
_ZSTD_JOB = 1 << 20  # bytes that a thread takes at a time; left to itself the library takes 8 MiB
_ZSTD_WINDOW_LOG = 23  # 8 MiB: what every decoder has to accept (RFC 8878, section 3.1.1.1.2)
_COMMON_WINDOW_LOG = 21  # of the levels up to 8
_GZIP_WINDOW = 32 * 1024
_GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # no name, no time, system unknown
_GZIP_END = b"\x03\0"  # an empty last block

# What a level of gzip costs and saves is that of the encoders people are used to, or better: ISA-L
# for the fast ones, zlib for those that have time. docs/decisions/0011 has the measurements.
_ISAL_LEVELS = {1: 1, 2: 1, 3: 2, 4: 2, 5: 3}
_ZLIB_LEVELS = {6: 2, 7: 3, 8: 4, 9: 6}
_DEFAULT_GZIP_LEVEL = 5


class CompressingReader:
    """The compressed form of ``source``, whose owner closes it.

    Memory is bounded by the threads and the level, whatever the length of the stream. An error of
    ``source`` comes out of the read that met it, and no read ends the stream after that.

    Not for two threads at once. It has to be closed.

    Args:
        source: the bytes to compress, read by whoever reads this.
        algorithm: which compression; ``zstd:chunked`` takes tar archives only.
        level: gzip 1-9, zstd 1-20; None: a good middle.
        threads: how many compress at once; None: one for each core.

    Raises:
        UsageError: there is no such level.
    """

    def __init__(
        self,
        source: Reader,
        algorithm: Algorithm,
        level: int | None = None,
        *,
        threads: int | None = None,
    ) -> None:
        check_level(algorithm, level)
        count = threads or min(len(os.sched_getaffinity(0)), _MAX_THREADS)
        self._encoder: _Encoder
        match algorithm:
            case "gzip":
                self._encoder = _Gzip(source, level or _DEFAULT_GZIP_LEVEL, count)
            case "zstd":
                self._encoder = _Zstd(source, level or _DEFAULT_ZSTD_LEVEL, count)
            case "zstd:chunked":
                self._encoder = ChunkedEncoder(source, level or _DEFAULT_ZSTD_LEVEL)
        self._pieces = self._encoder.pieces()
        self._rest = memoryview(b"")
        self._ended = False
        self._failed = False

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill part of ``buffer``; 0 at the end."""
        if not len(buffer):
            return 0
        while not self._rest and not self._ended:
            self._rest = self._next_piece()
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes, or all that is left."""
        if size < 0:
            return b"".join(iter(lambda: self.read(BUFFER_SIZE), b""))
        buffer = bytearray(size)
        return bytes(buffer[: self.readinto(memoryview(buffer))])

    def annotations(self) -> Mapping[str, str]:
        """What the descriptor of the result has to say of it; only after the end."""
        if not self._ended:
            raise RuntimeError("the stream has not been read to its end")
        return self._encoder.annotations()

    def close(self) -> None:
        """Stop the threads and let go of the memory; more than once does no harm."""
        self._encoder.close()

    def _next_piece(self) -> memoryview:
        if self._failed:
            raise RuntimeError("the stream has failed, and cannot be read on")
        self._failed = True  # until this piece is there
        piece = next(self._pieces, None)
        self._failed = False
        self._ended = piece is None
        return memoryview(piece or b"")


def check_level(algorithm: Algorithm, level: int | None) -> None:
    """Refuse a level that ``algorithm`` does not have.

    Raises:
        UsageError: with the levels that there are.
    """
    levels = GZIP_LEVELS if algorithm == "gzip" else ZSTD_LEVELS
    if level is not None and level not in levels:
        raise UsageError(
            f"{algorithm} has no compression level {level}",
            hint=f"its levels are {levels[0]} (fastest) to {levels[-1]} (smallest)",
        )


class _Encoder(Protocol):
    def pieces(self) -> Iterator[bytes]:
        """The compressed stream; a piece may be empty."""
        ...

    def annotations(self) -> Mapping[str, str]: ...
    def close(self) -> None: ...


class _Gzip:
    """Blocks are compressed side by side, each with the end of the former one as its dictionary.

    Every block but the last ends on a byte, so together they are one deflate stream.
    """

    def __init__(self, source: Reader, level: int, threads: int) -> None:
        self._source = source
        self._compress = _deflating(level)
        self._ahead = 2 * threads
        self._free = [new_buffer() for _ in range(self._ahead)]
        self._pool = ThreadPoolExecutor(threads, "gzip")
        self._working: deque[tuple[Future[bytes], memoryview]] = deque()
        self._dictionary = b""
        self._crc = 0
        self._size = 0

    def pieces(self) -> Iterator[bytes]:
        yield _GZIP_HEADER
        while self._fill() or self._working:
            future, buffer = self._working.popleft()
            block = future.result()
            self._free.append(buffer)
            yield block
        yield (
            _GZIP_END
            + self._crc.to_bytes(4, "little")
            + (self._size & 0xFFFFFFFF).to_bytes(4, "little")
        )

    def annotations(self) -> Mapping[str, str]:
        return {}

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._working.clear()
        self._free.clear()

    def _fill(self) -> bool:
        """Give all threads work; whether there may be more of it."""
        while self._free:
            buffer = self._free.pop()
            block = buffer[: _read_full(self._source, buffer)]
            if not block:
                self._free.clear()
                return False
            self._crc = isal_zlib.crc32(block, self._crc)
            self._size += len(block)
            future = self._pool.submit(self._compress, block, self._dictionary)
            self._working.append((future, buffer))
            self._dictionary = bytes(block[-_GZIP_WINDOW:])
        return True


def _deflating(level: int) -> Callable[[memoryview, bytes], bytes]:
    """What makes raw deflate blocks that end on a byte from a piece and what went before it."""

    def by_isal(block: memoryview, dictionary: bytes) -> bytes:
        deflate = isal_zlib.compressobj(_ISAL_LEVELS[level], wbits=-15, zdict=dictionary)
        return deflate.compress(block) + deflate.flush(isal_zlib.Z_SYNC_FLUSH)

    def by_zlib(block: memoryview, dictionary: bytes) -> bytes:
        deflate = zlib.compressobj(_ZLIB_LEVELS[level], wbits=-15, zdict=dictionary)
        return deflate.compress(block) + deflate.flush(zlib.Z_SYNC_FLUSH)

    return by_isal if level in _ISAL_LEVELS else by_zlib


class _Zstd:
    """One frame; the library has threads of its own, even where there is only one core.

    What it makes of a stream does not depend on their number, but on whether there are any.
    """

    def __init__(self, source: Reader, level: int, threads: int) -> None:
        self._source = source
        window_log = min(_ZSTD_WINDOW_LOG, _window_log(level))
        # Who asks for a level with a large window asks for fewer bytes, not for less memory.
        job_size = _ZSTD_JOB if window_log <= _COMMON_WINDOW_LOG else 1 << window_log
        parameters = zstandard.ZstdCompressionParameters.from_level(
            level, window_log=window_log, job_size=job_size, threads=threads
        )
        self._compress = zstandard.ZstdCompressor(compression_params=parameters).compressobj()

    def pieces(self) -> Iterator[bytes]:
        buffer = new_buffer()
        while count := _read_full(self._source, buffer):
            yield self._compress.compress(buffer[:count])
        yield self._compress.flush()

    def annotations(self) -> Mapping[str, str]:
        return {}

    def close(self) -> None:
        """The library's threads end with the compressor."""


def _window_log(level: int) -> int:
    return zstandard.ZstdCompressionParameters.from_level(level).window_log


def _read_full(source: Reader, buffer: memoryview) -> int:
    """Fill all of ``buffer`` unless the stream ends; how many bytes."""
    filled = 0
    while filled < len(buffer) and (count := source.readinto(buffer[filled:])):
        filled += count
    return filled
