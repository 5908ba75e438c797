"""The destination with which the engine writes the content of a bundle into an archive."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from bundler.bundle.format.archive import layout as layouts
from bundler.bundle.format.files import bundle_paths
from bundler.content.archives.tar_writer import END
from bundler.content.streams import BUFFER_SIZE, read_chunks
from bundler.oci import media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest, new_hasher
from bundler.ports import Capabilities
from bundler.transports.oci_layout.transport import add_images, create_index

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence, Set as AbstractSet
    from hashlib import _Hash
    from pathlib import Path

    from bundler.bundle.format.archive.layout import ArchiveLayout
    from bundler.content.streams import Content
    from bundler.ports import Node, Publication

_NO_FILES: Mapping[str, bytes] = MappingProxyType({})


class ArchiveOutput(Protocol):
    """The file or the files of a new archive; ``close`` discards what is not published."""

    path: Path

    def write(self, data: bytes | memoryview, offset: int) -> None:
        """Write all of ``data`` at ``offset``. Thread-safe."""

    def read(self, offset: int, size: int) -> bytes:
        """Read at most ``size`` bytes at ``offset``; fewer at the end of what was written."""

    def truncate(self, size: int) -> None:
        """Discard what was written from the offset ``size`` on."""

    def publish(self, size: int) -> None:
        """Make the archive of ``size`` bytes durable, and replace the former one."""

    def close(self) -> None:
        """Close the archive."""


class ArchiveContent:
    """The content of an archive that is written, which both destinations of archives know.

    ``arrange`` is called before the first ``push``. The manifests are part of the layout, so that
    none is pushed. ``has`` is thread-safe.
    """

    capabilities = Capabilities(
        media_types.BY_DIGEST, omits_foreign_layers=True, layers="compressed", keeps_blobs=False
    )
    index: Mapping[str, bytes] = _NO_FILES
    """``index.json`` with the images that were committed, by its name."""

    written: Descriptor | None = None
    """The whole file that was published, if it is encrypted; None: it is not."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.layout = layouts.ArchiveLayout.create({}, ())
        self._front: dict[str, int] = {}
        self._stored: dict[Digest, Digest] = {}
        """The sha256 of each stored blob."""

    @property
    def stored(self) -> AbstractSet[Digest]:
        """The digests of the stored blobs."""
        return self._stored.keys()

    @property
    def sums(self) -> dict[str, Digest]:
        """The sha256 of each stored file that SHA256SUMS may list, by path."""
        sums = {
            path: Digest.of(data)
            for path, data in self.layout.front.items()
            if bundle_paths.is_listed(path) or bundle_paths.is_plan(path)
        }
        return sums | {layouts.find_path(digest): own for digest, own in self._stored.items()}

    def arrange(self, layout: ArchiveLayout) -> None:
        """Set the layout; blobs without a place in it are dropped."""
        self.layout = layout
        self._stored = {
            digest: own for digest, own in self._stored.items() if digest in layout.places
        }
        self._front = {path: len(data) for path, data in layout.front.items()}

    def has(self, node: Node, /) -> bool:
        """Return whether ``node`` is stored."""
        if (digest := node.digest) is None:
            return False
        if digest in self._stored:
            return True
        size = self._front.get(layouts.find_path(digest))
        return size is not None and node.size in (None, size)

    def commit(self, images: Sequence[Publication], /) -> None:
        """Set ``index``; the archive is published by ``publish``.

        Raises:
            ConflictError: two images have the same name.
            IntegrityError: a root was not pushed.
        """
        index = add_images(create_index(self._path), images, self.has)
        self.index = {bundle_paths.INDEX: index.encode()}

    def _add_stored(self, digest: Digest, hasher: _Hash | None) -> None:
        """Record a stored blob; ``hasher`` has its sha256, unless that is its digest."""
        own = digest if hasher is None else Digest(f"sha256:{hasher.hexdigest()}")
        self._stored[digest] = own


class ArchiveDestination(ArchiveContent):
    """Destination that writes each blob to its place in a file, several at the same time.

    ``push`` is thread-safe. ``output`` is closed with it.
    """

    def __init__(self, output: ArchiveOutput) -> None:
        super().__init__(output.path)
        self._output = output

    @property
    def storage_path(self) -> Path:
        """The path of the archive."""
        return self._path

    def arrange(self, layout: ArchiveLayout) -> None:
        """Set the layout; blobs that are stored move to their new places.

        No blob moves towards the end, and those without a new place are dropped.

        Raises:
            NoSpaceError, MediumError: a blob cannot be moved.
        """
        for digest, place in layout.places.items():
            if digest not in self._stored:
                continue
            former = self.layout.places[digest]
            assert place.offset <= former.offset  # noqa: S101 - or it would overwrite the next one
            position = place.offset
            while position < place.end and place.offset < former.offset:
                size = min(place.end - position, BUFFER_SIZE)
                data = self._output.read(position + former.offset - place.offset, size)
                self._output.write(data.ljust(size, b"\0"), position)
                position += size
        self._output.truncate(layout.end)
        super().arrange(layout)

    def push(self, node: Node, content: Content, /) -> Descriptor:
        """Write a blob to its place.

        Raises:
            NoSpaceError, MediumError: it cannot be written.
        """
        assert node.digest is not None  # noqa: S101 - the layout has no other blobs
        place = self.layout.places[node.digest]
        hasher = None if node.digest.algorithm == "sha256" else new_hasher("sha256")
        position = place.start
        for chunk in read_chunks(content, content.size):
            self._output.write(chunk, position)
            position += len(chunk)
            if hasher is not None:
                hasher.update(chunk)
        stored = content.descriptor()
        self._output.write(layouts.pack_header(node.digest, place.size), place.offset)
        self._add_stored(node.digest, hasher)
        return Descriptor(node.media_type, stored.digest, stored.size)

    def publish(self, end: Mapping[str, bytes]) -> None:
        """Write the files of the front and those of the ``end``, and replace the former archive.

        Every blob of the layout must be stored.

        Raises:
            NoSpaceError, MediumError: it cannot be written; the former archive is unchanged.
        """
        position = 0
        for path, data in self.layout.front.items():
            member = layouts.pack_file(path, data)
            self._output.write(member, position)
            position += len(member)
        position = self.layout.end
        for path, data in end.items():
            member = layouts.pack_file(path, data)
            self._output.write(member, position)
            position += len(member)
        padding = bytes(-(position + len(END)) % layouts.RECORD)
        self._output.write(END + padding, position)
        self._output.publish(position + len(END) + len(padding))

    def close(self) -> None:
        """Close the archive; one that is not published is removed."""
        self._output.close()
