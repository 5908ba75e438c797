"""Copy the tree of a layer with all metadata, through descriptors and without following links."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FICLONE = 0x40049409  # both files share their blocks until one of them is written
_MAX_CHUNK = 1 << 30
_NO_XATTRS = frozenset({errno.ENOTSUP, errno.EPERM})
_NO_COPY_FILE_RANGE = frozenset({errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})


def copy_tree(source: int, target: int) -> None:
    """Copy the content and the metadata of the open directory ``source`` to ``target``.

    Owners, modes, times, extended attributes, devices and hard links are preserved.

    Raises:
        OSError: a file cannot be read or written.
    """
    _TreeCopier(target).copy(source)


class _TreeCopier:
    def __init__(self, target: int) -> None:
        self._target = target
        self._first_paths: dict[tuple[int, int], str] = {}
        """The first path of each file that has hard links, by device and inode."""

    def copy(self, source: int) -> None:
        """Copy depth first, with a stack: the tree may be deeper than Python's own stack."""
        source, target = os.dup(source), os.dup(self._target)
        stack: list[tuple[int, int, list[str], str]] = [(source, target, [], "")]
        try:
            stack[0] = (source, target, self._copy_files(source, target, ""), "")
            while stack:
                source, target, pending, path = stack[-1]
                if pending:
                    name = pending.pop()
                    path = f"{path}{name}/"
                    os.mkdir(name, 0o700, dir_fd=target)
                    source = os.open(name, _DIRECTORY, dir_fd=source)
                    target = os.open(name, _DIRECTORY, dir_fd=target)
                    stack.append((source, target, [], path))
                    stack[-1] = (source, target, self._copy_files(source, target, path), path)
                else:
                    _copy_metadata(source, target, os.fstat(source))
                    stack.pop()
                    os.close(source)
                    os.close(target)
        finally:
            for source, target, _, _ in stack:
                os.close(source)
                os.close(target)

    def _copy_files(self, source: int, target: int, path: str) -> list[str]:
        """Copy everything in ``source`` except directories; return the directories' names."""
        directories = []
        for name in os.listdir(source):
            status = os.stat(name, dir_fd=source, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                directories.append(name)
                continue
            if status.st_nlink > 1:
                key = (status.st_dev, status.st_ino)
                first = self._first_paths.setdefault(key, path + name)
                if first != path + name:
                    # No other process writes to the copy, and no directory in ``first`` is a link.
                    os.link(
                        first,
                        name,
                        src_dir_fd=self._target,
                        dst_dir_fd=target,
                        follow_symlinks=False,
                    )
                    continue
            if stat.S_ISREG(status.st_mode):
                _copy_regular_file(name, status, source, target)
            else:
                _copy_special_file(name, status, source, target)
        return directories


def _copy_regular_file(name: str, status: os.stat_result, source: int, target: int) -> None:
    source_fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        target_fd = os.open(name, flags, 0o600, dir_fd=target)
        try:
            _copy_content(source_fd, target_fd, status.st_size)
            _copy_metadata(source_fd, target_fd, status)
        finally:
            os.close(target_fd)
    finally:
        os.close(source_fd)


def _copy_special_file(name: str, status: os.stat_result, source: int, target: int) -> None:
    """Copy a symbolic link, a device, a pipe or a socket."""
    if stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
    else:
        os.mknod(name, stat.S_IFMT(status.st_mode) | 0o600, status.st_rdev, dir_fd=target)
    os.chown(name, status.st_uid, status.st_gid, dir_fd=target, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=target)
    times = (status.st_atime_ns, status.st_mtime_ns)
    os.utime(name, ns=times, dir_fd=target, follow_symlinks=False)


def _copy_content(source: int, target: int, size: int) -> None:
    """Share the blocks if the file system can, else copy in the kernel."""
    with suppress(OSError):
        fcntl.ioctl(target, _FICLONE, source)
        return
    left = size
    while left:
        try:
            count = os.copy_file_range(source, target, min(left, _MAX_CHUNK))
        except OSError as error:
            if error.errno not in _NO_COPY_FILE_RANGE:
                raise
            count = os.sendfile(target, source, None, min(left, _MAX_CHUNK))
        if not count:
            break
        left -= count


def _copy_metadata(source: int, target: int, status: os.stat_result) -> None:
    os.fchown(target, status.st_uid, status.st_gid)
    os.fchmod(target, stat.S_IMODE(status.st_mode))
    for name in os.listxattr(source):
        try:
            os.setxattr(target, name, os.getxattr(source, name))
        except OSError as error:
            if error.errno not in _NO_XATTRS:
                raise
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
