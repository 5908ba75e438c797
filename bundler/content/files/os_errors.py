"""Translate OSError into BundlerError."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from bundler.errors import (
    BundlerError,
    MediumError,
    MissingFileError,
    NoSpaceError,
    NotRegularFileError,
)

if TYPE_CHECKING:
    from pathlib import Path

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_HINTS = {
    errno.EROFS: "mount it writable, or specify another destination",
    errno.EACCES: "check the owner and the mode of the file and of the directories above it",
    errno.EPERM: "check the owner and the mode of the file and of the directories above it",
    errno.EIO: "the medium may be failing: reconnect or replace it, and run the same command again",
    errno.EFBIG: "use a file system for files of this size (exFAT or ext4, not FAT32)",
    errno.EMFILE: "raise the limit of open files (ulimit -n), or lower --jobs",
}
_NOT_PLAIN = frozenset({errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENOTDIR})


def to_bundler_error(error: OSError, path: Path, problem: str) -> BundlerError:
    """Return the error to raise for ``error``; ``problem`` is a phrase such as "cannot write".

    A link, device or directory in place of a regular file is reported as malformed content, not as
    a failure of the medium.
    """
    if error.errno in _FULL:
        free = measure_free_space(path) or 0
        return NoSpaceError(str(path), needed=None, free=free, os_error=error)
    if error.errno == errno.ENOENT:
        return MissingFileError(str(path), os_error=error)
    if error.errno in _NOT_PLAIN:
        return NotRegularFileError(
            str(path),
            os_error=error,
            hint="remove it and run again; links, devices and pipes are not opened",
        )
    reason = (error.strerror or str(error)).lower()
    return MediumError(
        f"{path}: {problem}: {reason}",
        path=str(path),
        os_error=error,
        hint=_HINTS.get(error.errno or 0),
    )


def measure_free_space(path: Path) -> int | None:
    """Return the bytes that are free for unprivileged users on the file system of ``path``.

    ``path`` need not exist. The result is None if the free space is unknown.
    """
    try:
        status = os.statvfs(find_existing(path))
    except OSError:
        return None
    return status.f_bavail * status.f_frsize if status.f_blocks else None


def find_existing(path: Path) -> Path:
    """Return ``path``, or the nearest directory above it that exists."""
    path = path.absolute()
    return next(parent for parent in (path, *path.parents) if parent.exists())
