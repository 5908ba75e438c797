"""Tell compressed streams by their first bytes, and read what is in them without being flooded.

A few bytes can stand for very many. What comes out is bounded by what went in, and by an absolute
limit if there is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, cast

from bundler.errors import LimitError, MalformedError

if TYPE_CHECKING:
    from bundler.content.streams.reader import Reader

Compression = Literal["gzip", "zstd", "bzip2", "xz"]

MAGIC_SIZE = 6
MAX_RATIO = 200
FREE_OUTPUT = 64 * 1024 * 1024
"""This much may come out of any input; a ratio says nothing about small streams."""

_MAX_EMPTY = 10_000  # streams that say nothing and cost time all the same
_INPUT = 256 * 1024
_MAX_WINDOW = 128 * 1024 * 1024  # what zstd's own tool accepts without being asked
_MAGICS: dict[bytes, Compression] = {
    b"\x1f\x8b\x08": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
}


def detect(head: bytes) -> Compression | None:
    """How a stream that begins with ``head`` is compressed; ``MAGIC_SIZE`` bytes are enough."""
    return next((name for magic, name in _MAGICS.items() if head.startswith(magic)), None)


class DecompressingReader:
    """What is in the compressed stream ``source``, whose owner closes it.

    Several streams one after another are one, as their tools have it. Not for two threads at once.

    Args:
        source: the compressed bytes.
        compression: as ``detect`` told.
        subject: the stream's name in messages.
        limit: the most bytes that may come out; None: only the ratio counts.
    """

    def __init__(
        self, source: Reader, compression: Compression, subject: str, *, limit: int | None = None
    ) -> None:
        self._source = source
        self._compression = compression
        self._what = subject
        self._limit = limit
        self._decoder: _Decoder | None = None
        self._pending = b""
        self._taken = 0
        self._given = 0
        self._ended = False
        self._yielded = False
        self._empty = 0

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill part of ``buffer``; 0 at the end.

        Raises:
            MalformedError: not such a stream, or it ends early.
            LimitError: more comes out than is allowed.
        """
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes, or all that is left; raises as ``readinto`` does."""
        if size < 0:
            return b"".join(iter(lambda: self.read(_INPUT), b""))
        data = b""
        while size and not data and not self._ended:
            data = self._step(size)
        self._given += len(data)
        self._check()
        return data

    def _step(self, size: int) -> bytes:
        if self._decoder is None or self._decoder.eof:
            if not self._next_stream():
                return b""
        elif self._decoder.needs_input and not self._pending:
            self._pending = self._take()
            if not self._pending:
                raise MalformedError(f"{self._what}: the {self._compression} stream ends early")
        decoder = self._decoder
        assert decoder is not None  # noqa: S101 - for the type checker
        try:
            data = decoder.decompress(self._pending, size)
        except _errors() as error:
            raise MalformedError(f"{self._what}: not a {self._compression} stream") from error
        self._pending = decoder.unused_data if decoder.eof else b""
        self._yielded = self._yielded or bool(data)
        return data

    def _next_stream(self) -> bool:
        if self._decoder is not None and not self._yielded:
            self._empty += 1
            if self._empty > _MAX_EMPTY:
                raise LimitError(
                    f"{self._what}: more than the {_MAX_EMPTY:,} empty streams allowed"
                )
        self._yielded = False
        if not self._pending:
            self._pending = self._take()
        if not self._pending and self._taken:
            self._ended = True
            return False
        self._decoder = _new_decoder(self._compression)
        return True

    def _take(self) -> bytes:
        data = self._source.read(_INPUT)
        self._taken += len(data)
        return data

    def _check(self) -> None:
        if self._limit is not None and self._given > self._limit:
            raise LimitError(f"{self._what}: more than {self._limit:,} bytes come out of it")
        if self._given > max(FREE_OUTPUT, MAX_RATIO * self._taken):
            raise LimitError(
                f"{self._what}: more than {MAX_RATIO} bytes come out of each byte",
                hint="this is no ordinary archive; decompress it by hand if it is yours",
            )


class _Decoder(Protocol):
    """What the decompressors of bz2 and lzma have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _ZstdDecoder:
    """zstandard's decompressor with the interface of the others.

    Its output for one piece of input cannot be bounded, so input goes in by small pieces: four
    bytes may stand for a block of 128 KiB, a piece for 32 MiB, which then wait here.
    """

    _PIECE = 1024

    def __init__(self) -> None:
        import zstandard  # noqa: PLC0415 - loaded only where a stream is zstd

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
            piece, self._input = self._input[: self._PIECE], self._input[self._PIECE :]
            self._output = memoryview(self._inner.decompress(piece))
        ready, self._output = self._output[:max_length], self._output[max_length:]
        return bytes(ready)


def _new_decoder(compression: Compression) -> _Decoder:
    match compression:
        case "gzip":
            from isal import igzip_lib  # noqa: PLC0415 - loaded only where a stream is gzip

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
    """What decoders raise; called once something was raised, when they are loaded anyway."""
    import lzma  # noqa: PLC0415

    import zstandard  # noqa: PLC0415
    from isal import igzip_lib  # noqa: PLC0415

    isal_error = cast("type[Exception]", igzip_lib.error)  # its stub says an instance
    return (isal_error, lzma.LZMAError, zstandard.ZstdError, OSError, EOFError, ValueError)
