"""Byte streams: protocols, verified and in-memory content, and functions that read streams."""

from __future__ import annotations

import os
from abc import abstractmethod
from io import BufferedReader, BytesIO, RawIOBase
from typing import TYPE_CHECKING, Protocol, Self

from bundler.errors import DigestMismatchError, LimitError, SizeMismatchError
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest, new_hasher

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUFFER_SIZE = 1024 * 1024


class Reader(Protocol):
    """A stream of bytes. For one thread. A subclass need only define ``readinto``."""

    @abstractmethod
    def readinto(self, buffer: memoryview, /) -> int:
        """Read into ``buffer`` and return the number of bytes; 0 at the end."""

    def read(self, size: int = -1, /) -> bytes:
        """Read at most ``size`` bytes, or to the end. Raises the same errors as ``readinto``."""
        if size < 0:
            return b"".join(iter(lambda: self.read(BUFFER_SIZE), b""))
        buffer = memoryview(bytearray(size))
        return bytes(buffer[: self.readinto(buffer)])


class ChunkedReader(Reader):
    """A stream that arrives in chunks, of which a caller may take less. For one thread."""

    _unread = memoryview(b"")

    @abstractmethod
    def _read_chunk(self) -> bytes | memoryview:
        """Return the next bytes, which are unchanged until the next call; empty at the end."""

    def readinto(self, buffer: memoryview, /) -> int:
        """Read into ``buffer`` and return the number of bytes; 0 at the end."""
        if not self._unread:
            self._unread = memoryview(self._read_chunk())
        count = min(len(buffer), len(self._unread))
        buffer[:count] = self._unread[:count]
        self._unread = self._unread[count:]
        return count


