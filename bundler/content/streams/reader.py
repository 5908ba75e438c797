"""Byte streams: their protocols, content in memory, and loops that read them."""

from __future__ import annotations

import os
from abc import abstractmethod
from io import BytesIO
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.oci.descriptor import Descriptor

BUFFER_SIZE = 1024 * 1024


class Reader(Protocol):
    """A stream of bytes. For one thread. A subclass need only define ``readinto``."""

    @abstractmethod
    def readinto(self, buffer: memoryview, /) -> int:
        """Read into ``buffer`` and return the number of bytes; 0 at the end."""

    def read(self, size: int = -1, /) -> bytes:
        """Read at most ``size`` bytes, or to the end; raises the errors of ``readinto``."""
        if size < 0:
            return b"".join(iter(lambda: self.read(BUFFER_SIZE), b""))
        buffer = memoryview(bytearray(size))
        return bytes(buffer[: self.readinto(buffer)])


class Content(Reader, Protocol):
    """A stream to store, which is verified, or whose digest is computed, while it is read.

    The destination reads it to its end, and stores nothing if a read raises an error. The caller
    of the destination closes it.
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
        """Return the descriptor of the content; only after the end."""
        ...


class InMemoryContent(BytesIO):
    """``raw`` as content; the caller has verified that it matches ``descriptor``.

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


def new_buffer() -> memoryview:
    """Create a buffer for repeated calls of ``readinto``."""
    return memoryview(bytearray(BUFFER_SIZE))


def read_chunks(reader: Reader, size: int | None = None) -> Iterator[memoryview]:
    """Read to the end; each chunk is valid until the next one is requested.

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
