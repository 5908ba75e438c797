"""Access regular files below a directory that may contain hostile links and devices.

A directory is opened once, and all files below it are opened relative to it, component by
component. No link is followed, no pipe or device is opened, and a file cannot be exchanged between
its check and its use.
"""

from __future__ import annotations

import errno
import io
import os
import re
import stat
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from bundler.content.files.os_errors import to_bundler_error
from bundler.errors import (
    BundlerError,
    CancelledError,
    DisconnectedMediumError,
    LimitError,
    MalformedError,
    MissingFileError,
    NotFoundError,
    NotRegularFileError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_DEVICE = r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\.|\Z)"
_PORTABLE_NAME = re.compile(
    rf"(?!{_DEVICE})[a-z0-9](?:[a-z0-9._=-]{{0,198}}[a-z0-9_-])?", re.ASCII | re.IGNORECASE
)

PathComponents = tuple[str, ...]
"""The components of a path relative to a directory."""


class Directory:
    """An open directory; ``close`` also releases its lock.

    Safe for several threads. ``path`` is used in messages and by ``is_named``. With
    ``follow_links``, links below the directory are followed when it is read.
    """

    def __init__(self, path: Path, fd: int, *, follow_links: bool = False) -> None:
        self.path = path
        self.fd = fd
        self._no_follow = 0 if follow_links else os.O_NOFOLLOW

    @classmethod
    def open(cls, path: Path, *, follow_links: bool = False) -> Self:
        """Open a directory that the user specified; links in its path are followed.

        Raises:
            NotFoundError: the directory does not exist.
            MediumError: it cannot be read.
        """
        try:
            return cls(path, os.open(path, _DIRECTORY), follow_links=follow_links)
        except OSError as error:
            if error.errno == errno.ENOTDIR:
                raise MissingFileError(str(path), os_error=error) from error
            raise to_bundler_error(error, path, "cannot open") from error

    def enter(self, *names: str, create: bool = False) -> Directory:
        """Open a directory below this one; ``create`` creates missing ones.

        Raises:
            MalformedError: one of ``names`` is not a directory, or is a link.
            NotFoundError: the directory does not exist.
            MediumError, NoSpaceError: it cannot be read or created.
        """
        fd = self._enter(names, create=create)
        return Directory(self.path.joinpath(*names), fd)

    def _enter(self, names: Sequence[str], *, create: bool = False) -> int:
        """Open a directory like ``enter``; return its descriptor."""
        current = self.fd
        for number, name in enumerate(names, 1):
            try:
                _check_name(name, self.path)
                if create:
                    with suppress(FileExistsError):
                        os.mkdir(name, 0o755, dir_fd=current)
                fd = os.open(name, _DIRECTORY | self._no_follow, dir_fd=current)
            except OSError as error:
                if create:
                    self.check_connected(error)
                path = self.path.joinpath(*names[:number])
                raise to_bundler_error(error, path, "cannot open") from error
            finally:
                if current != self.fd:
                    os.close(current)
            current = fd
        return current if names else os.dup(current)

    def open_file(self, *names: str, offset: int = 0) -> RegularFile:
        """Open a regular file below this directory at ``offset``; the caller closes it.

        Raises:
            MalformedError: it is a link, a directory, a pipe or a device.
            NotFoundError: it does not exist.
            MediumError: it cannot be read.
        """
        *folders, name = names
        _check_name(name, self.path)
        folder = self._enter(folders)
        try:
            flags = _FILE & ~os.O_NOFOLLOW | self._no_follow
            fd = os.open(name, flags, dir_fd=folder)
        except OSError as error:
            raise to_bundler_error(error, self.path.joinpath(*names), "cannot open") from error
        finally:
            os.close(folder)
        return RegularFile("/".join((str(self.path), *names)), fd, offset)

    def has_entry(self, name: str) -> bool:
        """Whether the directory has an entry with this name, of any kind."""
        try:
            os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        except OSError as error:
            return error.errno != errno.ENOENT  # others are reported when it is opened
        return True

    def get_size(self, *names: str) -> int | None:
        """Return the size in bytes of a regular file; None if it does not exist."""
        *folders, name = names
        _check_name(name, self.path)
        try:
            with self.enter(*folders) as folder:
                status = os.stat(name, dir_fd=folder.fd, follow_symlinks=False)
        except (FileNotFoundError, MalformedError, NotFoundError):
            return None
        except OSError as error:
            raise to_bundler_error(error, self.path.joinpath(*names), "cannot inspect") from error
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def read(self, *names: str, limit: int) -> bytes:
        """Read a small regular file completely.

        Raises:
            LimitError: the file has more than ``limit`` bytes.
            MalformedError, NotFoundError, MediumError: see ``open_file``.
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
        """Return the names in the directory, sorted."""
        try:
            # Threads share the read position of a descriptor, so each listing opens its own.
            fresh = os.open(".", _DIRECTORY, dir_fd=self.fd)
            try:
                return sorted(os.listdir(fresh))  # noqa: PTH208 - by descriptor, not by path
            finally:
                os.close(fresh)
        except OSError as error:
            raise to_bundler_error(error, self.path, "cannot list") from error

    def is_named(self) -> bool:
        """Whether the path still refers to the open directory."""
        with suppress(OSError):
            return os.path.samestat(os.fstat(self.fd), os.stat(self.path))  # noqa: PTH116 - as the fd
        return False

    def check_connected(self, os_error: OSError | None = None) -> None:
        """Check that the path still refers to the open directory, where data would be expected.

        The files of a medium that was unmounted can still be written as long as they are open.
        ``os_error`` is the failure of which this may be the cause.

        Raises:
            DisconnectedMediumError: the path does not exist, or refers to another directory.
        """
        if not self.is_named():
            raise DisconnectedMediumError(str(self.path), os_error=os_error) from os_error

    @contextmanager
    def report_disconnection(self) -> Iterator[None]:
        """Replace an error by ``DisconnectedMediumError`` if the directory has disappeared."""
        try:
            yield
        except CancelledError:
            raise
        except BundlerError as error:
            self.check_connected(error.os_error)
            raise

    def remove(self, name: str) -> None:
        """Remove a file or link, if it exists."""
        _check_name(name, self.path)
        try:
            os.unlink(name, dir_fd=self.fd)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise to_bundler_error(error, self.path / name, "cannot remove") from error

    def remove_tree(self, name: str) -> None:
        """Remove a file or link, or a directory with all its content, if it exists."""
        try:
            self.remove(name)
        except NotRegularFileError:
            import shutil  # noqa: PLC0415 - rare

            try:
                shutil.rmtree(name, dir_fd=self.fd)
            except OSError as error:
                raise to_bundler_error(error, self.path / name, "cannot remove") from error

    def rename(self, name: str, new: str, *, to: Directory | None = None) -> None:
        """Rename a file, in this directory or into ``to``, replacing a file called ``new``."""
        target = to or self
        _check_name(name, self.path)
        _check_name(new, target.path)
        try:
            os.rename(name, new, src_dir_fd=self.fd, dst_dir_fd=target.fd)
        except OSError as error:
            target.check_connected(error)
            raise to_bundler_error(error, target.path / new, "cannot write") from error

    def close(self) -> None:
        """Close the directory."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RegularFile:
    """Stream of a regular file, and a context manager that closes it. For one thread."""

    def __init__(self, path: Path | str, fd: int, offset: int = 0) -> None:
        self._path = path
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            raise NotRegularFileError(
                str(path), hint="replace it with a regular file, or remove it"
            )
        self.size = status.st_size
        self._file = io.FileIO(fd, closefd=True)
        if offset:
            self._file.seek(offset)

    @property
    def path(self) -> Path:
        """The path of the file, for messages."""
        return Path(self._path)

    @classmethod
    def open(cls, path: Path, offset: int = 0) -> RegularFile:
        """Open a file that the user specified; links in its path are followed.

        Raises:
            MalformedError: it is a directory, a pipe or a device.
            NotFoundError: it does not exist.
            MediumError: it cannot be read.
        """
        try:
            fd = os.open(path, _FILE & ~os.O_NOFOLLOW)
        except OSError as error:
            raise to_bundler_error(error, path, "cannot open") from error
        return cls(path, fd, offset)

    def read(self, size: int = -1, /) -> bytes:
        """Read at most ``size`` bytes, or to the end."""
        try:
            return self._file.read(size) or b""
        except OSError as error:
            raise to_bundler_error(error, self.path, "cannot read") from error

    def readinto(self, buffer: memoryview, /) -> int:
        """Read into ``buffer`` and return the number of bytes; 0 at the end."""
        try:
            return self._file.readinto(buffer) or 0
        except OSError as error:
            raise to_bundler_error(error, self.path, "cannot read") from error

    def readinto_at(self, buffer: memoryview, offset: int, /) -> int:
        """Read at ``offset`` into ``buffer``, and return the number of bytes. Thread-safe."""
        try:
            return os.preadv(self._file.fileno(), [buffer], offset)
        except OSError as error:
            raise to_bundler_error(error, self.path, "cannot read") from error

    def seek(self, offset: int) -> None:
        """Continue at ``offset`` from the beginning."""
        self._file.seek(offset)

    def fileno(self) -> int:
        """Return the file descriptor, which this reader owns."""
        return self._file.fileno()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class RandomAccessFile(Protocol):
    """A file that several threads may read at offsets."""

    size: int

    def readinto_at(self, buffer: memoryview, offset: int, /) -> int:
        """Read at ``offset`` into ``buffer``, and return the number of bytes; 0 at the end."""


