"""Detect and decompress compressed streams.

To stop decompression bombs, the output is limited in proportion to the input, and by an absolute
limit if the caller sets one.
"""

from __future__ import annotations

from typing import Literal, Protocol, cast

from bundler.content.streams import Reader
from bundler.errors import LimitError, MalformedError

Compression = Literal["gzip", "zstd", "bzip2", "xz"]

MAGIC_SIZE = 6
MAX_RATIO = 200
FREE_OUTPUT = 64 * 1024 * 1024
"""Number of output bytes that is allowed at any ratio, because small streams may have a large one.
"""

_MAX_EMPTY = 10_000  # empty streams produce no output, but take time
_INPUT = 256 * 1024
_MAX_WINDOW = 128 * 1024 * 1024  # the default limit of the zstd program
_MAGICS: dict[bytes, Compression] = {
    b"\x1f\x8b\x08": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
}


def detect(head: bytes) -> Compression | None:
    """Return the compression of a stream that starts with ``head`` (``MAGIC_SIZE`` bytes)."""
    return next((name for magic, name in _MAGICS.items() if head.startswith(magic)), None)


class PeekedReader(Reader):
    """The stream ``source``, whose owner closes it; ``head`` has its first bytes, for ``detect``.

    The bytes in ``head`` are read again as part of the stream. For one thread.
    """

    def __init__(self, source: Reader) -> None:
        self._source = source
        head = b""
        while len(head) < MAGIC_SIZE and (more := source.read(MAGIC_SIZE - len(head))):
            head += more
        self.head = head
        self._left = memoryview(head)

    def read(self, size: int = -1, /) -> bytes:
        """Read at most ``size`` bytes, or to the end."""
        if not self._left:
            return self._source.read(size)
        if size < 0:
            data, self._left = bytes(self._left), memoryview(b"")
            return data + self._source.read()
        data, self._left = bytes(self._left[:size]), self._left[size:]
        return data

    def readinto(self, buffer: memoryview, /) -> int:
        """Read into ``buffer`` and return the number of bytes; 0 at the end."""
        count = min(len(self._left), len(buffer))
        if count:
            buffer[:count], self._left = self._left[:count], self._left[count:]
        if count == len(buffer):
            return count
        return count + self._source.readinto(buffer[count:])


class DecompressingReader:
    """The decompressed content of ``source``, whose owner closes it. For one thread.

    Concatenated streams are read as one, as the programs gzip, zstd, bzip2 and xz do.

    Args:
        source: the compressed bytes.
        compression: the result of ``detect``.
        subject: the stream's name in messages.
        limit: the maximum number of decompressed bytes; None: only the ratio is limited.
    """

    def __init__(
        self, source: Reader, compression: Compression, subject: str, *, limit: int | None = None
    ) -> None:
        self._source = source
        self._compression = compression
        self._subject = subject
        self._limit = limit
        self._decoder: _Decoder | None = None
        self._pending = b""
        self._consumed = 0
        self._produced = 0
        self._ended = False
        self._yielded = False
        self._empty = 0

    def readinto(self, buffer: memoryview, /) -> int:
        """Read into ``buffer`` and return the number of bytes; 0 at the end.

        Raises:
            MalformedError: the stream is not valid for this compression, or is truncated.
            LimitError: the output exceeds a limit.
        """
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int = -1, /) -> bytes:
        """Read at most ``size`` bytes, or to the end. Raises the same errors as ``readinto``."""
        if size < 0:
            return b"".join(iter(lambda: self.read(_INPUT), b""))
        data = b""
        while size and not data and not self._ended:
            data = self._step(size)
        self._produced += len(data)
        if self._limit is not None and self._produced > self._limit:
            raise LimitError(f"{self._subject}: expands to more than {self._limit:,} bytes")
        if self._produced > max(FREE_OUTPUT, MAX_RATIO * self._consumed):
            raise LimitError(
                f"{self._subject}: expands to more than {MAX_RATIO} times its size",
                hint="decompress it with another program first if you trust the content",
            )
        return data

    def _step(self, size: int) -> bytes:
        decoder = self._decoder
        if decoder is None or decoder.eof:
            if decoder is not None and not self._yielded:
                self._empty += 1
                if self._empty > _MAX_EMPTY:
                    raise LimitError(
                        f"{self._subject}: more than the {_MAX_EMPTY:,} empty streams allowed"
                    )
            self._yielded = False
            if not self._pending:
                self._pending = self._read_input()
            if not self._pending and self._consumed:
                self._ended = True
                return b""
            decoder = self._decoder = _new_decoder(self._compression)
        elif decoder.needs_input and not self._pending:
            self._pending = self._read_input()
            if not self._pending:
                raise MalformedError(f"{self._subject}: truncated {self._compression} stream")
        try:
            data = decoder.decompress(self._pending, size)
        except _errors() as error:
            raise MalformedError(f"{self._subject}: invalid {self._compression} stream") from error
        self._pending = decoder.unused_data if decoder.eof else b""
        self._yielded = self._yielded or bool(data)
        return data

    def _read_input(self) -> bytes:
        data = self._source.read(_INPUT)
        self._consumed += len(data)
        return data


class _Decoder(Protocol):
    """The interface of the decompressors in bz2 and lzma."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _ZstdDecoder:
    """Adapter of the zstandard decompressor to the interface of the others.

    It cannot limit its output, so the input is passed in small chunks: four bytes may expand to a
    block of 128 KiB, and a chunk to 32 MiB.
    """

    _CHUNK = 1024

    def __init__(self) -> None:
        import zstandard  # noqa: PLC0415 - only for zstd streams

        self._inner = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).decompressobj()
        self._input = memoryview(b"")
        self._output = memoryview(b"")

    @property
    def eof(self) -> bool:
        return self._inner.eof and not self._output

    @property
    def needs_input(self) -> bool:
        return not self._input and not self._output

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data + bytes(self._input)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if data:
            self._input = memoryview(bytes(self._input) + data)
        while not self._output and self._input and not self._inner.eof:
            chunk, self._input = self._input[: self._CHUNK], self._input[self._CHUNK :]
            self._output = memoryview(self._inner.decompress(chunk))
        ready, self._output = self._output[:max_length], self._output[max_length:]
        return bytes(ready)


def _new_decoder(compression: Compression) -> _Decoder:
    match compression:
        case "gzip":
            from isal import igzip_lib  # noqa: PLC0415 - only for gzip streams

            return igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        case "zstd":
            return _ZstdDecoder()
        case "bzip2":
            import bz2  # noqa: PLC0415

            return bz2.BZ2Decompressor()
        case "xz":
            import lzma  # noqa: PLC0415

            return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_MAX_WINDOW)


def _errors() -> tuple[type[Exception], ...]:
    """Return the exception types of the decoders, which are imported when an error occurs."""
    import lzma  # noqa: PLC0415

    import zstandard  # noqa: PLC0415
    from isal import igzip_lib  # noqa: PLC0415

    isal_error = cast("type[Exception]", igzip_lib.error)  # the stub types it as an instance
    return (isal_error, lzma.LZMAError, zstandard.ZstdError, OSError, EOFError, ValueError)
