"""Atomically replace a large file.

The new file is written in the same directory, under a name derived from the old one, and is locked
until it is complete. If a run is killed, the next run for the same path reuses its unfinished file.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, Self

from bundler.content.files import atomic_write
from bundler.content.files.os_errors import to_bundler_error
from bundler.content.files.safe_directory import Directory
from bundler.content.files.write_behind import WriteBehind
from bundler.content.files.write_lock import WriteLock
from bundler.errors import MalformedError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

_SUFFIX = ".airbundle-part"
_RECORD_SUFFIX = ".airbundle-lock"
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class FileReplacement:
    """An empty file that will replace ``path``, whose directory must exist.

    If ``path`` is a link, its target is replaced. The caller writes to ``fd`` until ``publish`` or
    ``close``.

    Raises:
        LockedError: another process is writing the same file.
        NotFoundError: the directory does not exist.
        MediumError: the file cannot be written.
        UsageError: ``path`` exists and is not a regular file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        resolved = path.resolve()
        if resolved.exists() and not resolved.is_file():
            raise UsageError(f"{path}: cannot be replaced (expected a regular file)")
        self._final = resolved.name
        self._name = f".{resolved.name}{_SUFFIX}"
        self._published = False
        self._lock = WriteLock()
        self._directory = Directory.open(resolved.parent)
        self.fd = -1
        try:
            self._open()
        except BaseException:
            self._release()
            raise

    def write(self, data: bytes | memoryview, offset: int) -> None:
        """Write all of ``data`` at ``offset``. Thread-safe, unlike the other methods.

        Raises:
            NoSpaceError, MediumError: it cannot be written.
            DisconnectedMediumError: the medium was disconnected.
        """
        left = memoryview(data)
        try:
            while left:
                count = os.pwrite(self.fd, left, offset)
                left, offset = left[count:], offset + count
                self._behind.add(count)
        except OSError as error:
            self._directory.check_connected(error)
            raise to_bundler_error(error, self.path, "cannot write") from error

    def read(self, offset: int, size: int) -> bytes:
        """Read at most ``size`` bytes of the new file at ``offset``; fewer at its end.

        Raises:
            MediumError: it cannot be read.
        """
        try:
            return os.pread(self.fd, size, offset)
        except OSError as error:
            raise to_bundler_error(error, self.path, "cannot read") from error

    def truncate(self, size: int) -> None:
        """Shorten the new file to ``size`` bytes, if it is longer.

        Raises:
            MediumError: it cannot be written.
        """
        try:
            if os.fstat(self.fd).st_size > size:
                os.ftruncate(self.fd, size)
        except OSError as error:
            raise to_bundler_error(error, self.path, "cannot write") from error

    def publish(self, size: int) -> None:
        """Make the new file of ``size`` bytes durable, and replace the old one.

        Raises:
            NoSpaceError, MediumError: the file cannot be replaced; the old one is unchanged.
            DisconnectedMediumError: the medium was disconnected before the end.
        """
        atomic_write.publish(
            self._directory, self.fd, self._name, self._final, size=size, path=self.path
        )
        self._published = True
        atomic_write.sync_directory(self._directory)
        self._directory.check_connected()  # the open file of an unmounted medium can be written

    def close(self) -> None:
        """Close the file, and remove it unless it is published."""
        if self.fd >= 0 and not self._published:
            with contextlib.suppress(OSError):  # reused by the next run
                os.unlink(self._name, dir_fd=self._directory.fd)
        self._release()

    def _release(self) -> None:
        self._lock.release()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        self._directory.close()

    def _open(self) -> None:
        """Open and lock the file; retry if another run published it first."""
        while True:
            try:
                self.fd = os.open(self._name, _FLAGS, 0o644, dir_fd=self._directory.fd)
            except OSError as error:
                raise to_bundler_error(error, self.path, "cannot write here") from error
            record = f".{self._final}{_RECORD_SUFFIX}"
            self._lock = WriteLock.acquire(self, self._directory, record)
            opened = os.fstat(self.fd)
            if not stat.S_ISREG(opened.st_mode) or opened.st_nlink > 1:
                raise MalformedError(
                    f"{self._directory.path / self._name}: not a regular file with a single link",
                    hint="remove it and run again",
                )
            with contextlib.suppress(FileNotFoundError):
                named = os.stat(self._name, dir_fd=self._directory.fd, follow_symlinks=False)
                if os.path.samestat(opened, named):
                    os.ftruncate(self.fd, 0)
                    self._behind = WriteBehind(self.fd)
                    return
            self._lock.release()
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