class FileSlice:
    """Stream of a part of an open file, with its own position; the file's owner closes it.

    Several slices of a file may be read at the same time, each by one thread. Leaving the context
    has no effect.
    """

    def __init__(self, file: RandomAccessFile, start: int, size: int) -> None:
        self._file = file
        self._position = start
        self._end = start + max(0, size)

    def read(self, size: int = -1, /) -> bytes:
        """Read at most ``size`` bytes, or to the end."""
        left = self._end - self._position
        buffer = bytearray(left if size < 0 else min(size, left))
        filled = 0
        while filled < len(buffer) and (count := self.readinto(memoryview(buffer)[filled:])):
            filled += count
        return bytes(buffer[:filled])

    def readinto(self, buffer: memoryview, /) -> int:
        """Read into ``buffer`` and return the number of bytes; 0 at the end."""
        room = buffer[: max(0, self._end - self._position)]
        if not room:
            return 0
        count = self._file.readinto_at(room, self._position)
        self._position += count
        return count

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """The file stays open."""


def is_portable(*names: str) -> bool:
    """Return whether every file system can store ``names`` as names of files or directories.

    This includes FAT32, exFAT and NTFS. Windows drops a trailing full stop, and reserves some names
    for devices, with any extension.

    https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file
    """
    return all(map(_PORTABLE_NAME.fullmatch, names))


def _check_name(name: str, path: Path) -> None:
    """Refuse a name that is not a single path component."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise MalformedError(f"{path}: {name[:160]!r} is not a valid file name")
