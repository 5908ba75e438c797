"""Unfinished files that an earlier run left: kept parts of blobs, and files to remove.

``.airbundle-<16 hex>.part``   an unfinished file, removed by its run, or by a later one
``.airbundle-<digest>.part``   the beginning of a blob, kept for the next run, which continues it
``.airbundle-<digest>.<3 digits>.part``  the same, of a blob that is stored in several files
``.airbundle-lock.part``       the process that writes to the directory, see ``write_lock``

A process locks an unfinished file while it writes it. An unfinished file never counts as content.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from typing import TYPE_CHECKING

from bundler.content.files.atomic_write import MIN_KEPT, PART_PREFIX, PART_SUFFIX, PartFile
from bundler.content.files.write_lock import RECORD

if TYPE_CHECKING:
    from collections.abc import Container

    from bundler.content.files.safe_directory import Directory, RegularFile
    from bundler.oci.digest import Digest

LIFETIME = 7 * 24 * 3600.0
"""Number of seconds for which a part is kept for the next run."""

_KEPT = re.compile(r"\.airbundle-(?:[0-9a-f]{64}|[0-9a-f]{128})(?:\.[0-9]{3})?\.part")
_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class KeptParts:
    """The kept parts in the directories of one destination.

    Thread-safe if each thread writes a different blob. A part is locked from ``open`` until its
    blob is written, or until ``close``. The caller has locked the directories, unless they are
    ``shared``.
    """

    def __init__(self, *, shared: bool = False) -> None:
        self._shared = shared
        self._opened: dict[Digest, PartFile] = {}
        self._names: set[str] = set()
        """The names of the parts that this run has written; a complete blob has another name."""

    def open(self, directory: Directory, digest: Digest, size: int | None) -> RegularFile | None:
        """Open the stored beginning of a blob of ``size`` bytes; None if there is none.

        The caller closes it before it calls ``take``.
        """
        name = get_kept_name(digest)
        part = self._opened.get(digest) or self._open(directory, name, create=False)
        if part is None:
            return None
        self._opened[digest] = part
        return part.open_reader() if 0 < part.size <= (size or 0) else None

    def take(self, directory: Directory, digest: Digest, size: int | None) -> PartFile | None:
        """Return the part to which a blob is written, for ``atomic_write.write_content``.

        It is the part that ``open`` has opened, or a new one, or None if the blob is small.
        """
        part = self._opened.pop(digest, None)
        if size is not None and size > MIN_KEPT:
            name = get_kept_name(digest)
            self._names.add(name)
            part = part or self._open(directory, name, create=True)
        return part

    def keep(self, directory: Directory, digest: Digest) -> None:
        """Exclude the files of a blob that is stored in several from ``remove_unneeded``."""
        start = get_kept_name(digest).removesuffix(PART_SUFFIX)
        self._names.update(name for name in directory.list_names() if name.startswith(start))

    def remove_unneeded(self, directory: Directory) -> None:
        """Remove all parts, except those of blobs that this run failed to write.

        The caller has locked the directory.
        """
        self.close()
        remove_parts(directory, except_for=self._names)

    def close(self) -> None:
        """Close the parts that were opened but not written; the files are kept."""
        for part in self._opened.values():
            part.close()
        self._opened.clear()

    def _open(self, directory: Directory, name: str, *, create: bool) -> PartFile | None:
        return PartFile.open_kept(directory, name, create=create, shared=self._shared)


def get_kept_name(digest: Digest, number: int | None = None) -> str:
    """Return the name of the kept part of a blob, or of the file ``number`` of several."""
    suffix = "" if number is None else f".{number:03}"
    return f"{PART_PREFIX}{digest.hex}{suffix}{PART_SUFFIX}"


def is_part(name: str) -> bool:
    """Return whether ``name`` is the name of an unfinished file."""
    return name.startswith(PART_PREFIX) and name.endswith(PART_SUFFIX)


def is_kept(name: str) -> bool:
    """Return whether ``name`` is the name of a kept part of a blob."""
    return _KEPT.fullmatch(name) is not None


def remove_parts(directory: Directory, *, except_for: Container[str] = ()) -> None:
    """Remove all unfinished files that no process is writing, except ``except_for``.

    The caller has locked the directory.
    """
    for name in _list_parts(directory):
        if name not in except_for:
            _remove_unlocked(directory, name)


def remove_stale_parts(directory: Directory, *, shared: bool = False) -> None:
    """Remove the unfinished files that no run will continue.

    These are files with random names, and kept parts that are older than ``LIFETIME``. In a
    ``shared`` directory, which the caller has not locked, all newer files are kept.
    """
    oldest = time.time() - LIFETIME
    for name in _list_parts(directory):
        recent = oldest if shared or is_kept(name) else None
        _remove_unlocked(directory, name, unless_after=recent)


def _list_parts(directory: Directory) -> list[str]:
    return [name for name in directory.list_names() if is_part(name) and name != RECORD]


def _remove_unlocked(directory: Directory, name: str, unless_after: float | None = None) -> None:
    """Remove a file that no process has locked, unless modified after ``unless_after``."""
    try:
        fd = os.open(name, _FLAGS, dir_fd=directory.fd)
    except OSError:  # a link, or removed in the meantime
        directory.remove(name)
        return
    with contextlib.closing(PartFile(directory, name, fd)) as part:
        status = os.fstat(fd)
        recent = unless_after is not None and status.st_mtime >= unless_after
        if not (recent or stat.S_ISDIR(status.st_mode)) and part.lock() and part.is_named():
            directory.remove(name)
