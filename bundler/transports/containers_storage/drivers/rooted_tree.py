"""Access to the directory tree of a layer, whose names and links are untrusted.

Every path is resolved from the root of the tree, component by component, through file descriptors,
and the kernel follows no links. A link within a path is resolved as in a container with this root:
``/`` is this root, and ``..`` cannot escape it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Self

from bundler.content.archives.member_names import MAX_DEPTH, parse_member_name
from bundler.content.files.safe_directory import Directory, RegularFile
from bundler.errors import LimitError, MalformedError
from bundler.transports.containers_storage.drivers.open_path import (
    DIRECTORY,
    OpenPath,
    PendingNames,
)
from bundler.transports.containers_storage.os_errors import convert_os_errors

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.content.files.safe_directory import PathComponents
    from bundler.transports.containers_storage.drivers.open_path import Identity

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MAX_LINKS = 40  # the limit of Linux
_MAX_OPEN_DIRECTORIES = 32


class RootedTree:
    """The tree below the open directory ``fd``, which ``close`` closes. Not thread-safe.

    ``path`` is for messages only.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd
        self._open: OrderedDict[PathComponents, tuple[int, tuple[Identity, ...]]] = OrderedDict()
        """Open directories, with the identities of the directories above them."""

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the tree at ``path``, whose last component must not be a link.

        Raises:
            NotFoundError, MalformedError, MediumError: the directory cannot be opened.
        """
        with convert_os_errors(path, "cannot open"):
            return cls(path, os.open(path, DIRECTORY))

    def open_directory(self, parts: PathComponents, *, create: bool = False) -> int:
        """Return a descriptor of a directory. The tree owns it, and may close it in the next call.

        With ``create``, missing directories are created.

        Raises:
            OSError: the directory does not exist, or is not a directory.
            LimitError: the path has too many components or links.
        """
        if not parts:
            return self.fd
        known = self._open.get(parts)
        if known is not None:
            self._open.move_to_end(parts)
            return known[0]
        fd, above = self._open.get(parts[:-1], (self.fd, ()))
        pending = deque(parts if fd == self.fd else parts[-1:])
        with OpenPath(os.dup(fd), above) as path:
            self._walk(path, pending, parts, create=create)
            opened = path.release()
        self._open[parts] = opened
        if len(self._open) > _MAX_OPEN_DIRECTORIES:
            os.close(self._open.popitem(last=False)[1][0])
        return opened[0]

    def _walk(
        self, path: OpenPath, pending: deque[str], parts: PathComponents, *, create: bool
    ) -> None:
        """Enter the directories ``pending``, and those in links among them."""
        links = 0
        while pending:
            name = pending.popleft()
            if name == "..":
                if path.depth:
                    path.leave()
                continue
            target = _enter(path, name, create=create)
            if path.depth > MAX_DEPTH:
                raise LimitError(f"{self.path}: links lead to more than {MAX_DEPTH:,} levels")
            if target is None:
                continue
            links += 1
            if links > _MAX_LINKS or len(pending) > MAX_DEPTH:
                raise LimitError(f"{self.path}: too many links in {'/'.join(parts)[:160]!r}")
            if target.startswith("/"):
                while path.depth:
                    path.leave()
            names = [name for name in target.split("/") if name not in ("", ".")]
            pending.extendleft(reversed(names))

    def status(self, parts: PathComponents) -> os.stat_result | None:
        """Return the status of a file, or of a link itself; None if it does not exist."""
        try:
            directory = self.open_directory(parts[:-1])
            return os.stat(parts[-1] if parts else ".", dir_fd=directory, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def remove(self, parts: PathComponents) -> None:
        """Remove a file, or a directory with all its content, if it exists."""
        status = self.status(parts)
        if status is None:
            return
        directory = self.open_directory(parts[:-1])
        if stat.S_ISDIR(status.st_mode) or stat.S_ISLNK(status.st_mode):
            directory = os.dup(directory)
            try:
                # Close open directories, which may be removed now, or be reachable only through
                # this link.
                self._close_directories()
                _remove(parts[-1], directory)
            finally:
                os.close(directory)
        else:
            os.unlink(parts[-1], dir_fd=directory)

    def open_file(self, name: str) -> RegularFile:
        """Open the regular file of a tar member; the caller closes it.

        Raises:
            MalformedError: the file does not exist, or is not a regular file.
            MediumError: the file is not readable for this user.
        """
        parts = parse_member_name(name, str(self.path))
        path = self.path.joinpath(*parts)
        with convert_os_errors(path, "cannot open"):
            try:
                directory = self.open_directory(parts[:-1])
                fd = os.open(parts[-1] if parts else ".", _FILE, dir_fd=directory)
            except PermissionError:
                raise
            except OSError as error:
                raise MalformedError(f"{path}: cannot read the unpacked file: {error}") from error
        return RegularFile(path, fd)

    def close(self) -> None:
        """Close all directories."""
        self._close_directories()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _close_directories(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1][0])


def remove_tree(path: Path) -> None:
    """Remove ``path``, if it exists, with all its content and without following links.

    Raises:
        MediumError: a file cannot be removed.
    """
    with convert_os_errors(path, "cannot remove"), Directory.open(path.parent) as parent:
        _remove(path.name, parent.fd)


def _remove(name: str, directory: int) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except IsADirectoryError:
        pass
    except FileNotFoundError:
        return
    else:
        return
    with OpenPath(os.dup(directory)) as path, PendingNames() as entries, PendingNames() as names:
        names.add_end()
        names.push(name)
        entered: list[str] = []
        while True:
            child = names.pop()
            if child is not None:
                path.enter(child)
                entered.append(child)
                names.add_end()
                entries.add_end()
                with os.scandir(path.fd) as found:
                    for entry in found:
                        is_directory = entry.is_dir(follow_symlinks=False)
                        (names if is_directory else entries).push(entry.name)
                while (file := entries.pop()) is not None:
                    os.unlink(file, dir_fd=path.fd)
            elif not entered:
                return
            else:
                path.leave()
                os.rmdir(entered.pop(), dir_fd=path.fd)


def _enter(path: OpenPath, name: str, *, create: bool) -> str | None:
    """Enter the directory ``name``; if it is a link, return its target instead."""
    for _ in range(2):
        try:
            path.enter(name)
        except FileNotFoundError:
            if not create:
                raise
            os.mkdir(name, 0o755, dir_fd=path.fd)
            os.chmod(name, 0o755, dir_fd=path.fd)  # noqa: S103 - as other tools do, regardless of the umask
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            try:
                return os.readlink(name, dir_fd=path.fd)
            except OSError:
                raise error from None
        else:
            return None
    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name)
