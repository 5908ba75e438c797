"""Content in memory whose descriptor is known."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bundler.oci.descriptor import Descriptor


class InMemoryContent:
    """``raw`` as content; the caller has verified that it matches ``descriptor``.

    Used for schema 1 manifests, whose digest is not the digest of all their bytes.
    """

    def __init__(self, raw: bytes, descriptor: Descriptor) -> None:
        self._stream = BytesIO(raw)
        self._descriptor = descriptor

    @property
    def position(self) -> int:
        """The number of bytes read so far."""
        return self._stream.tell()

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self._descriptor.size

    def readinto(self, buffer: memoryview, /) -> int:
        """Read into ``buffer`` and return the number of bytes; 0 at the end."""
        return self._stream.readinto(buffer)

    def read(self, size: int = -1, /) -> bytes:
        """Read at most ``size`` bytes, or to the end."""
        return self._stream.read(size)

    def descriptor(self) -> Descriptor:
        """Return the descriptor that was passed to the constructor."""
        return self._descriptor
