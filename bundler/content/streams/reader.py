"""What can be read, and the one buffer size that all streams move by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
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
