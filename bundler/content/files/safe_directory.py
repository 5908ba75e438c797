"""Plain files below a directory, reached without following what somebody may have left there.

A directory is opened once and everything below it is named relative to it, component by component.
No link is followed, no pipe or device is waited for, and the file that was looked at is the file
that is read.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from bundler.content.files.os_errors import to_bundler_error
from bundler.errors import (
    LimitError,
    MalformedError,
    MissingFileError,
    NotFoundError,
    NotPlainFileError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Directory:
    """A directory that is held open; ``close`` lets go of it, and of its lock if it has one.

    Safe for several threads. ``path`` is for messages only once the directory is open.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the directory that a user named; links in its path are the user's own.

        Raises:
            NotFoundError: there is no such directory.
            MediumError: it cannot be read.
        """
        try:
            return cls(path, os.open(path, _DIRECTORY))
        except OSError as error:
            if error.errno == errno.ENOTDIR:
                raise MissingFileError(str(path), os_error=error) from error
            raise to_bundler_error(error, path, "cannot open") from error

    def enter(self, *names: str, create: bool = False) -> Directory:
        """Open the directory below this one; ``make`` makes what is missing.

        Raises:
            MalformedError: one of ``names`` is a link, or no directory.
            NotFoundError: it is not there.
            MediumError, NoSpaceError: it cannot be read, or made.
        """
        current = Directory(self.path, os.dup(self.fd))
        for name in names:
            _check_name(name, self.path)
            path = current.path / name
            try:
                if create:
                    _make(name, current.fd)
                fd = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=current.fd)
            except OSError as error:
                raise to_bundler_error(error, path, "cannot open") from error
            finally:
                current.close()
            current = Directory(path, fd)
        return current

    def open_file(self, *names: str, offset: int = 0) -> RegularFile:
        """Open a plain file below this directory, ``offset`` bytes in; the caller closes it.

        Raises:
            MalformedError: it is a link, a directory, a pipe or a device.
            NotFoundError: it is not there.
            MediumError: it cannot be read.
        """
        *folders, name = names
        _check_name(name, self.path)
        path = self.path.joinpath(*names)
        with self.enter(*folders) as folder:
            try:
                fd = os.open(name, _FILE, dir_fd=folder.fd)
            except OSError as error:
                raise to_bundler_error(error, path, "cannot open") from error
        return RegularFile(path, fd, offset)

    def get_size(self, *names: str) -> int | None:
        """The size in bytes of a plain file below this directory; None: there is none."""
        *folders, name = names
        _check_name(name, self.path)
        try:
            with self.enter(*folders) as folder:
                status = os.stat(name, dir_fd=folder.fd, follow_symlinks=False)
        except (FileNotFoundError, MalformedError, NotFoundError):
            return None
        except OSError as error:
            raise to_bundler_error(error, self.path.joinpath(*names), "cannot look at") from error
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def read(self, *names: str, limit: int) -> bytes:
        """All of a small plain file.

        Raises:
            LimitError: it holds more than ``limit`` bytes.
            MalformedError, NotFoundError, MediumError: as ``open_file``.
        """
        with self.open_file(*names) as file:
            data = bytearray()
            while max(file.size, len(data)) <= limit:
                chunk = file.read(min(limit + 1 - len(data), 1 << 20))
                if not chunk:
                    return bytes(data)
                data += chunk
            raise LimitError(f"{file.path}: more than the {limit:,} bytes allowed")

    def list_names(self) -> list[str]:
        """What the directory holds, sorted."""
        try:
            # A descriptor has one reading position for all threads, so each listing opens its own.
            fresh = os.open(".", _DIRECTORY, dir_fd=self.fd)
            try:
                return sorted(os.listdir(fresh))  # noqa: PTH208 - by descriptor, not by path
            finally:
                os.close(fresh)
        except OSError as error:
            raise to_bundler_error(error, self.path, "cannot list") from error

    def remove(self, name: str) -> None:
        """Remove a file or link, if it is there."""
        _check_name(name, self.path)
        try:
            os.unlink(name, dir_fd=self.fd)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise to_bundler_error(error, self.path / name, "cannot remove") from error

    def rename(self, name: str, new: str, *, to: Directory | None = None) -> None:
        """Call a file ``new``, in this directory or in ``to``, in place of what is there."""
        target = to or self
        _check_name(name, self.path)
        _check_name(new, target.path)
        try:
            os.rename(name, new, src_dir_fd=self.fd, dst_dir_fd=target.fd)
        except OSError as error:
            raise to_bundler_error(error, target.path / new, "cannot write") from error

    def close(self) -> None:
        """Let go of the directory."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RegularFile:
    """A plain file as a stream; a context manager that closes it. Not for two threads at once."""

    def __init__(self, path: Path, fd: int, offset: int = 0) -> None:
        self.path = path
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            raise NotPlainFileError(
                str(path),
                hint="links, directories, pipes and devices are not read: remove it",
            )
        self.size = status.st_size
        self._file = io.FileIO(fd, closefd=True)
        if offset:
            self._file.seek(offset)

    @classmethod
    def open(cls, path: Path, offset: int = 0) -> RegularFile:
        """Open a file that a user named; links in its path are the user's own.

        Raises:
            MalformedError: it is a directory, a pipe or a device.
            NotFoundError: it is not there.
            MediumError: it cannot be read.
        """
        try:
            fd = os.open(path, _FILE & ~os.O_NOFOLLOW)
        except OSError as error:
            raise to_bundler_error(error, path, "cannot open") from error
        return cls(path, fd, offset)

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes, or all that is left."""
        try:
            return self._file.read(size) or b""
        except OSError as error:
            raise to_bundler_error(error, self.path, "cannot read") from error

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill part of ``buffer``; 0 at the end."""
        try:
            return self._file.readinto(buffer) or 0
        except OSError as error:
            raise to_bundler_error(error, self.path, "cannot read") from error

    def seek(self, offset: int) -> None:
        """Go on reading ``offset`` bytes from the beginning."""
        self._file.seek(offset)

    def fileno(self) -> int:
        """The file descriptor, still owned by this reader."""
        return self._file.fileno()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class FileSlice:
    """Part of an open file as a stream, with a position of its own; the file's owner closes it.

    Many slices of one file may be read at once, each by one thread. A context manager, for the
    sake of those who expect one.
    """

    def __init__(self, file: RegularFile, start: int, size: int) -> None:
        self._file = file
        self._position = start
        self._end = start + max(0, size)

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes, or all that is left."""
        left = self._end - self._position
        buffer = bytearray(left if size < 0 else min(size, left))
        filled = 0
        while filled < len(buffer) and (count := self.readinto(memoryview(buffer)[filled:])):
            filled += count
        return bytes(buffer[:filled])

    def readinto(self, buffer: memoryview, /) -> int:
        """Fill part of ``buffer``; 0 at the end."""
        room = buffer[: max(0, self._end - self._position)]
        if not room:
            return 0
        try:
            count = os.preadv(self._file.fileno(), [room], self._position)
        except OSError as error:
            raise to_bundler_error(error, self._file.path, "cannot read") from error
        self._position += count
        return count

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """The file stays open."""


def create_directories(path: Path) -> list[Path]:
    """Make ``path`` and what is missing above it; what was made, from the top down.

    Raises:
        MediumError, NoSpaceError: it cannot be made.
        UsageError: a file is in the way.
    """
    missing = [one for one in (path, *path.parents) if not one.exists()]
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise UsageError(f"{path}: is a file, and a directory is to be written there") from None
    except OSError as error:
        raise to_bundler_error(error, path, "cannot make this directory") from error
    return missing[::-1]


def remove_directories(made: Sequence[Path]) -> None:
    """Remove what ``make_directory`` made, as far as nothing lies in it."""
    with suppress(OSError):  # not empty: it is wanted
        for path in reversed(made):
            path.rmdir()


def _make(name: str, fd: int) -> None:
    try:
        os.mkdir(name, 0o755, dir_fd=fd)
    except FileExistsError:
        return


def _check_name(name: str, path: Path) -> None:
    """The last line of defence: nothing that goes elsewhere is ever given to the system."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise MalformedError(f"{path}: {name[:160]!r} is not the name of one file")
