"""``oci:PATH[:NAME]``: an OCI image layout, a directory of blobs with an index of roots.

Blobs are stored as ``blobs/<algorithm>/<hex>``, or in a directory that several layouts share. All
blobs are durable before ``index.json`` refers to them, so an interrupted run leaves the former
images intact, and the next run reuses its blobs.

https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
"""

from __future__ import annotations

import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self

from bundler.content.files import atomic_write, part_files
from bundler.content.files.locked_directory import LockedDirectory
from bundler.content.files.safe_directory import Directory
from bundler.errors import (
    BundlerError,
    IntegrityError,
    InvalidReferenceError,
    LimitError,
    MalformedError,
    MissingFileError,
    NotFoundError,
    UnsupportedError,
)
from bundler.oci import image_layout, media_types
from bundler.oci.descriptor import ANNOTATION_CONTAINERD_NAME, ANNOTATION_REF_NAME, Descriptor
from bundler.oci.image_layout import LayoutIndex
from bundler.oci.json.table import Table
from bundler.ports import Capabilities, Node
from bundler.transports.oci_layout.blobs import Files, ReadableBlobs, WritableBlobs
from bundler.transports.shared.bundle_guard import refuse_bundle
from bundler.transports.shared.path_transport import PathTransport, check_index

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bundler.oci.digest import Digest
    from bundler.ports import OpenOptions, Publication

_NAME_ANNOTATIONS = (ANNOTATION_REF_NAME, ANNOTATION_CONTAINERD_NAME)


@dataclass(frozen=True, slots=True)
class LayoutReference:
    """``TRANSPORT:PATH``, ``TRANSPORT:PATH:NAME`` or ``TRANSPORT:PATH:@N``."""

    transport: str
    path: str
    name: str | None = None
    """Name of the image, or ``@N`` for the entry at index N; None if unset."""

    @classmethod
    def parse(cls, transport: str, text: str) -> Self:
        """Parse ``PATH[:NAME]``; the path ends at the first colon.

        Raises:
            InvalidReferenceError: the path is missing, or the name is invalid.
        """
        path, _, name = text.partition(":")
        if not path or "\0" in path:
            raise InvalidReferenceError(
                f"{transport}:{text[:200]}: no path",
                hint=f"write {transport}:PATH or {transport}:PATH:NAME",
            )
        if not all(char.isprintable() and char != " " for char in name):
            raise InvalidReferenceError(
                f"{transport}:{path[:200]}: {name[:80]!r} is not a valid image name"
            )
        if name.startswith("@"):
            check_index(f"{transport}:{text}", name)
        return cls(transport, path, name or None)

    def __str__(self) -> str:
        name = "" if self.name is None else f":{self.name}"
        return f"{self.transport}:{self.path}{name}"


@dataclass(frozen=True, slots=True)
class LayoutOptions:
    """Options of the transport ``oci:``."""

    transport: ClassVar = "oci"
    shared_blob_dir: Path | None = None
    """A blob directory that several layouts share; None: the layout's own directory."""


