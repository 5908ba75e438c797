"""Directories that are created where necessary, and locked while a process writes to them.

Two processes may start with the same missing directory. Only a process that holds the lock of a
directory removes it, and a process that locks a removed directory creates it again.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Self

from bundler.content.files import file_lock
from bundler.content.files.os_errors import to_bundler_error
from bundler.content.files.safe_directory import Directory
from bundler.errors import BundlerError, NotFoundError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


_ATTEMPTS = 100  # attempts to create a directory that other processes may remove


class LockedDirectory(Directory):
    """A directory that is locked until ``close``, which also removes it if it is new and empty."""

    created: Sequence[Path] = ()
    """Those of the directory and its parents that this process created, parents first."""

    @classmethod
    def create(cls, path: Path, *, shared: bool = False) -> Self:
        """Create ``path`` and missing parents, open it, and lock it.

        With ``shared``, other processes may hold a shared lock at the same time.

        Raises:
            LockedError: another process holds the lock.
            MediumError, NoSpaceError: the directory cannot be created or opened.
            UsageError: ``path`` is a file.
        """
        while True:
            created = _create_directories(path)
            with suppress(NotFoundError):  # removed by another process
                directory = cls.open(path)
                try:
                    file_lock.lock(directory, shared=shared)
                    is_named = directory.is_named()
                except BaseException:
                    Directory.close(directory)
                    raise
                if is_named:
                    directory.created = created
                    return directory
                Directory.close(directory)

    def close(self) -> None:
        """Remove the directory and its parents if they are new and empty, and unlock it."""
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
