"""What can be read, and the one buffer size that all streams move by."""

from __future__ import annotations

from typing import Protocol

BUFFER_SIZE = 1024 * 1024


class Reader(Protocol):
    """A stream of bytes; both methods return nothing at its end. Not for two threads at once."""

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes, or all that is left."""
        ...

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill part of ``buffer``; how many bytes, 0 at the end."""
        ...


def new_buffer() -> memoryview:
    """A fresh buffer to hand to ``readinto`` again and again."""
    return memoryview(bytearray(BUFFER_SIZE))
