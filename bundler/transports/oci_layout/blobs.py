"""Blobs of a layout, in its own directory ``blobs`` or in a directory that layouts share.

In this directory, a blob is the file ``<algorithm>/<hex>``. Shared blobs are never removed, because
it is unknown which layouts need them.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from bundler.content.files import atomic_write, part_files
from bundler.content.files.locked_directory import LockedDirectory
from bundler.content.files.part_files import KeptParts
from bundler.errors import NotFoundError
from bundler.oci.descriptor import Descriptor
from bundler.oci.manifest import MAX_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bundler.content.files.safe_directory import Directory
    from bundler.content.streams import Content, Reader, SizedReader
    from bundler.oci.digest import Digest
    from bundler.ports import Node

_BLOBS = "blobs"
_ALGORITHMS = frozenset({"sha256", "sha512"})


class Files(Protocol):
    """The files of a layout, in a directory or an archive; ``Directory`` has these methods."""

    path: Path

    def list_names(self) -> list[str]:
        """Return the names at the top level; an archive returns the names of all members."""

    def open_file(self, *names: str, offset: int = 0) -> AbstractContextManager[Reader]:
        """Open the file whose path has the components ``names``, at ``offset``."""

    def read(self, *names: str, limit: int) -> bytes:
        """Read a file of at most ``limit`` bytes."""

    def close(self) -> None:
        """Close the files."""


class ReadableBlobs:
    """The blobs in ``files``, which the caller closes."""

    def __init__(self, files: Files, *, shared: bool) -> None:
        self._files = files
        self._parents = () if shared else (_BLOBS,)

    def open(self, node: Node, /, offset: int = 0) -> AbstractContextManager[Reader]:
        """Open a blob.

        Raises:
            NotFoundError: the blob does not exist.
            MalformedError: the file is not a regular file.
        """
        if (digest := node.digest) is None:
            raise NotFoundError(f"{self._files.path}: cannot open a blob without a digest")
        return self._files.open_file(*self._parents, *digest.text.split(":"), offset=offset)

    def read_manifest(self, digest: Digest) -> bytes:
        """Read a manifest.

        Raises:
            NotFoundError: the blob does not exist.
            MalformedError: the file is not a regular file.
            LimitError: the manifest is too large.
        """
        return self._files.read(*self._parents, *digest.text.split(":"), limit=MAX_MANIFEST)


class WritableBlobs(ReadableBlobs):
    """The blobs of a layout that is being written. ``has`` and ``push`` are thread-safe.

    The caller has locked ``layout``, and closes it. ``shared`` is created if absent.

    Raises:
        MediumError: the shared directory cannot be created or opened.
    """

    def __init__(self, layout: LockedDirectory, shared: Path | None) -> None:
        self._is_shared = shared is not None
        self._root = LockedDirectory.create(shared, shared=True) if shared else layout
        self._lock = threading.Lock()
        super().__init__(self._root, shared=self._is_shared)
        self._parts = KeptParts(shared=self._is_shared)
        self._directories: dict[str, Directory] = {}
        """The open directories of blobs, by algorithm."""

    @property
    def storage_path(self) -> Path:
        """The layout, or the shared directory of the blobs."""
        return self._root.path

    def open_directories(self) -> None:
        """Open the directories of blobs; remove unfinished files that no run will continue."""
        if not set(self._parents) <= set(self._root.list_names()):
            return
        with self._root.enter(*self._parents) as blobs:
            for algorithm in _ALGORITHMS.intersection(blobs.list_names()):
                self._directories[algorithm] = blobs.enter(algorithm)
        for directory in self._directories.values():
            part_files.remove_stale_parts(directory, shared=self._is_shared)

    def has(self, node: Node, /) -> bool:
        """Return whether a regular file with the name and size of ``node`` exists."""
        if (digest := node.digest) is None:
            return False
        algorithm, name = digest.text.split(":")
        directory = self._directories.get(algorithm)
        size = None if directory is None else directory.get_size(name)
        return size is not None and node.size in (None, size)

    def push(self, node: Node, content: Content, /) -> Descriptor:
        """Store a blob; its name becomes durable with ``sync_blobs``."""
        algorithm = node.digest.text.partition(":")[0] if node.digest else "sha256"
        directory = self.open_directory(algorithm)
        part = None
        if node.digest is not None and node.kind != "manifest":
            part = self._parts.take(directory, node.digest, content.size)
        stored = atomic_write.write_content(
            directory,
            lambda blob: blob.digest.text.partition(":")[2],
            content,
            part=part,
            durable_name=False,
        )
        return Descriptor(node.media_type, stored.digest, stored.size)

    def open_directory(self, algorithm: str) -> Directory:
        """Open the directory of the blobs of an algorithm, created if absent; closed with these.

        Raises:
            NoSpaceError, MediumError: it cannot be created.
        """
        with self._lock:
            directory = self._directories.get(algorithm)
            if directory is None:
                directory = self._root.enter(*self._parents, algorithm, create=True)
                self._directories[algorithm] = directory
            return directory

    def open_part(self, node: Node, /) -> SizedReader | None:
        """Open the stored beginning of a blob; None if there is none."""
        if (digest := node.digest) is None:
            return None
        directory = self._directories.get(digest.text.partition(":")[0])
        return None if directory is None else self._parts.open(directory, digest, node.size)

    def sync_blobs(self) -> None:
        """Make the names of all blobs and all new directories durable."""
        for directory in self._directories.values():
            atomic_write.sync_directory(directory)
        if self._directories:
            with self._root.enter(*self._parents) as parent:
                atomic_write.sync_directory(parent)
        if self._is_shared:
            for path in self._root.created:
                atomic_write.sync_directory(path.parent)

    def remove_blobs(self, digests: Iterable[Digest]) -> None:
        """Remove the blobs that are present, unless the directory is shared."""
        if self._is_shared:
            return
        for digest in digests:
            algorithm, name = digest.text.split(":")
            if (directory := self._directories.get(algorithm)) is not None:
                directory.remove(name)

    def remove_parts(self) -> None:
        """Remove the unfinished blobs of earlier runs, unless the directory is shared."""
        if not self._is_shared:
            for directory in self._directories.values():
                self._parts.remove_unneeded(directory)

    def close_blobs(self) -> None:
        """Close all directories; remove those that were created by this run and are empty."""
        self._parts.close()
        for directory in self._directories.values():
            directory.close()
        self._directories.clear()
        if self._is_shared:
            self._root.close()
