"""What an operating system's error on a file means to the person who has to mend it."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from bundler.errors import (
    BundlerError,
    MediumError,
    MissingFileError,
    NoSpaceError,
    NotPlainFileError,
)

if TYPE_CHECKING:
    from pathlib import Path

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_HINTS = {
    errno.EROFS: "mount it writable, or name another destination",
    errno.EACCES: "look at the owner and the mode of the file and of the directories above it",
    errno.EPERM: "look at the owner and the mode of the file and of the directories above it",
    errno.EIO: "the medium fails: plug it in again, or use another one; a re-run resumes",
    errno.EFBIG: "the file system cannot hold a file of this size: use exFAT or ext4, not FAT32",
    errno.EMFILE: "raise the limit of open files (ulimit -n), or lower --jobs",
}
_NOT_PLAIN = frozenset({errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENOTDIR})


def to_bundler_error(error: OSError, path: Path, problem: str) -> BundlerError:
    """The error to raise for ``error``, met while ``doing`` ("cannot write") at ``path``.

    A name that is a link, a device or a directory where a plain file belongs is not the medium's
    failure: it is content that is not what it should be.
    """
    if error.errno in _FULL:
        return NoSpaceError(str(path), needed=None, free=get_free_space(path), os_error=error)
    if error.errno == errno.ENOENT:
        return MissingFileError(str(path), os_error=error)
    if error.errno in _NOT_PLAIN:
        return NotPlainFileError(
            str(path),
            os_error=error,
            hint="links, devices and pipes are not followed: remove it, and run again",
        )
    reason = (error.strerror or str(error)).lower()
    return MediumError(
        f"{path}: {problem}: {reason}",
        path=str(path),
        os_error=error,
        hint=_HINTS.get(error.errno or 0),
    )


def get_free_space(path: Path) -> int:
    """How many bytes an ordinary user may still write where ``path`` is, or would be."""
    for place in (path, *path.parents):
        try:
            status = os.statvfs(place)
        except OSError:
            continue
        return status.f_bavail * status.f_frsize
    return 0
