"""Copy a tree of a layer with all that belongs to it, by descriptors and following nothing."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CLONE = 0x40049409  # FICLONE: both files share their blocks until one is written
_PIECE = 1 << 30
_NO_XATTRS = frozenset({errno.ENOTSUP, errno.EPERM})


def copy_tree(source: int, target: int) -> None:
    """Copy what is in the open directory ``source``, and what it says of itself, to ``target``.

    Owners, modes, times, attributes, devices and hard links are kept.

    Raises:
        OSError: something cannot be read or written.
    """
    copying = _Copying()
    try:
        copying.directory(source, target)
    finally:
        copying.close()


class _Copying:
    def __init__(self) -> None:
        self._links: dict[tuple[int, int], str] = {}
        self._pool = -1

    def directory(self, source: int, target: int) -> None:
        """Depth first, with a list of what is open: a tree may be deeper than Python's stack."""
        self._pool = os.dup(target)
        way = [(os.dup(source), os.dup(target), self._inner(source, target, ""), "")]
        try:
            while way:
                below, copy, inner, path = way[-1]
                if inner:
                    name = inner.pop()
                    os.mkdir(name, 0o700, dir_fd=copy)
                    fd = os.open(name, _DIRECTORY, dir_fd=below)
                    new = os.open(name, _DIRECTORY, dir_fd=copy)
                    way.append((fd, new, [], f"{path}{name}/"))
                    way[-1] = (fd, new, self._inner(fd, new, f"{path}{name}/"), f"{path}{name}/")
                else:
                    _copy_facts(below, copy, os.fstat(below))
                    way.pop()
                    os.close(below)
                    os.close(copy)
        finally:
            for below, copy, _, _ in way:
                os.close(below)
                os.close(copy)

    def close(self) -> None:
        if self._pool >= 0:
            os.close(self._pool)

    def _inner(self, source: int, target: int, path: str) -> list[str]:
        """Copy what is no directory; the directories are left for later."""
        inner = []
        for name in os.listdir(source):
            status = os.stat(name, dir_fd=source, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                inner.append(name)
            elif not self._linked(status, target, name, path):
                _copy_one(name, status, source, target)
        return inner

    def _linked(self, status: os.stat_result, target: int, name: str, path: str) -> bool:
        if status.st_nlink < 2:
            return False
        key = (status.st_dev, status.st_ino)
        first = self._links.setdefault(key, path + name)
        if first == path + name:
            return False
        # The copy is ours alone, and nothing in its directories' names is a link.
        os.link(first, name, src_dir_fd=self._pool, dst_dir_fd=target, follow_symlinks=False)
        return True


def _copy_one(name: str, status: os.stat_result, source: int, target: int) -> None:
    times = (status.st_atime_ns, status.st_mtime_ns)
    if stat.S_ISREG(status.st_mode):
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            new = os.open(name, flags, 0o600, dir_fd=target)
            try:
                _copy_content(fd, new, status.st_size)
                _copy_facts(fd, new, status)
            finally:
                os.close(new)
        finally:
            os.close(fd)
        return
    if stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
    else:
        os.mknod(name, stat.S_IFMT(status.st_mode) | 0o600, status.st_rdev, dir_fd=target)
    os.chown(name, status.st_uid, status.st_gid, dir_fd=target, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=target)
    os.utime(name, ns=times, dir_fd=target, follow_symlinks=False)


def _copy_content(source: int, target: int, size: int) -> None:
    with suppress(OSError):
        fcntl.ioctl(target, _CLONE, source)
        return
    left = size
    while left:
        try:
            count = os.copy_file_range(source, target, min(left, _PIECE))
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
                raise
            count = os.sendfile(target, source, None, min(left, _PIECE))
        if not count:
            break
        left -= count


def _copy_facts(source: int, target: int, status: os.stat_result) -> None:
    os.fchown(target, status.st_uid, status.st_gid)
    os.fchmod(target, stat.S_IMODE(status.st_mode))
    for name in os.listxattr(source):
        try:
            os.setxattr(target, name, os.getxattr(source, name))
        except OSError as error:
            if error.errno not in _NO_XATTRS:
                raise
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
