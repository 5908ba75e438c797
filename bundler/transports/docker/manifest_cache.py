"""Manifests that were just read or written, so that they need not be fetched again."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest

LIMIT = 32 * 1024 * 1024


class ManifestCache:
    """The latest ``LIMIT`` bytes of manifests; for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: OrderedDict[Digest, bytes] = OrderedDict()
        self._size = 0

    def put(self, descriptor: Descriptor, raw: bytes) -> None:
        """Keep ``raw``; the oldest ones may have to go for it."""
        with self._lock:
            self._drop(descriptor.digest)
            self._held[descriptor.digest] = raw
            self._size += len(raw)
            while self._size > LIMIT:
                self._drop(next(iter(self._held)))

    def get(self, digest: Digest) -> bytes | None:
        """The bytes, if they are still here."""
        with self._lock:
            return self._held.get(digest)

    def take(self, digest: Digest) -> bytes | None:
        """As ``get``, and forget it."""
        with self._lock:
            return self._drop(digest)

    def _drop(self, digest: Digest) -> bytes | None:
        raw = self._held.pop(digest, None)
        self._size -= len(raw or b"")
        return raw
