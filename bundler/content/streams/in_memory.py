"""Bytes that are held and known already, as content to be stored."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bundler.oci.descriptor import Descriptor


class InMemoryContent:
    """``raw``, which is what ``descriptor`` says; whoever makes this has seen to that.

    For manifests of schema 1, whose digest is not that of all of their bytes.
    """

    def __init__(self, raw: bytes, descriptor: Descriptor) -> None:
        self._stream = BytesIO(raw)
        self._descriptor = descriptor

    @property
    def position(self) -> int:
        """How many bytes were read so far."""
        return self._stream.tell()

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self._descriptor.size

    def readinto(self, buffer: memoryview, /) -> int:
        """As ``Reader.readinto``."""
        return self._stream.readinto(buffer)

    def read(self, size: int = -1, /) -> bytes:
        """As ``Reader.read``."""
        return self._stream.read(size)

    def descriptor(self) -> Descriptor:
        """What the bytes are."""
        return self._descriptor
