"""Unfinished files: their names, their locks, and their removal.

``.airbundle-<16 hex>.part``   an unfinished file, removed by its run, or by a later one
``.airbundle-<digest>.part``   the beginning of a blob, kept for the next run, which continues it

A process locks an unfinished file while it writes it. An unfinished file never counts as content.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import stat
import time
from typing import TYPE_CHECKING, Self

from bundler.content.files import file_lock
from bundler.content.files.os_errors import to_bundler_error
from bundler.content.files.safe_directory import Directory, RegularFile
from bundler.content.streams import BUFFER_SIZE
from bundler.errors import (
    BundlerError,
    CancelledError,
    DisconnectedMediumError,
    MediumError,
    NoSpaceError,
    RegistryError,
)

if TYPE_CHECKING:
    from collections.abc import Container

    from bundler.oci.digest import Digest

MIN_KEPT = BUFFER_SIZE
"""Minimum size in bytes of a kept part; a smaller one is transferred again quickly."""
LIFETIME = 7 * 24 * 3600.0
"""Number of seconds for which a part is kept for the next run."""
CHECK_INTERVAL = 1.0
"""Number of seconds after which a writer checks again that its medium is connected."""

_PREFIX = ".airbundle-"
_SUFFIX = ".part"
_KEPT = re.compile(r"\.airbundle-(?:[0-9a-f]{64}|[0-9a-f]{128})\.part")
_SYNC_INTERVAL = 10.0  # seconds of transfer that a power failure may lose
_FLAGS = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# Errors of the transfer, not of the content.
_INTERRUPTIONS = (CancelledError, DisconnectedMediumError, NoSpaceError, RegistryError)


class PartFile:
    """An unfinished file that is being written; the caller renames it to its final name.

    As a context manager, it closes the file, and removes it unless ``published`` is set. A file
    that was created by ``open_kept`` is kept if the block was interrupted. The caller closes
    ``directory`` afterwards.
    """

    def __init__(self, directory: Directory, name: str, fd: int, *, kept: bool = False) -> None:
        self.name = name
        self.fd = fd
        self.path = directory.path / name
        self.published = False
        self._directory = directory
        self._kept = kept
        self._synced = self._checked = time.monotonic()

    @classmethod
    def create(cls, directory: Directory, mode: int) -> Self:
        """Create a file with a random name.

        Raises:
            NoSpaceError, MediumError: the file cannot be created.
        """
        name = create_part_name()
        try:
            fd = os.open(name, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=directory.fd)
        except OSError as error:
            directory.check_connected(error)
            raise to_bundler_error(error, directory.path, "cannot write here") from error
        part = cls(directory, name, fd)
        part.lock()
        part._set_mode(mode)
        return part

    @classmethod
    def open_kept(cls, directory: Directory, digest: Digest, *, create: bool) -> Self | None:
        """Open the kept part of a blob.

        Returns None if the part cannot be used: it does not exist and ``create`` is False, another
        process is writing it, or it is not a regular file with a single link.
        """
        name = get_kept_name(digest)
        flags = _FLAGS | (os.O_CREAT if create else 0)
        while True:
            try:
                fd = os.open(name, flags, 0o600, dir_fd=directory.fd)
            except OSError:
                return None
            part = cls(directory, name, fd, kept=True)
            status = os.fstat(fd)
            if not (stat.S_ISREG(status.st_mode) and status.st_nlink <= 1 and part.lock()):
                part.close()
                return None
            if part.is_named():
                part._set_mode(0o644)
                return part
            part.close()  # published or removed by another process before the lock was acquired

    @property
    def size(self) -> int:
        """The number of stored bytes."""
        return os.fstat(self.fd).st_size

    def open_reader(self) -> RegularFile:
        """Open a reader of the stored bytes, which the caller closes before the next ``write``."""
        os.lseek(self.fd, 0, os.SEEK_SET)
        return RegularFile(self.path, os.dup(self.fd))

    def start_at(self, offset: int) -> None:
        """Truncate the file to ``offset`` bytes, and continue there."""
        try:
            os.ftruncate(self.fd, offset)
            os.lseek(self.fd, offset, os.SEEK_SET)
        except OSError as error:
            raise to_bundler_error(error, self._directory.path, "cannot write here") from error

    def write(self, data: memoryview) -> None:
        """Append ``data``.

        Raises:
            NoSpaceError, MediumError: the file cannot be written.
        """
        if time.monotonic() - self._checked > CHECK_INTERVAL:
            self._directory.check_connected()
            self._checked = time.monotonic()
        try:
            while data:
                data = data[os.write(self.fd, data) :]
            if self._kept and time.monotonic() - self._synced > _SYNC_INTERVAL:
                os.fdatasync(self.fd)
                with contextlib.suppress(OSError):  # some file systems cannot sync directories
                    os.fsync(self._directory.fd)
                self._synced = time.monotonic()
        except OSError as error:
            self._directory.check_connected(error)
            raise to_bundler_error(error, self._directory.path, "cannot write here") from error

    def close(self) -> None:
        """Close and unlock the file without removing it."""
        os.close(self.fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        interrupted = isinstance(error, _INTERRUPTIONS) or not isinstance(error, BundlerError)
        stays = self._kept and error is not None and interrupted and self.size >= MIN_KEPT
        with contextlib.closing(self), contextlib.suppress(OSError):  # a later run removes it
            if not (self.published or stays):
                os.unlink(self.name, dir_fd=self._directory.fd)

    def lock(self) -> bool:
        """Lock the file; return False if another process locked it, or locks are unsupported."""
        try:
            file_lock.lock(self)
        except MediumError:
            return False
        return True

    def _set_mode(self, mode: int) -> None:
        with contextlib.suppress(OSError):  # some file systems have no modes
            os.fchmod(self.fd, mode)

    def is_named(self) -> bool:
        """Whether the name still refers to the open file."""
        with contextlib.suppress(OSError):
            named = os.stat(self.name, dir_fd=self._directory.fd, follow_symlinks=False)
            return os.path.samestat(os.fstat(self.fd), named)
        return False


class KeptParts:
    """The kept parts in the directories of one destination.

    Thread-safe if each thread writes a different blob. A part is locked from ``open`` until its
    blob is written, or until ``close``.
    """

    def __init__(self) -> None:
        self._opened: dict[Digest, PartFile] = {}
        self._names: set[str] = set()
        """The names of the parts that this run has written; a complete blob has another name."""

    def open(self, directory: Directory, digest: Digest, size: int | None) -> RegularFile | None:
        """Open the stored beginning of a blob of ``size`` bytes; None if there is none.

        The caller closes it before it calls ``take``.
        """
        part = self._opened.get(digest) or PartFile.open_kept(directory, digest, create=False)
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
            self._names.add(get_kept_name(digest))
            part = part or PartFile.open_kept(directory, digest, create=True)
        return part

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


def create_part_name() -> str:
    """Create a random name for an unfinished file."""
    return f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"


def get_kept_name(digest: Digest) -> str:
    """Return the name of the kept part of a blob."""
    return f"{_PREFIX}{digest.hex}{_SUFFIX}"


def is_part(name: str) -> bool:
    """Return whether ``name`` is the name of an unfinished file."""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


def is_kept(name: str) -> bool:
    """Return whether ``name`` is the name of a kept part of a blob."""
    return _KEPT.fullmatch(name) is not None


def remove_parts(directory: Directory, *, except_for: Container[str] = ()) -> None:
    """Remove all unfinished files that no process is writing, except ``except_for``.

    The caller has locked the directory.
    """
    for name in filter(is_part, directory.list_names()):
        if name not in except_for:
            _remove_unlocked(directory, name)


def remove_stale_parts(directory: Directory, *, shared: bool = False) -> None:
    """Remove the unfinished files that no run will continue.

    These are files with random names, and kept parts that are older than ``LIFETIME``. In a
    ``shared`` directory, which the caller has not locked, all newer files are kept.
    """
    oldest = time.time() - LIFETIME
    for name in filter(is_part, directory.list_names()):
        recent = oldest if shared or is_kept(name) else None
        _remove_unlocked(directory, name, unless_after=recent)


def _remove_unlocked(directory: Directory, name: str, unless_after: float | None = None) -> None:
    """Remove a file that no process has locked, unless modified after ``unless_after``."""
    try:
        fd = os.open(name, _FLAGS & ~os.O_RDWR, dir_fd=directory.fd)
    except OSError:  # a link, or removed in the meantime
        directory.remove(name)
        return
    with contextlib.closing(PartFile(directory, name, fd)) as part:
        status = os.fstat(fd)
        recent = unless_after is not None and status.st_mtime >= unless_after
        if not (recent or stat.S_ISDIR(status.st_mode)) and part.lock() and part.is_named():
            directory.remove(name)
