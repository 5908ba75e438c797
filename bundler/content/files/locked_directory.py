"""Directories that are created where necessary, and locked while a process writes to them.

Two processes may start with the same missing directory. Only a process that holds the lock of a
directory removes it, and a process that locks a removed directory creates it again.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Self

from bundler.content.files import file_lock
from bundler.content.files.os_errors import to_bundler_error
from bundler.content.files.safe_directory import Directory
from bundler.content.files.write_lock import WriteLock
from bundler.errors import BundlerError, LockedError, NotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


_ATTEMPTS = 100  # attempts to create a directory that other processes may remove


class LockedDirectory(Directory):
    """A directory that is locked until ``close``, which also removes it if it is new and empty."""

    created: Sequence[Path] = ()
    """Those of the directory and its parents that this process created, parents first."""
    _lock = WriteLock()

    @classmethod
    def create(cls, path: Path, *, shared: bool = False) -> Self:
        """Create ``path`` and missing parents, open it, and lock it.

        With ``shared``, other processes may hold a shared lock at the same time; on a file system
        without locks, nothing is locked.

        Raises:
            LockedError: another process holds the lock.
            MediumError, NoSpaceError: the directory cannot be created or opened.
            UsageError: ``path`` is a file.
        """
        while True:
            created = _create_directories(path)
            with suppress(NotFoundError):  # removed by another process
                directory = cls.open(path)
                if directory.lock(shared=shared):
                    directory.created = created
                    return directory

    def lock(self, *, shared: bool) -> bool:
        """Lock the directory; if that fails, or its path was removed, close it, which stays.

        Returns:
            Whether the directory is locked.

        Raises:
            LockedError, MediumError, NoSpaceError: see ``create``.
        """
        with ExitStack() as undo:
            undo.callback(self._unlock)
            if not shared:
                self._lock = WriteLock.acquire(self, self)
            elif file_lock.try_lock(self, shared=True) == "busy":
                raise LockedError(str(self.path), file_lock.find_holder(self.fd))
            if is_named := self.is_named():
                undo.pop_all()
            return is_named

    def close(self) -> None:
        """Remove the directory and its parents if they are new and empty, and unlock it."""
        self._lock.release()
        try:
            if self.fd >= 0 and self.created and self.is_named():
                *parents, _ = self.created
                with suppress(BundlerError, OSError):  # used by another process, or not empty
                    file_lock.lock(self)
                    self.path.rmdir()
                    for path in reversed(parents):
                        with Directory.open(path) as parent:
                            file_lock.lock(parent)
                            path.rmdir()
        finally:
            self._unlock()

    def _unlock(self) -> None:
        """Unlock and close the directory, which stays."""
        self._lock.release()
        super().close()


def _create_directories(path: Path) -> list[Path]:
    """Create ``path`` and missing parents; return the created directories, parents first."""
    for attempt in range(1, _ATTEMPTS + 1):
        missing = [each for each in (path, *path.parents) if not each.exists()]
        try:
            path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, FileNotFoundError) as error:
            if attempt < _ATTEMPTS:  # another process may have removed a directory in the meantime
                continue
            if isinstance(error, FileExistsError):
                raise UsageError(f"{path}: not a directory") from None
            raise to_bundler_error(error, path, "cannot create this directory") from error
        except OSError as error:
            raise to_bundler_error(error, path, "cannot create this directory") from error
        else:
            return missing[::-1]
    raise AssertionError("the last attempt returns or raises")
