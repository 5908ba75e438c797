"""``oci:PATH[:NAME]``: an OCI image layout, a directory of blobs with an index of roots.

Blobs go to ``blobs/<algorithm>/<hex>``, or to a directory that several layouts share, each durable
before ``index.json`` names what needs it. So a run that is stopped leaves the former layout, and
blobs that the next run finds.

https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.content.files import atomic_write, file_lock, safe_directory
from bundler.content.files.safe_directory import Directory
from bundler.errors import (
    BundlerError,
    IntegrityError,
    MissingFileError,
    NotFoundError,
)
from bundler.oci import image_layout, media_types
from bundler.oci.descriptor import ANNOTATION_CONTAINERD_NAME, ANNOTATION_REF_NAME, Descriptor
from bundler.oci.image_layout import LayoutIndex
from bundler.oci.json.table import Table
from bundler.ports import Capabilities, Node
from bundler.transports.oci_layout import reference as layout_entries
from bundler.transports.oci_layout.blobs import BlobStore, Files, LayoutBlobs
from bundler.transports.oci_layout.reference import LayoutReference
from bundler.transports.shared.path_transport import PathTransport
from bundler.transports.shared.reachability import Reachable, find_reachable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from bundler.content.streams.reader import Content, Reader
    from bundler.oci.digest import Digest
    from bundler.ports import OpenOptions, Publication


class LayoutSource:
    """Reads a layout; lists its names, and the roots that refer to others.

    The layout is the directory at a path, or open files that from now on are this source's. Its
    blobs lie there too, or in the directory ``shared``.
    """

    def __init__(self, layout: Path | Files, shared: Path | None = None) -> None:
        with ExitStack() as opened:
            self._root = Directory.open(layout) if isinstance(layout, Path) else layout
            opened.callback(self._root.close)
            elsewhere = opened.enter_context(Directory.open(shared)) if shared else None
            self._blobs = LayoutBlobs(elsewhere or self._root, shared=elsewhere is not None)
            index = _read_index(self._root)
            if index is None:
                raise _not_a_layout(self._root)
            self._index = index
            self._opened = opened.pop_all()
        self._subjects: dict[str, list[Descriptor]] | None = None

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """The root called ``name``, the only one, or with ``@N`` the one in that place."""
        return self._index.find(name)

    def open(self, target: Node, /, offset: int = 0) -> AbstractContextManager[Reader]:
        """A blob; one that is no plain file is a MalformedError."""
        return self._blobs.open(target, offset)

    def tags(self) -> list[str]:
        """Every name, in the order of ``index.json``."""
        return self._index.names()

    def referrers(self, subject: Digest, /) -> list[Descriptor]:
        """The roots whose ``subject`` is that one."""
        if self._subjects is None:
            self._subjects = self._read_subjects()
        return self._subjects.get(subject.text, [])

    def close(self) -> None:
        """Let go of the directory."""
        self._opened.close()

    def _read_subjects(self) -> dict[str, list[Descriptor]]:
        """Look into every root; one that cannot be read refers to nothing."""
        found: dict[str, dict[Digest, Descriptor]] = {}
        for entry in self._index.entries:
            with suppress(BundlerError):
                raw = self._blobs.manifest(entry.digest)
                subject = Table.parse(raw, "manifest").table("subject").value
                found.setdefault(str(subject.get("digest")), {})[entry.digest] = entry
        return {subject: list(entries.values()) for subject, entries in found.items()}


class LayoutDestination:
    """Writes a layout, alone: it is locked until ``close``. Many blobs may be pushed at once.

    Raises:
        LockedError: somebody else is writing there.
        MediumError: the directory cannot be made or read.
    """

    def __init__(self, path: Path, options: OpenOptions | None = None) -> None:
        self._made = safe_directory.make_directory(path)
        with ExitStack() as opened:
            opened.callback(safe_directory.unmake_directories, self._made)
            self._root = opened.enter_context(Directory.open(path))
            file_lock.lock(self._root)
            _read_index(self._root)  # an index that is not one is said before the first byte
            self._blobs = BlobStore(self._root, options.shared_blob_dir if options else None)
            opened.callback(self._blobs.close)
            atomic_write.sweep(self._root)
            self._blobs.sweep()
            self._opened = opened.pop_all()

    @property
    def capabilities(self) -> Capabilities:
        """Anything: manifests are stored as they are."""
        return Capabilities(media_types.BY_DIGEST, foreign_urls=True, layers="compressed")

    def has(self, target: Node, /) -> bool:
        """Whether a plain file of that name and size is there."""
        return self._blobs.has(target)

    def push(self, target: Node, content: Content, /) -> Descriptor:
        """Store a blob; its name becomes durable with ``commit``."""
        return self._blobs.push(target, content)

    def open(self, target: Node, /, offset: int = 0) -> AbstractContextManager[Reader]:
        """A blob that is here, as the source would read it."""
        return self._blobs.reading.open(target, offset)

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """What ``name`` stands for here now.

        Raises:
            NotFoundError: nothing.
        """
        return (_read_index(self._root) or LayoutIndex.empty(self._what())).find(name)

    def commit(self, images: Sequence[Publication], /) -> None:
        """Write ``index.json``, if anything in it changes.

        Raises:
            ConflictError: two of ``images`` want one name.
            IntegrityError: a root is not here.
        """
        former = _read_index(self._root)
        index = self._indexed(former, images)
        self._settle()
        if former is None or index.raw_entries != former.raw_entries:
            atomic_write.write_bytes_in(self._root, image_layout.INDEX_FILE, index.encode())

    def prepare(self, images: Sequence[Publication], /) -> bytes:
        """Make everything durable but ``index.json``; its bytes, were it to list only ``images``.

        Raises:
            ConflictError, IntegrityError: as ``commit``.
        """
        index = self._indexed(None, images)
        self._settle()
        return index.encode()

    def delete(self, name: str | None = None, /) -> Descriptor:
        """Durably drop an image's entry, and what no other entry needs; its other names stay.

        Raises:
            NotFoundError: there is no such image.
            LimitError, MalformedError, UnsupportedError: a manifest that stays cannot be
                understood; nothing was removed.
        """
        former = _read_index(self._root)
        if former is None:
            raise _not_a_layout(self._root)
        found = former.find(name)
        index = former.without(
            lambda entry: entry.digest == found.digest and _is_called(entry, name)
        )
        wanted = find_reachable(index.entries, self._read_manifest)
        gone = Reachable({found.digest: found})
        with suppress(BundlerError):  # a damaged image can be deleted too
            gone = find_reachable([found], self._read_manifest)
        atomic_write.write_bytes_in(self._root, image_layout.INDEX_FILE, index.encode())
        unwanted = [digest for digest in (*gone.manifests, *gone.blobs) if digest not in wanted]
        self._blobs.remove(unwanted)
        return found

    def close(self) -> None:
        """Unlock; a directory that was made for nothing is removed."""
        self._opened.close()

    def _indexed(self, former: LayoutIndex | None, images: Sequence[Publication]) -> LayoutIndex:
        """``former`` with ``images`` in it, all of which must be here."""
        for image in images:
            if not self.has(Node.of(image.root, "manifest")):
                raise IntegrityError(f"{self._root.path}: {image.root.digest} did not arrive")
        return (former or LayoutIndex.empty(self._what())).published(
            layout_entries.index_entries(images)
        )

    def _settle(self) -> None:
        """Make every blob durable, and the directory a layout."""
        self._sync()
        if self._root.size(image_layout.MARK_FILE) is None:
            atomic_write.write_bytes_in(self._root, image_layout.MARK_FILE, image_layout.MARK)

    def _sync(self) -> None:
        """Make every name below the directory durable, and the directories that were made."""
        self._blobs.sync()
        atomic_write.sync_directory(self._root)
        for path in self._made:
            atomic_write.sync_directory(path.parent)

    def _read_manifest(self, entry: Descriptor) -> bytes | None:
        try:
            return self._blobs.reading.manifest(entry.digest)
        except NotFoundError:
            return None

    def _what(self) -> str:
        return str(self._root.path / image_layout.INDEX_FILE)


def _is_called(entry: Descriptor, name: str | None) -> bool:
    """Whether an entry gives its root that name; without a name, any."""
    names = (ANNOTATION_REF_NAME, ANNOTATION_CONTAINERD_NAME)
    return name is None or name in [entry.annotations.get(key) for key in names]


def _read_index(root: Files) -> LayoutIndex | None:
    """The layout's index; None where nothing has been published yet."""
    if image_layout.MARK_FILE in (names := root.names()):
        mark = root.read(image_layout.MARK_FILE, limit=image_layout.MAX_MARK)
        image_layout.check_mark(mark, str(root.path / image_layout.MARK_FILE))
    if image_layout.INDEX_FILE not in names:
        return None
    raw = root.read(image_layout.INDEX_FILE, limit=image_layout.MAX_INDEX)
    return LayoutIndex.parse(raw, str(root.path / image_layout.INDEX_FILE))


def _not_a_layout(root: Files) -> MissingFileError:
    return MissingFileError(str(root.path / image_layout.INDEX_FILE), part_of="an OCI image layout")


TRANSPORT = PathTransport(
    partial(LayoutReference.parse, "oci"),
    lambda path, options: LayoutSource(path, options.shared_blob_dir),
    LayoutDestination,
)
