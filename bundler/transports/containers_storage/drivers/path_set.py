"""Memory-efficient set of paths: 64-bit hashes in one table, regardless of path length.

The hashes depend on a random key, so no layer can contain paths that collide on purpose. Among
millions of paths, a collision by chance has a probability below one in a million.
"""

from __future__ import annotations

import os
import secrets
from array import array
from hashlib import blake2b
from typing import TYPE_CHECKING

from bundler.errors import LimitError

if TYPE_CHECKING:
    from bundler.content.files.safe_directory import PathComponents

MAX_PATHS = 2_000_000
_SMALLEST = 1024


class PathSet:
    """A set of paths of at most ``MAX_PATHS``; ``subject`` is for messages."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._key = secrets.token_bytes(16)
        self._count = 0
        self._table = array("Q", bytes(8 * _SMALLEST))
        """The hashes; each is at the first free position from its remainder on. 0: free."""

    def __contains__(self, parts: PathComponents) -> bool:
        """Whether the set contains a path."""
        value = self._hash(parts)
        return self._table[self._find(value)] == value

    def add(self, parts: PathComponents) -> bool:
        """Add a path; return whether it is new.

        Raises:
            LimitError: the set is full.
        """
        value = self._hash(parts)
        position = self._find(value)
        if self._table[position] == value:
            return False
        if self._count >= MAX_PATHS:
            raise LimitError(f"{self._subject}: more than the {MAX_PATHS:,} paths allowed")
        self._table[position] = value
        self._count += 1
        if 3 * self._count > 2 * len(self._table):
            former, self._table = self._table, array("Q", bytes(16 * len(self._table)))
            for value in filter(None, former):
                self._table[self._find(value)] = value
        return True

    def add_with_parents(self, parts: PathComponents) -> None:
        """Add a path and all directories above it, except the root; raises as ``add``."""
        while parts and self.add(parts):
            parts = parts[:-1]

    def _hash(self, parts: PathComponents) -> int:
        path = os.fsencode("/".join(parts))
        return int.from_bytes(blake2b(path, key=self._key, digest_size=8).digest(), "little") or 1

    def _find(self, value: int) -> int:
        """Return the position of a hash, or the free position where it belongs."""
        table = self._table
        position = value % len(table)
        while table[position] not in (0, value):
            position = (position + 1) % len(table)
        return position