class LayoutSource(ReadableBlobs):
    """Source of the images in a layout: a directory, or open files, which this source closes.

    ``shared`` is the directory of the blobs if layouts share one. ``follow_links`` allows symbolic
    links inside the directories.

    Raises:
        MissingFileError, MalformedError, UnsupportedError: the files are not a layout.
    """

    def __init__(
        self, layout: Path | Files, shared: Path | None = None, *, follow_links: bool = False
    ) -> None:
        with ExitStack() as stack:
            files = (
                Directory.open(layout, follow_links=follow_links)
                if isinstance(layout, Path)
                else layout
            )
            stack.callback(files.close)
            blobs = (
                stack.enter_context(Directory.open(shared, follow_links=follow_links))
                if shared
                else files
            )
            super().__init__(blobs, shared=shared is not None)
            self._index = read_index(files)
            self._resources = stack.pop_all()
        self.names = frozenset(
            name
            for entry in self._index.entries
            for name in map(entry.annotations.get, _NAME_ANNOTATIONS)
            if name is not None
        )
        """The names of all images, in both annotations."""
        self._referrers: dict[str, dict[Digest, Descriptor]] | None = None
        self._lock = threading.Lock()

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """Return the root called ``name``, the root at index N for ``@N``, or the only root."""
        return self._index.find(name)

    def tags(self) -> list[str]:
        """Return all names, in the order of ``index.json``."""
        return self._index.list_names()

    def referrers(self, subject: Digest, /) -> list[Descriptor]:
        """Return the roots whose subject is ``subject``; unreadable roots are skipped."""
        with self._lock:
            if self._referrers is None:
                self._referrers = {}
                for entry in self._index.entries:
                    with suppress(BundlerError):
                        raw = self.read_manifest(entry.digest)
                        refers_to = Table.parse(raw, "manifest").table("subject").value
                        same = self._referrers.setdefault(str(refers_to.get("digest")), {})
                        same[entry.digest] = entry
            return list(self._referrers.get(subject.text, {}).values())

    def close(self) -> None:
        """Close the layout."""
        self._resources.close()


class LayoutDestination(WritableBlobs):
    """Destination that writes a layout, creates its directory, and locks it until ``close``.

    ``shared`` is the directory of the blobs if layouts share one.

    Raises:
        LockedError: another process is writing the layout.
        MediumError: the directory cannot be created or read.
    """

    capabilities = Capabilities(
        media_types.BY_DIGEST, omits_foreign_layers=True, layers="compressed"
    )

    def __init__(self, path: Path, shared: Path | None = None) -> None:
        with ExitStack() as stack:
            self._layout = stack.enter_context(LockedDirectory.create(path))
            self.check_former()
            super().__init__(self._layout, shared)
            stack.callback(self.close_blobs)
            part_files.remove_parts(self._layout)
            self.open_directories()
            self._resources = stack.pop_all()

    def check_former(self) -> None:
        """Report a damaged index before the first push.

        Raises:
            LimitError, MalformedError, UnsupportedError: the layout is invalid or unsupported.
        """
        read_index_if_present(self._layout)

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """Return the current root called ``name``.

        Raises:
            NotFoundError: no root has this name.
        """
        return (read_index_if_present(self._layout) or create_index(self._layout.path)).find(name)

    def commit(self, images: Sequence[Publication], /) -> None:
        """Make all content durable, then write ``index.json`` unless it is unchanged.

        Raises:
            ConflictError: two images have the same name.
            IntegrityError: a root was not pushed.
        """
        former = read_index_if_present(self._layout)
        index = add_images(former or create_index(self._layout.path), images, self.has)
        self._sync()
        if former is None or index.raw_entries != former.raw_entries:
            atomic_write.write_bytes_in(self._layout, image_layout.INDEX_FILE, index.encode())
        self.remove_parts()

    def prepare(self, images: Sequence[Publication], /) -> bytes:
        """Make all content durable; return ``index.json`` for ``images`` only, unwritten."""
        index = add_images(create_index(self._layout.path), images, self.has)
        self._sync()
        self.remove_parts()
        return index.encode()

    def delete(self, name: str | None = None, /) -> Descriptor:
        """Durably remove the entry of an image, and the content that no other entry uses.

        Other names of the image are kept.

        Raises:
            NotFoundError: there is no such image.
            LimitError, MalformedError, UnsupportedError: a remaining manifest cannot be parsed;
                nothing was removed.
        """
        from bundler.transports.shared import reachability  # noqa: PLC0415 - only to delete

        former = read_index(self._layout)
        found = former.find(name)
        index = former.without(
            lambda entry: (
                entry.digest == found.digest
                and (name is None or name in map(entry.annotations.get, _NAME_ANNOTATIONS))
            )
        )
        needed = reachability.find_reachable(index.entries, self)
        unneeded = reachability.Reachable({found.digest: found})
        with suppress(BundlerError):  # a damaged image can also be deleted
            unneeded = reachability.find_reachable([found], self)
        atomic_write.write_bytes_in(self._layout, image_layout.INDEX_FILE, index.encode())
        self.remove_blobs(
            digest for digest in (*unneeded.manifests, *unneeded.blobs) if digest not in needed
        )
        return found

    def close(self) -> None:
        """Unlock the layout; remove its directory if it was created by this run and is empty."""
        self._resources.close()

    def _sync(self) -> None:
        """Make all blobs and all new directories durable, and mark the directory as a layout."""
        self.sync_blobs()
        if self._has_mark():
            atomic_write.sync_directory(self._layout)
        else:
            mark, content = image_layout.LAYOUT_FILE, image_layout.LAYOUT_FILE_CONTENT
            atomic_write.write_bytes_in(self._layout, mark, content)  # synchronises it, too
        for path in self._layout.created:
            atomic_write.sync_directory(path.parent)

    def _has_mark(self) -> bool:
        with suppress(NotFoundError, LimitError, MalformedError, UnsupportedError):
            _check_mark(self._layout)
            return True
        return False