class SizedReader(Reader, Protocol):
    """A stream whose size is known, and a context manager that closes it."""

    size: int
    """The number of bytes from the start to the end."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class _RawReader(RawIOBase):
    def __init__(self, source: Reader) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        return self._source.readinto(buffer)


def buffer_reads(source: Reader) -> BufferedReader:
    """Return the stream ``source``, whose owner closes it, with a buffer.

    It makes many small reads fast: ``source`` hashes and decompresses larger parts at once.
    """
    return BufferedReader(_RawReader(source), BUFFER_SIZE // 4)


class Content(Reader, Protocol):
    """A stream to store, which is verified or hashed while it is read.

    The destination reads it to the end, and stores nothing if a read raises an error. The caller of
    the destination closes it.
    """

    @property
    def position(self) -> int:
        """The number of bytes read so far; initially greater than 0 if a push resumes."""
        ...

    @property
    def size(self) -> int | None:
        """The size of the whole content in bytes; None if it is unknown until the end."""
        ...

    def descriptor(self) -> Descriptor:
        """Return the descriptor of the content; valid only after the end."""
        ...


class InMemoryContent(BytesIO):
    """Content in memory; the caller has verified that ``raw`` matches ``descriptor``.

    Used for schema 1 manifests, whose digest is not the digest of all their bytes.
    """

    def __init__(self, raw: bytes, descriptor: Descriptor) -> None:
        super().__init__(raw)
        self._descriptor = descriptor

    @property
    def position(self) -> int:
        """The number of bytes read so far."""
        return self.tell()

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self._descriptor.size

    def descriptor(self) -> Descriptor:
        """Return the descriptor that was passed to the constructor."""
        return self._descriptor


class VerifiedReader(Reader):
    """The stream ``source``, verified against ``digest`` and ``size`` while it is read.

    If the size is known, the last bytes are returned only after the digest of the whole content is
    verified, so a caller never receives all bytes of wrong content. Otherwise the digest is
    verified at the end of the stream. At most ``size`` + 1 bytes are read; the last one verifies
    that the stream ends.

    Args:
        source: the stream to verify; its owner closes it.
        subject: the content's name in messages.
        digest: the expected digest; None: compute a sha256.
        size: the expected size in bytes; None if unknown.
        limit: the maximum number of bytes if ``size`` is None.
        observe: called with the number of bytes after each read; an exception that it raises aborts
            the read.

    After an error, every further read raises RuntimeError. For one thread.
    """

    def __init__(
        self,
        source: Reader,
        subject: str,
        *,
        digest: Digest | None,
        size: int | None,
        media_type: str = "application/octet-stream",
        limit: int | None = None,
        observe: Callable[[int], None] | None = None,
    ) -> None:
        self._source = source
        self._subject = subject
        self._digest = digest
        self._size = size
        self._media_type = media_type
        self._limit = limit
        self._observe = observe
        self._algorithm = digest.text.partition(":")[0] if digest else "sha256"
        self._hasher = new_hasher(self._algorithm)
        self._position = 0
        self._ended = False
        self._failed = False

    @property
    def position(self) -> int:
        """The number of bytes read so far."""
        return self._position

    @property
    def size(self) -> int | None:
        """The expected size in bytes; None if unknown."""
        return self._size

    def readinto(self, buffer: memoryview, /) -> int:
        """Read into ``buffer`` and return the number of bytes; 0 at the end.

        Raises:
            DigestMismatchError: the digest differs; the last bytes are not returned.
            SizeMismatchError: the stream is shorter or longer than expected.
            LimitError: the stream has more bytes than allowed.
        """
        if self._failed:
            raise RuntimeError("the stream has failed")
        if self._ended or (not len(buffer) and self._position != self._size):
            return 0
        self._failed = True  # reset after this read has succeeded
        room = len(buffer)
        if self._size is not None:
            room = min(room, self._size - self._position)
        count = self._source.readinto(buffer[:room]) if room else 0
        if count:
            self._hasher.update(buffer[:count])
            self._position += count
        if self._size is None:
            ended = not count
            if self._limit is not None and self._position > self._limit:
                raise LimitError(f"{self._subject}: more than the {self._limit:,} bytes allowed")
        else:
            ended = self._position == self._size
            if ended and self._source.read(1):
                raise SizeMismatchError(self._subject, expected=self._size, got="more")
            if not (ended or count):
                got = f"only {self._position}"
                raise SizeMismatchError(self._subject, expected=self._size, got=got)
        if ended:
            self._check_digest()
        self._ended = ended
        if self._observe is not None:
            self._observe(count)
        self._failed = False
        return count

    def read(self, size: int = -1, /) -> bytes:
        """Read at most ``size`` bytes, or to the end. Raises the same errors as ``readinto``."""
        if size > 0 and self._size is not None:  # to clear a larger buffer takes time
            size = min(size, self._size - self._position)
        return super().read(size)

    def _check_digest(self) -> None:
        """Compare the digest of all bytes with the expected one, or set it if none is expected."""
        got = f"{self._algorithm}:{self._hasher.hexdigest()}"
        if self._digest is None:
            self._digest = Digest(got)
        elif got != self._digest.text:
            raise DigestMismatchError(self._subject, expected=self._digest.text, got=got)

    def skip(self, count: int) -> None:
        """Read and hash ``count`` bytes without returning them."""
        buffer = memoryview(bytearray(min(count, BUFFER_SIZE)))
        while count:
            got = self.readinto(buffer[: min(count, len(buffer))])
            if not got:
                raise SizeMismatchError(
                    self._subject, expected=self._position + count, got=f"only {self._position}"
                )
            count -= got

    def descriptor(self) -> Descriptor:
        """Return the descriptor of the content; valid only after the end."""
        if self._failed or not self._ended or self._digest is None:
            raise RuntimeError("the stream has not been read to its end")
        return Descriptor(self._media_type, self._digest, self._position)


def new_buffer() -> memoryview:
    """Create a buffer for repeated calls of ``readinto``."""
    return memoryview(bytearray(BUFFER_SIZE))


def read_chunks(reader: Reader, size: int | None = None) -> Iterator[memoryview]:
    """Yield the rest of the stream in chunks; each is valid until the next is requested.

    ``size`` is the expected number of bytes, for which a smaller buffer may suffice.
    """
    length = BUFFER_SIZE if size is None else max(1, min(size, BUFFER_SIZE))
    buffer = memoryview(bytearray(length))
    while count := reader.readinto(buffer):
        yield buffer[:count]


def drain(reader: Reader) -> None:
    """Read to the end and discard the bytes, so that the reader verifies or hashes all of them."""
    for _ in read_chunks(reader):
        pass


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of ``data`` to a blocking file descriptor."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def copy_to_fd(reader: Reader, fd: int) -> None:
    """Read to the end and write all bytes to a blocking file descriptor."""
    for chunk in read_chunks(reader):
        write_all(fd, chunk)
