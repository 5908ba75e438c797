"""Cache of recently read or written content, which avoids repeated requests."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from bundler.oci.digest import Digest

LIMIT = 32 * 1024 * 1024
"""Maximum size of all values together, in bytes."""

ValueT = TypeVar("ValueT")


class SizedCache(Generic[ValueT]):
    """The most recent values by digest, up to ``LIMIT`` bytes. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: OrderedDict[Digest, tuple[ValueT, int]] = OrderedDict()
        self._size = 0

    def put(self, digest: Digest, value: ValueT, size: int) -> None:
        """Add a value of ``size`` bytes; the oldest ones are evicted to make room."""
        with self._lock:
            self._remove(digest)
            self._values[digest] = value, size
            self._size += size
            while self._size > LIMIT:
                self._remove(next(iter(self._values)))

    def get(self, digest: Digest) -> ValueT | None:
        """Return a value; None if it is not cached."""
        with self._lock:
            found = self._values.get(digest)
        return None if found is None else found[0]

    def take(self, digest: Digest) -> ValueT | None:
        """Remove and return a value; None if it is not cached."""
        with self._lock:
            return self._remove(digest)

    def _remove(self, digest: Digest) -> ValueT | None:
        found = self._values.pop(digest, None)
        if found is None:
            return None
        value, size = found
        self._size -= size
        return value
