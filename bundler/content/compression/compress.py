"""Compress a stream as it is read, on several cores.

The output depends only on the content, the algorithm and the level, not on the size of reads or the
number of threads. The gzip stream is one member without a name or a time.

https://www.rfc-editor.org/rfc/rfc1952, https://www.rfc-editor.org/rfc/rfc8878
"""

from __future__ import annotations

import os
import struct
import zlib
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Literal

import zstandard
from isal import isal_zlib

from bundler.content.archives.zstd_chunked import ChunkedEncoder
from bundler.content.streams import Reader, new_buffer
from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from concurrent.futures import Future
    from types import ModuleType

Algorithm = Literal["gzip", "zstd", "zstd:chunked"]

GZIP_LEVELS = range(1, 10)
ZSTD_LEVELS = range(1, 21)

_MAX_THREADS = 8  # each uses two buffers; more threads would only wait for the disk
_DEFAULT_ZSTD_LEVEL = 3
_ZSTD_JOB = 1 << 20  # bytes per job; the library's default is 8 MiB
_ZSTD_WINDOW_LOG = 23  # 8 MiB, which every decoder must accept (RFC 8878, section 3.1.1.1.2)
_COMMON_WINDOW_LOG = 21  # 2 MiB, the window of zstd levels 1-8
_GZIP_WINDOW = 32 * 1024
_GZIP_HEADER = b"\x1f\x8b\x08\0\0\0\0\0\0\xff"  # no name, no time, system unknown
_GZIP_END = b"\x03\0"  # an empty last block

# Each gzip level is as fast and as small as with the usual encoders, or better: ISA-L for the fast
# levels, zlib for the others. docs/decisions/0011 has the measurements.
_ISAL_LEVELS = {1: 1, 2: 1, 3: 2, 4: 2, 5: 3}
_ZLIB_LEVELS = {6: 2, 7: 3, 8: 4, 9: 6}
_DEFAULT_GZIP_LEVEL = 5


