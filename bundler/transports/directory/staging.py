"""Staging of uncommitted content in a hidden directory of a tree, and hard links to it."""

from __future__ import annotations

import errno
import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from bundler.content.files import atomic_write, part_files
from bundler.content.files.os_errors import to_bundler_error
from bundler.content.files.part_files import KeptParts
from bundler.errors import NotFoundError, UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.content.files.safe_directory import Directory, RegularFile
    from bundler.ports import Node

STAGING = ".airbundle-staging"

_NOT_SUPPORTED = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})


class StagingDirectory:
    """The staging directory of a tree, which reuses the files of an interrupted run.

    The caller has locked ``tree``, and closes it. ``may_copy`` permits copies on a file system
    without hard links.
    """

    def __init__(self, tree: Directory, *, may_copy: bool) -> None:
        self._tree = tree
        self._may_copy = may_copy
        self._lock = threading.Lock()
        self._directory: Directory | None = None
        self.parts = KeptParts()
        self.names: set[str] = set()
        """Names of the files that are not committed."""
        with suppress(NotFoundError):
            self._use(tree.enter(STAGING))

    def open(self) -> Directory:
        """Open the directory, and create it if it is absent; ``close`` closes it.

        Raises:
            UnsupportedError: the file system does not support hard links, and copies are not
                permitted.
        """
        with self._lock:
            if self._directory is not None:
                return self._directory
            directory = self._tree.enter(STAGING, create=True)
            self._use(directory)
            if not self._may_copy and not supports_links(directory):
                self.remove()
                raise create_hard_links_error(self._tree.path)
            return directory

    def open_part(self, node: Node) -> RegularFile | None:
        """Open the stored beginning of a blob; None if there is none."""
        if self._directory is None or node.digest is None:
            return None
        return self.parts.open(self._directory, node.digest, node.size)

    def sync(self) -> None:
        """Make the names of all files durable."""
        if self._directory is not None:
            atomic_write.sync_directory(self._directory)

    def remove(self) -> None:
        """Remove the directory with all files, except the parts that the next run continues."""
        if self._directory is None:
            return
        self.parts.remove_unneeded(self._directory)
        for name in self._directory.list_names():
            if not part_files.is_part(name):
                self._directory.remove(name)
        self._directory.close()
        self._directory = None
        self.names = set()
        with suppress(OSError):  # not empty, or removed by the next run
            os.rmdir(STAGING, dir_fd=self._tree.fd)
        atomic_write.sync_directory(self._tree)

    def close(self) -> None:
        """Close the directory; the files remain for the next run."""
        self.parts.close()
        if self._directory is not None:
            self._directory.close()

    def _use(self, directory: Directory) -> None:
        part_files.remove_stale_parts(directory)
        self.names = {name for name in directory.list_names() if not part_files.is_part(name)}
        self._directory = directory


def create_hard_links_error(path: Path) -> UnsupportedError:
    """Return the error for a medium that cannot share blobs between images."""
    return UnsupportedError(
        f"{path}: the medium does not support hard links, which share blobs between images",
        hint="use --format oci, or --duplicate-blobs to store a copy in each image",
    )


def supports_links(directory: Directory) -> bool:
    """Return whether the file system of ``directory`` supports hard links, by creating one."""
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
        os.link(name, temporary, src_dir_fd=source.fd, dst_dir_fd=target.fd, follow_symlinks=False)
    except OSError as error:
        if error.errno in _NOT_SUPPORTED:
            return False
        raise to_bundler_error(error, target.path / link, "cannot link") from error
    target.rename(temporary, link)
    return True


def is_same_file(first: Directory, name: str, second: Directory, other: str) -> bool:
    """Return whether two names are links to the same file; False if ``other`` does not exist."""
    try:
        found = os.stat(other, dir_fd=second.fd, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.stat(name, dir_fd=first.fd, follow_symlinks=False), found)
