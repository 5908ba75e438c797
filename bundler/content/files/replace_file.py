"""A large file that takes another's place as a whole, or does not.

It grows beside that place, under a name made from the other's, and is locked meanwhile. What a
run that was killed left there, the next one for the same place takes over and begins anew.
"""

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING, Self

from bundler.content.files import atomic_write, file_lock
from bundler.content.files.os_errors import to_bundler_error
from bundler.content.files.safe_directory import Directory
from bundler.errors import MalformedError, MediumError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

_SUFFIX = ".airbundle-part"
_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class FileReplacement:
    """What will be at ``path``, empty at first; its directory must exist.

    A link at ``path`` is the user's own: what it leads to is replaced. ``fd`` may be written at
    will until ``publish`` or ``close``.

    Raises:
        LockedError: another process is writing there.
        NotFoundError: there is no such directory.
        MediumError: it cannot be written.
        UsageError: something is there that is no plain file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        place = path.resolve()
        if place.exists() and not place.is_file():
            raise UsageError(f"{path}: is no plain file, and one is to be written there")
        self._final = place.name
        self._name = f".{place.name}{_SUFFIX}"
        self._published = False
        self._directory = Directory.open(place.parent)
        self.fd = -1
        try:
            self._open()
        except BaseException:
            self._let_go()
            raise

    def publish(self, size: int) -> None:
        """Put the file, durable and ``size`` bytes long, in its place.

        Raises:
            NoSpaceError, MediumError: what was there before still is.
        """
        folder = self._directory.fd
        try:
            if os.fstat(self.fd).st_size != size:
                raise MediumError(f"{self.path}: the file system lost part of what was written")
            os.fsync(self.fd)
            os.rename(self._name, self._final, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError as error:
            raise to_bundler_error(error, self.path, "cannot write") from error
        self._published = True
        atomic_write.sync_directory(self._directory)

    def close(self) -> None:
        """Let go of the file; it is gone, unless it was published."""
        if self.fd >= 0 and not self._published:
            with contextlib.suppress(OSError):  # the next run takes it over
                os.unlink(self._name, dir_fd=self._directory.fd)
        self._let_go()

    def _let_go(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        self._directory.close()

    def _open(self) -> None:
        """Open and lock the growing file; one that its owner has just published is left alone."""
        while self.fd < 0:
            try:
                self.fd = os.open(self._name, _FLAGS, 0o644, dir_fd=self._directory.fd)
            except OSError as error:
                raise to_bundler_error(error, self.path, "cannot write here") from error
            file_lock.lock(self)
            if not self._is_still_there():
                os.close(self.fd)
                self.fd = -1
        os.ftruncate(self.fd, 0)

    def _is_still_there(self) -> bool:
        """Whether the growing file is the one that was opened, and nothing but that."""
        opened = os.fstat(self.fd)
        if not stat.S_ISREG(opened.st_mode) or opened.st_nlink > 1:
            raise MalformedError(
                f"{self._directory.path / self._name}: not a plain file with one name",
                hint="remove it, and run again",
            )
        with contextlib.suppress(FileNotFoundError):
            there = os.stat(self._name, dir_fd=self._directory.fd, follow_symlinks=False)
            return os.path.samestat(opened, there)
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
