"""Hidden directory in a tree for manifests and blobs that are pushed but not committed."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from bundler.content.files import atomic_write
from bundler.errors import NotFoundError, UnsupportedError
from bundler.transports.directory.hard_links import supports_links

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.content.files.safe_directory import Directory

STAGING = ".airbundle-staging"


class StagingDirectory:
    """The staging directory of a tree; files of an interrupted run are reused.

    Args:
        tree: the directory of the tree, which the caller has locked and closes.
        may_copy: accept a file system without hard links, and copy shared blobs there.
    """

    def __init__(self, tree: Directory, *, may_copy: bool) -> None:
        self._tree = tree
        self._may_copy = may_copy
        self._lock = threading.Lock()
        self._directory: Directory | None = None
        self.names: set[str] = set()
        """Names of the files that are not committed."""
        with suppress(NotFoundError):
            self._use(tree.enter(STAGING))

    def open(self) -> Directory:
        """Open the directory, and create it if it is absent; ``close`` closes it.

        Raises:
            UnsupportedError: the file system has no hard links, and copies are not permitted.
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

    def sync(self) -> None:
        """Make the names of all files durable."""
        if self._directory is not None:
            atomic_write.sync_directory(self._directory)

    def remove(self) -> None:
        """Remove the directory with all files."""
        if self._directory is None:
            return
        for name in self._directory.list_names():
            self._directory.remove(name)
        self._directory.close()
        self._directory = None
        self.names = set()
        with suppress(OSError):  # the next run removes it
            os.rmdir(STAGING, dir_fd=self._tree.fd)
        atomic_write.sync_directory(self._tree)

    def close(self) -> None:
        """Close the directory; its files stay for the next run."""
        if self._directory is not None:
            self._directory.close()

    def _use(self, directory: Directory) -> None:
        atomic_write.remove_parts(directory)
        self.names = set(directory.list_names())
        self._directory = directory


def create_hard_links_error(path: Path) -> UnsupportedError:
    """Return the error for a medium that cannot share blobs between images."""
    return UnsupportedError(
        f"{path}: the medium has no hard links, and images share blobs",
        hint="use --format oci, which needs none, or --duplicate-blobs to store a blob per image",
    )
