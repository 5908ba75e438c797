"""A directory tree that is as hostile as the layer it came from, and never left.

Every name is walked from the tree's root, one component after the other, by descriptors and without
following what the kernel would follow. A link in the middle of a name leads to where it would lead
in a container whose root this is: its ``/`` is this root, and ``..`` ends there.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Self

from bundler.content.files.os_errors import explained
from bundler.content.files.safe_directory import RegularFile
from bundler.errors import LimitError, MalformedError

if TYPE_CHECKING:
    from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MAX_LINKS = 40  # as Linux follows
_MAX_DEPTH = 1024
_KEPT_OPEN = 32

Parts = tuple[str, ...]


class Tree:
    """The tree below the open directory ``fd``, which it closes. For one thread.

    ``path`` is for messages.
    """

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd
        self._open: OrderedDict[Parts, int] = OrderedDict()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Open the tree at ``path``, whose own name is the storage's.

        Raises:
            NotFoundError, MalformedError, MediumError: it cannot be opened.
        """
        try:
            return cls(path, os.open(path, _DIRECTORY))
        except OSError as error:
            raise explained(error, path, "cannot open") from error

    def directory(self, parts: Parts, *, make: bool = False) -> int:
        """A descriptor of the directory ``parts``, this tree's own and good until the next call.

        Raises:
            OSError: it is not there, or no directory.
            LimitError: too deep, or too many links on the way.
        """
        if not parts:
            return self.fd
        known = self._open.get(parts)
        if known is not None:
            self._open.move_to_end(parts)
            return known
        found = self._walk(parts, make=make)
        self._open[parts] = found
        if len(self._open) > _KEPT_OPEN:
            os.close(self._open.popitem(last=False)[1])
        return found

    def status(self, parts: Parts) -> os.stat_result | None:
        """What lies at ``parts``; a link itself, not its target. None: nothing."""
        try:
            folder = self.directory(parts[:-1])
            return os.stat(parts[-1] if parts else ".", dir_fd=folder, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def remove(self, parts: Parts) -> None:
        """Remove what lies at ``parts``, with all that is below it, if it is there."""
        try:
            folder = self.directory(parts[:-1])
            status = os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return
        if stat.S_ISDIR(status.st_mode) or stat.S_ISLNK(status.st_mode):
            folder = os.dup(folder)
            try:
                self.forget()
                remove_tree(parts[-1], folder)
            finally:
                os.close(folder)
        else:
            os.unlink(parts[-1], dir_fd=folder)

    def open_file(self, name: str) -> RegularFile:
        """Open the plain file that a tar calls ``name``; the caller closes it.

        Raises:
            MalformedError: it is not there as it was.
        """
        parts = clean(name, str(self.path))
        path = self.path.joinpath(*parts)
        try:
            fd = os.open(parts[-1] if parts else ".", _FILE, dir_fd=self.directory(parts[:-1]))
        except OSError as error:
            raise MalformedError(f"{path}: not the file that was unpacked: {error}") from error
        return RegularFile(path, fd)

    def forget(self) -> None:
        """Look at every directory anew: one has gone, or a link leads elsewhere."""
        while self._open:
            os.close(self._open.popitem()[1])

    def close(self) -> None:
        """Let go of the tree."""
        self.forget()
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _walk(self, parts: Parts, *, make: bool) -> int:
        """Descend by descriptors; those above stay open, for ``..`` is a step back along them."""
        way = [os.dup(self.fd)]
        ahead = deque(parts)
        links = 0
        try:
            while ahead:
                name = ahead.popleft()
                if name == "..":
                    if len(way) > 1:
                        os.close(way.pop())
                    continue
                target = _enter(way, name, make=make)
                if target is None:
                    continue
                links += 1
                if links > _MAX_LINKS or len(ahead) > _MAX_DEPTH:
                    raise LimitError(f"{self.path}: too many links lead to {'/'.join(parts)!r}")
                if target.startswith("/"):
                    while len(way) > 1:
                        os.close(way.pop())
                ahead.extendleft(
                    reversed([part for part in target.split("/") if part not in ("", ".")])
                )
            return way.pop()
        finally:
            for fd in way:
                os.close(fd)


def clean(name: str, what: str) -> Parts:
    """The components of a member's name; none: the root itself.

    Raises:
        MalformedError: it leads out of the layer, or is no name.
        LimitError: it is too deep.
    """
    parts: list[str] = []
    for part in name.split("/"):
        if (part == ".." and not parts) or "\0" in part:
            raise MalformedError(f"{what}: {name[:160]!r} leads out of the layer")
        if part == "..":
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    if len(parts) > _MAX_DEPTH:
        raise LimitError(f"{what}: a name of {len(parts):,} components")
    return tuple(parts)


def remove_tree(name: str, folder: int) -> None:
    """Remove ``name`` in the directory ``folder``, and all below it, following nothing."""
    try:
        os.unlink(name, dir_fd=folder)
    except IsADirectoryError:
        pass
    except FileNotFoundError:
        return
    else:
        return
    # A list instead of recursion: a hostile tree may be deeper than Python's stack.
    way = [(name, *_emptied(name, folder))]
    try:
        while way:
            current, fd, inner = way[-1]
            if inner:
                below = inner.pop()
                way.append((below, *_emptied(below, fd)))
            else:
                os.close(way.pop()[1])
                os.rmdir(current, dir_fd=way[-1][1] if way else folder)
    finally:
        for _, fd, _ in way:
            os.close(fd)


def _emptied(name: str, folder: int) -> tuple[int, list[str]]:
    """A directory without its files: its descriptor, and the directories that are left in it."""
    fd = os.open(name, _DIRECTORY, dir_fd=folder)
    inner = []
    try:
        with os.scandir(fd) as found:
            entries = list(found)
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                inner.append(entry.name)
            else:
                os.unlink(entry.name, dir_fd=fd)
    except BaseException:
        os.close(fd)
        raise
    return fd, inner


def _enter(way: list[int], name: str, *, make: bool) -> str | None:
    """Go into the directory ``name``; or, if it is a link, only say where it leads."""
    for _ in range(2):
        try:
            way.append(os.open(name, _DIRECTORY, dir_fd=way[-1]))
        except FileNotFoundError:
            if not make:
                raise
            os.mkdir(name, 0o755, dir_fd=way[-1])
            os.chmod(name, 0o755, dir_fd=way[-1])  # noqa: S103 - as others do, whatever the umask is
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            try:
                return os.readlink(name, dir_fd=way[-1])
            except OSError:
                raise error from None
        else:
            return None
    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name)
