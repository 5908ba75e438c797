"""Where the blobs of a layout lie: in its own ``blobs``, or in a directory that layouts share.

A blob is ``<algorithm>/<hex>`` there. What is shared is never removed: nobody knows all layouts
that need it.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from bundler.content.files import atomic_write, safe_directory
from bundler.content.files.safe_directory import Directory
from bundler.errors import NotFoundError
from bundler.oci.descriptor import Descriptor
from bundler.oci.manifest import MAX_MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bundler.content.streams.reader import Content, Reader
    from bundler.oci.digest import Digest
    from bundler.ports import Node

_BLOBS = "blobs"
_ALGORITHMS = ("sha256", "sha512")


class Files(Protocol):
    """The files of a layout, in a directory or elsewhere; the methods are those of Directory."""

    path: Path

    def names(self) -> list[str]:
        """What lies at the top."""
        ...

    def open_file(self, *names: str, offset: int = 0) -> AbstractContextManager[Reader]:
        """One file's bytes, ``offset`` bytes in."""
        ...

    def read(self, *names: str, limit: int) -> bytes:
        """All of a small file."""
        ...

    def close(self) -> None:
        """Let go of the files."""
        ...


class LayoutBlobs:
    """The blobs below ``files``, for reading; ``files`` stays its owner's."""

    def __init__(self, files: Files, *, shared: bool) -> None:
        self._files = files
        self._above = () if shared else (_BLOBS,)

    def open(self, target: Node, offset: int) -> AbstractContextManager[Reader]:
        """One blob's bytes, ``offset`` bytes in.

        Raises:
            NotFoundError: it is not there.
            MalformedError: it is no plain file.
        """
        if target.digest is None:
            raise NotFoundError(f"{self._files.path}: a blob without a digest is nowhere")
        return self._files.open_file(*self.path(target.digest), offset=offset)

    def manifest(self, digest: Digest) -> bytes:
        """All of a manifest; raises as ``open`` does, and LimitError for one that is too large."""
        return self._files.read(*self.path(digest), limit=MAX_MANIFEST)

    def path(self, digest: Digest) -> tuple[str, ...]:
        """The way to a blob, name by name."""
        return *self._above, digest.algorithm, digest.hex


class BlobStore:
    """The blobs of a layout, for writing; ``layout`` stays its owner's, who has locked it.

    Args:
        layout: the layout's directory.
        shared: the directory that holds the blobs instead; it is made if it is not there.

    Raises:
        MediumError: the shared directory cannot be made or opened.
    """

    def __init__(self, layout: Directory, shared: Path | None) -> None:
        self._made = safe_directory.make_directory(shared) if shared else []
        self._layout = layout
        self._root = Directory.open(shared) if shared else layout
        self._above = () if shared else (_BLOBS,)
        self._folders: dict[str, Directory] = {}
        self._making = threading.Lock()
        self.reading = LayoutBlobs(self._root, shared=self._is_shared)
        """The same blobs, to be read back."""

    def has(self, target: Node) -> bool:
        """Whether a plain file of that name and size is there."""
        if target.digest is None:
            return False
        size = self._root.size(*self.reading.path(target.digest))
        return size is not None and target.size in (None, size)

    def push(self, target: Node, content: Content) -> Descriptor:
        """Store a blob; its name becomes durable with ``sync``."""
        folder = self._folder(target.digest.algorithm if target.digest else "sha256")
        stored = atomic_write.write_content(
            folder, lambda made: made.digest.hex, content, durable_name=False
        )
        return Descriptor(target.media_type, stored.digest, stored.size)

    def sync(self) -> None:
        """Make every name durable, and the directories that were made."""
        for folder in self._folders.values():
            atomic_write.sync_directory(folder)
        if self._folders:
            with self._root.enter(*self._above) as above:
                atomic_write.sync_directory(above)
        for path in self._made:
            atomic_write.sync_directory(path.parent)

    def sweep(self) -> None:
        """Remove what a stopped run left; others may be writing to a shared directory just now."""
        if not self._is_shared:
            for folder, _ in self._opened_folders():
                atomic_write.sweep(folder)

    def remove(self, digests: Iterable[Digest]) -> None:
        """Remove these blobs, as far as they are here."""
        if self._is_shared:
            return
        for digest in digests:
            *folders, name = self.reading.path(digest)
            with suppress(NotFoundError), self._root.enter(*folders) as folder:
                folder.remove(name)

    def close(self) -> None:
        """Let go of all directories; one that was made for nothing is removed."""
        for folder in self._folders.values():
            folder.close()
        self._folders.clear()
        if self._is_shared:
            self._root.close()
        safe_directory.unmake_directories(self._made)

    @property
    def _is_shared(self) -> bool:
        return self._root is not self._layout

    def _folder(self, algorithm: str) -> Directory:
        with self._making:
            folder = self._folders.get(algorithm)
            if folder is None:
                folder = self._root.enter(*self._above, algorithm, make=True)
                self._folders[algorithm] = folder
            return folder

    def _opened_folders(self) -> Iterator[tuple[Directory, str]]:
        for algorithm in _ALGORITHMS:
            with (
                suppress(NotFoundError),
                self._root.enter(*self._above, algorithm) as folder,
            ):
                yield folder, algorithm