def read_index(files: Files) -> LayoutIndex:
    """Read the index of a layout.

    Raises:
        MissingFileError: there is no index.
        LimitError, MalformedError, UnsupportedError: the layout is invalid or unsupported.
    """
    index = read_index_if_present(files)
    if index is None:
        path = str(files.path / image_layout.INDEX_FILE)
        raise MissingFileError(path, part_of="an OCI image layout")
    return index


def read_index_if_present(files: Files) -> LayoutIndex | None:
    """Read the index of a layout, like ``read_index``; None if nothing has been committed yet."""
    names = files.list_names()
    if image_layout.LAYOUT_FILE in names:
        _check_mark(files)
    if image_layout.INDEX_FILE not in names:
        return None
    raw = files.read(image_layout.INDEX_FILE, limit=image_layout.MAX_INDEX)
    return LayoutIndex.parse(raw, str(files.path / image_layout.INDEX_FILE))


def _check_mark(files: Files) -> None:
    mark = files.read(image_layout.LAYOUT_FILE, limit=image_layout.MAX_LAYOUT_FILE)
    image_layout.check_layout_file(mark, str(files.path / image_layout.LAYOUT_FILE))


def create_index(path: Path) -> LayoutIndex:
    """Return an empty index for the layout at ``path``."""
    return LayoutIndex.empty(str(path / image_layout.INDEX_FILE))


def add_images(
    index: LayoutIndex, images: Sequence[Publication], has: Callable[[Node], bool]
) -> LayoutIndex:
    """Add an entry for each name of each image, or one entry for an image without names.

    Raises:
        ConflictError: two images have the same name.
        IntegrityError: ``has`` reports that a root was not pushed.
    """
    for image in images:
        if not has(Node.of(image.root, "manifest")):
            raise IntegrityError(f"{index.subject}: {image.root.digest} was not pushed")
    return index.with_entries(
        image_layout.create_entry(image.root, name, dict(image.annotations))
        for image in images
        for name in image.names or (None,)
    )


def open_destination(path: Path, options: OpenOptions) -> LayoutDestination:
    """Open a layout for writing.

    Raises:
        UsageError: the shared directory of the blobs is in a bundle.
        LockedError, MediumError: see ``LayoutDestination``.
    """
    shared = options.get(LayoutOptions).shared_blob_dir
    if shared is not None:
        refuse_bundle(shared)
    return LayoutDestination(path, shared)


TRANSPORT = PathTransport(
    partial(LayoutReference.parse, "oci"),
    lambda path, options: LayoutSource(
        path, options.get(LayoutOptions).shared_blob_dir, follow_links=options.lenient
    ),
    open_destination,
    has_shared_sources=True,
)
