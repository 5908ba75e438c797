"""Copy the tree of a layer with all metadata, through descriptors and without following links."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from contextlib import suppress

from bundler.transports.containers_storage.drivers.open_path import OpenPath, PendingNames

_FICLONE = 0x40049409  # the files share blocks until one of them is written
_MAX_CHUNK = 1 << 30
_NO_XATTRS = frozenset({errno.ENOTSUP, errno.EPERM})
_NO_COPY_FILE_RANGE = frozenset({errno.EXDEV, errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP})


def copy_tree(source: int, target: int, links: int) -> None:
    """Copy the content and the metadata of the open directory ``source`` to ``target``.

    Owners, modes, times, extended attributes, devices and hard links are preserved. ``links`` is an
    empty directory outside of ``target``, in the same file system: the copies of files with hard
    links get a second name there until the last link is made. No names are kept in memory, because
    a hostile tree may have millions.

    Raises:
        OSError: a file cannot be read or written.
    """
    with (
        OpenPath(os.dup(source)) as original,
        OpenPath(os.dup(target)) as copy,
        PendingNames() as directories,
    ):
        _copy_files(original.fd, copy.fd, links, directories)
        while True:
            name = directories.pop()
            if name is not None:
                os.mkdir(name, 0o700, dir_fd=copy.fd)
                original.enter(name)
                copy.enter(name)
                _copy_files(original.fd, copy.fd, links, directories)
                continue
            _copy_metadata(original.fd, copy.fd, os.fstat(original.fd))
            if not original.depth:
                return
            original.leave()
            copy.leave()


def _copy_files(source: int, target: int, links: int, directories: PendingNames) -> None:
    """Copy everything in ``source`` except directories; push its end and their names."""
    directories.add_end()
    with os.scandir(source) as entries:
        for name in (entry.name for entry in entries):
            status = os.stat(name, dir_fd=source, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                directories.push(name)
                continue
            if status.st_nlink == 1:
                _copy_file(name, status, source, target)
                continue
            # This is safe: no other process writes to the copy or to ``links``.
            first = f"{status.st_dev}-{status.st_ino}"
            try:
                count = os.stat(first, dir_fd=links, follow_symlinks=False).st_nlink
            except FileNotFoundError:
                _copy_file(name, status, source, target)
                _link(name, target, first, links)
            else:
                if count < status.st_nlink:
                    _link(first, links, name, target)
                else:
                    os.rename(first, name, src_dir_fd=links, dst_dir_fd=target)


def _link(name: str, directory: int, new_name: str, new_directory: int) -> None:
    os.link(name, new_name, src_dir_fd=directory, dst_dir_fd=new_directory, follow_symlinks=False)


def _copy_file(name: str, status: os.stat_result, source: int, target: int) -> None:
    """Copy anything except a directory."""
    if stat.S_ISREG(status.st_mode):
        _copy_regular_file(name, status, source, target)
        return
    if stat.S_ISLNK(status.st_mode):
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
    else:
        os.mknod(name, stat.S_IFMT(status.st_mode) | 0o600, status.st_rdev, dir_fd=target)
    os.chown(name, status.st_uid, status.st_gid, dir_fd=target, follow_symlinks=False)
    if not stat.S_ISLNK(status.st_mode):
        os.chmod(name, stat.S_IMODE(status.st_mode), dir_fd=target)
    times = (status.st_atime_ns, status.st_mtime_ns)
    os.utime(name, ns=times, dir_fd=target, follow_symlinks=False)


def _copy_regular_file(name: str, status: os.stat_result, source: int, target: int) -> None:
    """Clone the file if the file system supports it; otherwise copy it in the kernel."""
    source_fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        target_fd = os.open(name, flags, 0o600, dir_fd=target)
        try:
            left = status.st_size
            with suppress(OSError):
                fcntl.ioctl(target_fd, _FICLONE, source_fd)
                left = 0
            while left:
                count = min(left, _MAX_CHUNK)
                try:
                    count = os.copy_file_range(source_fd, target_fd, count)
                except OSError as error:
                    if error.errno not in _NO_COPY_FILE_RANGE:
                        raise
                    count = os.sendfile(target_fd, source_fd, None, count)
                left = left - count if count else 0
            _copy_metadata(source_fd, target_fd, status)
        finally:
            os.close(target_fd)
    finally:
        os.close(source_fd)


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
