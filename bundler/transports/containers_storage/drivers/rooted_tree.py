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
from itertools import islice
from typing import TYPE_CHECKING, Self

from bundler.content.files.safe_directory import Directory, RegularFile
from bundler.errors import LimitError, MalformedError
from bundler.transports.containers_storage.os_errors import convert_os_errors

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.content.files.safe_directory import PathComponents

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MAX_LINKS = 40  # the limit of Linux
_MAX_DEPTH = 1024
_MAX_OPEN_DIRECTORIES = 32
_MAX_NAMES = 256  # names of one directory, in memory


class RootedTree:
    """The tree below the open directory ``fd``, which ``close`` closes. Not thread-safe.

    ``path`` is for messages only.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd
        self._open: OrderedDict[PathComponents, int] = OrderedDict()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the tree at ``path``, whose last component must not be a link.

        Raises:
            NotFoundError, MalformedError, MediumError: the directory cannot be opened.
        """
        with convert_os_errors(path, "cannot open"):
            return cls(path, os.open(path, _DIRECTORY))

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
            return known
        opened = [os.dup(self.fd)]  # all parent directories, for ``..``
        pending = deque(parts)
        links = 0
        try:
            while pending:
                name = pending.popleft()
                if name == "..":
                    if len(opened) > 1:
                        os.close(opened.pop())
                    continue
                target = _enter(opened, name, create=create)
                if target is None:
                    continue
                links += 1
                if links > _MAX_LINKS or len(pending) > _MAX_DEPTH:
                    raise LimitError(f"{self.path}: too many links in {'/'.join(parts)[:160]!r}")
                if target.startswith("/"):
                    while len(opened) > 1:
                        os.close(opened.pop())
                names = [name for name in target.split("/") if name not in ("", ".")]
                pending.extendleft(reversed(names))
            fd = opened.pop()
        finally:
            for above in opened:
                os.close(above)
        self._open[parts] = fd
        if len(self._open) > _MAX_OPEN_DIRECTORIES:
            os.close(self._open.popitem(last=False)[1])
        return fd

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
            os.close(self._open.popitem()[1])


def parse_member_name(name: str, subject: str) -> PathComponents:
    """Split the name of a tar member into components; the root itself has none.

    Raises:
        MalformedError: the name escapes the layer root, or contains a NUL byte.
        LimitError: the name has too many components.
    """
    parts: list[str] = []
    for part in name.split("/"):
        if (part == ".." and not parts) or "\0" in part:
            raise MalformedError(f"{subject}: {name[:160]!r} escapes the layer root")
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    if len(parts) > _MAX_DEPTH:
        raise LimitError(
            f"{subject}: path too deep (expected up to {_MAX_DEPTH} levels, got {len(parts):,})"
        )
    return tuple(parts)


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
    # An explicit stack, because a hostile tree may be deeper than Python's recursion limit.
    pending: list[str] = []
    stack = [(name, os.open(name, _DIRECTORY, dir_fd=directory), pending)]
    try:
        while stack:
            current, fd, pending = stack[-1]
            if pending:
                child = pending.pop()
                stack.append((child, os.open(child, _DIRECTORY, dir_fd=fd), []))
            elif not _remove_some(fd, pending):
                os.close(stack.pop()[1])
                os.rmdir(current, dir_fd=stack[-1][1] if stack else directory)
    finally:
        for _, fd, _ in stack:
            os.close(fd)


def _remove_some(fd: int, directories: list[str]) -> bool:
    """Remove files of a directory, and append directories in it; return False if it is empty.

    Only a part of the names is read at a time, because a hostile directory may have millions.
    """
    with os.scandir(fd) as found:
        entries = list(islice(found, _MAX_NAMES))
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            directories.append(entry.name)
        else:
            os.unlink(entry.name, dir_fd=fd)
    return bool(entries)


def _enter(opened: list[int], name: str, *, create: bool) -> str | None:
    """Append the directory ``name`` to ``opened``; if it is a link, return its target instead."""
    for _ in range(2):
        try:
            opened.append(os.open(name, _DIRECTORY, dir_fd=opened[-1]))
        except FileNotFoundError:
            if not create:
                raise
            os.mkdir(name, 0o755, dir_fd=opened[-1])
            os.chmod(name, 0o755, dir_fd=opened[-1])  # noqa: S103 - as other tools do, regardless of the umask
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            try:
                return os.readlink(name, dir_fd=opened[-1])
            except OSError:
                raise error from None
        else:
            return None
    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name)