class CompressingReader(Reader):
    """Reader of ``source`` that compresses it; the owner of ``source`` closes it.

    Memory use depends on the number of threads and the level, but not on the length of the stream.
    An error of ``source`` is raised by the read that caused it; every later read raises
    RuntimeError.

    For one thread. The caller must close it.

    Args:
        source: the bytes to compress.
        algorithm: ``zstd:chunked`` accepts tar archives only.
        level: gzip 1-9, zstd 1-20; None: a default.
        threads: the number of compressing threads; None: one for each core.

    Raises:
        UsageError: the algorithm does not support this level.
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
        self._encoder: _Encoder | ChunkedEncoder
        match algorithm:
            case "gzip":
                self._encoder = _Gzip(source, level or _DEFAULT_GZIP_LEVEL, count)
            case "zstd":
                self._encoder = _Zstd(source, level or _DEFAULT_ZSTD_LEVEL, count)
            case "zstd:chunked":
                self._encoder = ChunkedEncoder(source, level or _DEFAULT_ZSTD_LEVEL)
        self._chunks = self._encoder.chunks()
        self._rest = memoryview(b"")
        self._ended = False
        self._failed = False

    def readinto(self, buffer: memoryview, /) -> int:
        """Read into ``buffer`` and return the number of bytes; 0 at the end."""
        if not len(buffer):
            return 0
        while not self._rest and not self._ended:
            if self._failed:
                raise RuntimeError("the stream has failed")
            self._failed = True  # reset when this chunk is complete
            chunk = next(self._chunks, None)
            self._failed = False
            self._ended = chunk is None
            self._rest = memoryview(chunk or b"")
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def annotations(self) -> Mapping[str, str]:
        """Return annotations for the descriptor of the result; valid only after the end."""
        if not self._ended:
            raise RuntimeError("the stream has not been read to its end")
        return self._encoder.annotations()

    def close(self) -> None:
        """Stop the threads and free the memory; may be called repeatedly."""
        self._encoder.close()


def check_level(algorithm: Algorithm, level: int | None) -> None:
    """Check that ``algorithm`` supports a compression level.

    Raises:
        UsageError: the level is not supported; the hint states the valid ones.
    """
    levels = GZIP_LEVELS if algorithm == "gzip" else ZSTD_LEVELS
    if level is not None and level not in levels:
        raise UsageError(
            f"{algorithm}: unsupported compression level {level}",
            hint=f"use a level from {levels[0]} (fastest) to {levels[-1]} (smallest)",
        )


class _Encoder:
    def chunks(self) -> Iterator[bytes]:
        """Iterate over the compressed stream; a chunk may be empty."""
        raise NotImplementedError

    def annotations(self) -> Mapping[str, str]:
        return {}

    def close(self) -> None:
        """Do nothing: threads of the library end with the compressor."""


class _Gzip(_Encoder):
    """Encoder that compresses blocks in parallel, each primed with the end of the previous one.

    Every block ends on a byte boundary, so the blocks together form one deflate stream.
    """

    def __init__(self, source: Reader, level: int, threads: int) -> None:
        self._source = source
        is_fast = level in _ISAL_LEVELS
        self._library: ModuleType = isal_zlib if is_fast else zlib
        self._level = _ISAL_LEVELS[level] if is_fast else _ZLIB_LEVELS[level]
        self._ahead = 2 * threads
        self._free = [new_buffer() for _ in range(self._ahead)]
        self._pool = ThreadPoolExecutor(threads, "gzip")
        self._working: deque[tuple[Future[bytes], memoryview]] = deque()
        self._dictionary = b""
        self._crc = 0
        self._size = 0

    def chunks(self) -> Iterator[bytes]:
        yield _GZIP_HEADER
        while True:
            while self._free:
                buffer = self._free.pop()
                block = buffer[: _read_full(self._source, buffer)]
                if not block:
                    self._free.clear()
                    break
                self._crc = isal_zlib.crc32(block, self._crc)
                self._size += len(block)
                future = self._pool.submit(self._compress, block, self._dictionary)
                self._working.append((future, buffer))
                self._dictionary = bytes(block[-_GZIP_WINDOW:])
            if not self._working:
                break
            future, buffer = self._working.popleft()
            compressed = future.result()
            self._free.append(buffer)
            yield compressed
        yield _GZIP_END + struct.pack("<II", self._crc, self._size & 0xFFFFFFFF)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._working.clear()
        self._free.clear()

    def _compress(self, block: memoryview, dictionary: bytes) -> bytes:
        """Compress a block up to a byte boundary."""
        deflate = self._library.compressobj(self._level, wbits=-15, zdict=dictionary)
        compressed: bytes = deflate.compress(block) + deflate.flush(zlib.Z_SYNC_FLUSH)
        return compressed


class _Zstd(_Encoder):
    """Encoder of a single frame, compressed by the library's threads.

    The output is the same for any number of threads except 0, so a thread is used even on one core.
    """

    def __init__(self, source: Reader, level: int, threads: int) -> None:
        self._source = source
        defaults = zstandard.ZstdCompressionParameters.from_level(level)
        window_log = min(_ZSTD_WINDOW_LOG, defaults.window_log)
        # Users choose levels with a large window to save bytes, not memory.
        job_size = _ZSTD_JOB if window_log <= _COMMON_WINDOW_LOG else 1 << window_log
        parameters = zstandard.ZstdCompressionParameters.from_level(
            level, window_log=window_log, job_size=job_size, threads=threads
        )
        self._compress = zstandard.ZstdCompressor(compression_params=parameters).compressobj()

    def chunks(self) -> Iterator[bytes]:
        buffer = new_buffer()
        while count := _read_full(self._source, buffer):
            yield self._compress.compress(buffer[:count])
        yield self._compress.flush()


def _read_full(source: Reader, buffer: memoryview) -> int:
    """Fill ``buffer`` completely unless the stream ends; return the number of bytes read."""
    filled = 0
    while filled < len(buffer) and (count := source.readinto(buffer[filled:])):
        filled += count
    return filled
