"""``oci:PATH[:NAME]``: an OCI image layout, a directory of blobs with an index of roots.

Blobs are stored as ``blobs/<algorithm>/<hex>``, or in a directory that several layouts share. All
of them are durable before ``index.json`` refers to them, so an interrupted run leaves the former
images intact, and the next run reuses its blobs.

https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bundler.content.files import atomic_write, file_lock, safe_directory
from bundler.content.files.safe_directory import Directory
from bundler.errors import BundlerError, NotFoundError
from bundler.oci import image_layout, media_types
from bundler.oci.descriptor import ANNOTATION_CONTAINERD_NAME, ANNOTATION_REF_NAME, Descriptor
from bundler.oci.json.table import Table
from bundler.ports import Capabilities
from bundler.transports.oci_layout.blobs import BlobStore, Files, LayoutBlobs
from bundler.transports.oci_layout.index import (
    add_images,
    create_index,
    read_index,
    read_index_if_present,
)
from bundler.transports.oci_layout.reference import LayoutReference
from bundler.transports.shared.path_transport import PathTransport
from bundler.transports.shared.reachability import Reachable, find_reachable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from bundler.content.streams.reader import Content, Reader
    from bundler.oci.digest import Digest
    from bundler.ports import Node, Publication

_NAME_ANNOTATIONS = (ANNOTATION_REF_NAME, ANNOTATION_CONTAINERD_NAME)


@dataclass(frozen=True, slots=True)
class LayoutOptions:
    """Options of the transport ``oci:``."""

    transport: ClassVar = "oci"
    shared_blob_dir: Path | None = None
    """A blob directory that several layouts share; None: each has its own."""


class LayoutSource:
    """Source of the images in a layout.

    Args:
        layout: the directory, or open files, which this source closes.
        shared: the directory of the blobs; None: that of the layout.

    Raises:
        MissingFileError, MalformedError, UnsupportedError: not a layout.
    """

    def __init__(self, layout: Path | Files, shared: Path | None = None) -> None:
        with ExitStack() as stack:
            files = Directory.open(layout) if isinstance(layout, Path) else layout
            stack.callback(files.close)
            blobs = stack.enter_context(Directory.open(shared)) if shared else files
            self._blobs = LayoutBlobs(blobs, shared=shared is not None)
            self._index = read_index(files)
            self._resources = stack.pop_all()
        self._referrers: dict[str, list[Descriptor]] | None = None

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """Return the root called ``name``, the root at index N for ``@N``, or the only root."""
        return self._index.find(name)

    def open(self, target: Node, /, offset: int = 0) -> AbstractContextManager[Reader]:
        """Open a blob.

        Raises:
            MalformedError: it is not a regular file.
        """
        return self._blobs.open(target, offset)

    def tags(self) -> list[str]:
        """Return all names, in the order of ``index.json``."""
        return self._index.list_names()

    def referrers(self, subject: Digest, /) -> list[Descriptor]:
        """Return the roots whose subject is ``subject``; unreadable roots are skipped."""
        if self._referrers is None:
            found: dict[str, dict[Digest, Descriptor]] = {}
            for entry in self._index.entries:
                with suppress(BundlerError):
                    raw = self._blobs.read_manifest(entry.digest)
                    refers_to = Table.parse(raw, "manifest").table("subject").value
                    found.setdefault(str(refers_to.get("digest")), {})[entry.digest] = entry
            self._referrers = {key: list(entries.values()) for key, entries in found.items()}
        return self._referrers.get(subject.text, [])

    def close(self) -> None:
        """Close the layout."""
        self._resources.close()


class LayoutDestination:
    """Destination that writes a layout and locks it until ``close``.

    ``has`` and ``push`` are thread-safe.

    Args:
        path: the directory, which is created if it does not exist.
        shared: the directory of the blobs; None: that of the layout.

    Raises:
        LockedError: another process is writing the layout.
        MediumError: the directory cannot be created or read.
    """

    def __init__(self, path: Path, shared: Path | None = None) -> None:
        self._created = safe_directory.create_directories(path)
        with ExitStack() as stack:
            stack.callback(safe_directory.remove_directories, self._created)
            self._root = stack.enter_context(Directory.open(path))
            file_lock.lock(self._root)
            read_index_if_present(self._root)  # report a damaged index before the first push
            self._blobs = BlobStore(self._root, shared)
            stack.callback(self._blobs.close)
            atomic_write.remove_parts(self._root)
            self._blobs.remove_temporary_files()
            self._resources = stack.pop_all()

    @property
    def capabilities(self) -> Capabilities:
        """Everything that is addressed by a digest."""
        return Capabilities(media_types.BY_DIGEST, foreign_urls=True, layers="compressed")

    def has(self, target: Node, /) -> bool:
        """Report whether a regular file with the name and size of ``target`` exists."""
        return self._blobs.has(target)

    def push(self, target: Node, content: Content, /) -> Descriptor:
        """Store a blob; its name becomes durable with ``commit``."""
        return self._blobs.push(target, content)

    def open(self, target: Node, /, offset: int = 0) -> AbstractContextManager[Reader]:
        """Open a blob as ``LayoutSource.open`` does."""
        return self._blobs.reader.open(target, offset)

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """Return the current root called ``name``.

        Raises:
            NotFoundError: no root has this name.
        """
        index = read_index_if_present(self._root) or create_index(self._root.path)
        return index.find(name)

    def commit(self, images: Sequence[Publication], /) -> None:
        """Make all content durable, then write ``index.json`` unless it is unchanged.

        Raises:
            ConflictError: two images have the same name.
            IntegrityError: a root was not pushed.
        """
        former = read_index_if_present(self._root)
        index = add_images(former or create_index(self._root.path), images, self.has)
        self._sync()
        if former is None or index.raw_entries != former.raw_entries:
            atomic_write.write_bytes_in(self._root, image_layout.INDEX_FILE, index.encode())

    def prepare(self, images: Sequence[Publication], /) -> bytes:
        """Make all content durable; return the ``index.json`` of ``images`` alone, unwritten.

        Raises:
            ConflictError: two images have the same name.
            IntegrityError: a root was not pushed.
        """
        index = add_images(create_index(self._root.path), images, self.has)
        self._sync()
        return index.encode()

    def delete(self, name: str | None = None, /) -> Descriptor:
        """Durably remove the entry of an image, and the content that no other entry needs.

        Other names of the image stay.

        Raises:
            NotFoundError: there is no such image.
            LimitError, MalformedError, UnsupportedError: a manifest that stays cannot be parsed;
                nothing was removed.
        """
        former = read_index(self._root)
        found = former.find(name)
        index = former.without(
            lambda entry: (
                entry.digest == found.digest
                and (name is None or name in map(entry.annotations.get, _NAME_ANNOTATIONS))
            )
        )
        needed = find_reachable(index.entries, self._read_manifest)
        unneeded = Reachable({found.digest: found})
        with suppress(BundlerError):  # a damaged image can be deleted too
            unneeded = find_reachable([found], self._read_manifest)
        atomic_write.write_bytes_in(self._root, image_layout.INDEX_FILE, index.encode())
        self._blobs.remove(
            digest for digest in (*unneeded.manifests, *unneeded.blobs) if digest not in needed
        )
        return found

    def close(self) -> None:
        """Unlock the layout; a directory that was created and stayed empty is removed."""
        self._resources.close()

    def _sync(self) -> None:
        """Make all blobs and all new directories durable, and mark the directory as a layout."""
        self._blobs.sync()
        atomic_write.sync_directory(self._root)
        for path in self._created:
            atomic_write.sync_directory(path.parent)
        if self._root.get_size(image_layout.LAYOUT_FILE) is None:
            atomic_write.write_bytes_in(
                self._root, image_layout.LAYOUT_FILE, image_layout.LAYOUT_FILE_CONTENT
            )

    def _read_manifest(self, entry: Descriptor) -> bytes | None:
        try:
            return self._blobs.reader.read_manifest(entry.digest)
        except NotFoundError:
            return None


TRANSPORT = PathTransport(
    partial(LayoutReference.parse, "oci"),
    lambda path, options: LayoutSource(path, options.get(LayoutOptions).shared_blob_dir),
    lambda path, options: LayoutDestination(path, options.get(LayoutOptions).shared_blob_dir),
)
