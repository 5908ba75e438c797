"""Cache of recently read or written manifests, which avoids repeated requests."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest

LIMIT = 32 * 1024 * 1024
"""Maximum size of all manifests together, in bytes."""


class ManifestCache:
    """The most recent manifests, up to ``LIMIT`` bytes. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._manifests: OrderedDict[Digest, bytes] = OrderedDict()
        self._size = 0

    def put(self, descriptor: Descriptor, raw: bytes) -> None:
        """Add a manifest; the oldest ones are evicted to make room."""
        with self._lock:
            self._remove(descriptor.digest)
            self._manifests[descriptor.digest] = raw
            self._size += len(raw)
            while self._size > LIMIT:
                self._remove(next(iter(self._manifests)))

    def get(self, digest: Digest) -> bytes | None:
        """Return a manifest; None if it is not cached."""
        with self._lock:
            return self._manifests.get(digest)

    def take(self, digest: Digest) -> bytes | None:
        """Remove and return a manifest; None if it is not cached."""
        with self._lock:
            return self._remove(digest)

    def _remove(self, digest: Digest) -> bytes | None:
        raw = self._manifests.pop(digest, None)
        self._size -= len(raw or b"")
        return raw
