"""The paths that a layer adds, replaces and removes, in little memory.

They decide whether a file of a layer below is still part of the image. A listing of a layer would
decide the same, see ``file_tree``, but needs 30 times the memory, for each layer of each image.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING

from bundler.errors import LimitError

if TYPE_CHECKING:
    from bundler.bundle.audit.layers.scan import Member

MAX_PATHS = 4_000_000
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_HIDDEN, _OPENED, _EMPTIED = "h", "d", "o"
_HASH = 8  # bytes
_PARTS = 64
_SHIFT = 64 - 6  # bits after those that number the parts


class PathChanges:
    """Hashes of paths, of 64 bits. For one thread while members are added."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._hashes = array("Q")
        """The hashes in their order, without those that were added since they were sorted."""
        self._added = [array("Q") for _ in range(_PARTS)]
        """The hashes that were added, by their first bits: sorting a part needs little memory."""
        self._count = 0
        self._directory = ""
        self._hidden_directories: dict[str, bool] = {}
        """Directories for which ``hides`` was computed: many paths have the same one."""
        self._compact_at = 100_000

    def to_bytes(self) -> bytes:
        """Return the hashes, after ``finish``, in the byte order of this machine."""
        return self._hashes.tobytes()

    @classmethod
    def from_bytes(cls, subject: str, data: bytes | memoryview) -> PathChanges:
        """Create changes from the result of ``to_bytes``.

        Raises:
            ValueError: its length is wrong.
        """
        if len(data) > MAX_PATHS * _HASH:
            raise ValueError
        changes = cls(subject)
        changes._hashes.frombytes(data)
        return changes

    def add(self, member: Member) -> None:
        """Add a member of the layer.

        Raises:
            LimitError: the layer changes too many paths.
        """
        directory, _, name = member.path.rpartition("/")
        if name == _OPAQUE:
            self._append(_EMPTIED, directory)
            return
        if name.startswith(_WHITEOUT):
            removed = name.removeprefix(_WHITEOUT)
            self._append(_HIDDEN, f"{directory}/{removed}" if directory else removed)
            return
        if name:
            self._append(_OPENED if member.kind == "directory" else _HIDDEN, member.path)
        if directory != self._directory:  # most members have the directory of the one before
            self._directory = directory
            while directory:
                self._append(_OPENED, directory)
                directory = directory.rpartition("/")[0]

    def finish(self) -> None:
        """Prepare for ``hides``, after the last member."""
        old, start = self._hashes, 0
        self._hashes = array("Q")
        for number, added in enumerate(self._added):
            end = bisect_left(old, (number + 1) << _SHIFT, start)
            self._hashes.extend(sorted({*old[start:end], *added}))
            start = end
            del added[:]
        self._count = len(self._hashes)

    def hides(self, path: str) -> bool:
        """Return whether a file at ``path`` in a layer below is not part of the image."""
        if self._has(_HIDDEN, path) or self._has(_OPENED, path) or self._has(_EMPTIED, ""):
            return True
        return self._hides_directory(path.rpartition("/")[0])

    def _hides_directory(self, directory: str) -> bool:
        """Return whether a directory of a layer below, or one above it, is hidden or emptied."""
        passed = []
        known = self._hidden_directories
        while directory and directory not in known:
            passed.append(directory)
            if self._has(_HIDDEN, directory) or self._has(_EMPTIED, directory):
                break
            directory = directory.rpartition("/")[0]
        is_hidden = bool(directory) and known.get(directory, True)
        known.update(dict.fromkeys(passed, is_hidden))
        return is_hidden

    def _append(self, kind: str, path: str) -> None:
        value = _hash(kind, path)
        self._added[value >> _SHIFT].append(value)
        self._count += 1
        if self._count > self._compact_at:
            self.finish()
            if self._count > MAX_PATHS:
                raise LimitError(f"{self._subject}: more than {MAX_PATHS:,} paths")
            self._compact_at = 2 * self._count + 100_000

    def _has(self, kind: str, path: str) -> bool:
        searched = _hash(kind, path)
        position = bisect_left(self._hashes, searched)
        return position < len(self._hashes) and self._hashes[position] == searched


@lru_cache(maxsize=16_384)  # most paths have the directories of others
def _hash(kind: str, path: str) -> int:
    data = (kind + path).encode(errors="surrogateescape")
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")
