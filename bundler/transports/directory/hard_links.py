"""Hard links between files of two open directories."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from bundler.content.files import atomic_write
from bundler.content.files.os_errors import to_bundler_error

if TYPE_CHECKING:
    from bundler.content.files.safe_directory import Directory

_NOT_SUPPORTED = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})


def supports_links(directory: Directory) -> bool:
    """Report whether the file system of ``directory`` supports hard links, by creating one."""
    probe, second = atomic_write.create_part_name(), atomic_write.create_part_name()
    atomic_write.write_bytes_in(directory, probe, b"")
    try:
        if linked := replace_by_link(directory, probe, directory, second):
            directory.remove(second)
        return linked
    finally:
        directory.remove(probe)


def replace_by_link(source: Directory, name: str, target: Directory, link: str) -> bool:
    """Make ``link`` in ``target`` a hard link to the file ``name`` in ``source``.

    Returns False if the file system cannot create the link. An existing ``link`` is replaced.

    Raises:
        MediumError, NoSpaceError: the link cannot be created for another reason.
    """
    temporary = atomic_write.create_part_name()
    try:
        os.link(
            name,
            temporary,
            src_dir_fd=source.fd,
            dst_dir_fd=target.fd,
            follow_symlinks=False,
        )
    except OSError as error:
        if error.errno in _NOT_SUPPORTED:
            return False
        raise to_bundler_error(error, target.path / link, "cannot link") from error
    target.rename(temporary, link)
    return True


def is_same_file(first: Directory, name: str, second: Directory, other: str) -> bool:
    """Report whether two names are links to the same file; False if ``other`` does not exist."""
    try:
        found = os.stat(other, dir_fd=second.fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.stat(name, dir_fd=first.fd, follow_symlinks=False), found)
