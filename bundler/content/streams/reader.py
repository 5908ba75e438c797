"""Protocols of byte streams, and loops that read them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.oci.descriptor import Descriptor

BUFFER_SIZE = 1024 * 1024


class Reader(Protocol):
    """A stream of bytes. For one thread."""

    def read(self, size: int = -1, /) -> bytes:
        """Read at most ``size`` bytes, or to the end; empty at the end."""
        ...

    def readinto(self, buffer: memoryview, /) -> int:
        """Read into ``buffer`` and return the number of bytes; 0 at the end."""
        ...


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
