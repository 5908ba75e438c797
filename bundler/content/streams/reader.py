"""What can be read, and the one buffer size that all streams move by."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.oci.descriptor import Descriptor

BUFFER_SIZE = 1024 * 1024


class Reader(Protocol):
    """A stream of bytes; both methods return nothing at its end. Not for two threads at once."""

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes, or all that is left."""
        ...

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill part of ``buffer``; how many bytes, 0 at the end."""
        ...


class Content(Reader, Protocol):
    """A stream to be stored, which verifies itself or computes its digest as it goes by.

    Who stores it reads it to its end, and keeps nothing if a read raises. Its maker owns it.
    """

    @property
    def position(self) -> int:
        """How many bytes went by already; more than 0 only where a push goes on."""
        ...

    @property
    def size(self) -> int | None:
        """The size of the whole in bytes; None while it is being made."""
        ...

    def descriptor(self) -> Descriptor:
        """What was read; only after the end."""
        ...


def new_buffer() -> memoryview:
    """A fresh buffer to hand to ``readinto`` again and again."""
    return memoryview(bytearray(BUFFER_SIZE))


def read_chunks(reader: Reader, size: int | None = None) -> Iterator[memoryview]:
    """Read to the end; each chunk is valid until the next one is requested.

    The buffer is smaller than usual if ``size``, the expected number of bytes, is.
    """
    length = BUFFER_SIZE if size is None else max(1, min(size, BUFFER_SIZE))
    buffer = memoryview(bytearray(length))
    while count := reader.readinto(buffer):
        yield buffer[:count]


def drain(reader: Reader) -> None:
    """Read to the end and discard the bytes, for what the reader computes or verifies."""
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
