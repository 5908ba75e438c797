"""The destination with which the engine writes a bundle; ``bundle_source`` is the source.

In format ``oci`` a name is the full reference of an image; in format ``dir`` it is the directory
of the image's root. Referrers are stored beside their images as further roots.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeVar

from bundler.bundle.format import bundle_files, bundle_paths
from bundler.content.files.part_files import get_kept_name
from bundler.content.files.safe_directory import Directory
from bundler.copy.planned_image import PlannedImage
from bundler.errors import BundlerError
from bundler.oci.descriptor import ANNOTATION_CONTAINERD_NAME
from bundler.ports import Capabilities, Destination, Holdings, TagResolver
from bundler.transports.oci_layout import transport

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bundler.bundle.format.inventory import BundledImage, BundledReferrer, Format
    from bundler.content.files.safe_directory import RegularFile
    from bundler.content.streams import Content, Reader
    from bundler.copy.image import Graph, ResolvedImage
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import Node, Publication


HoldingsT = TypeVar("HoldingsT", bound=Holdings)


class WritableDirectory(Destination, TagResolver, Protocol):
    """A destination directory that can also resolve its names."""


def open_for_writing(
    directory: Path,
    bundle_format: Format,
    *,
    unsealed: bool = False,
    may_copy: bool = False,
    largest: int | None = None,
) -> WritableDirectory:
    """Open ``directory``, created if it does not exist, and lock it.

    Args:
        directory: the directory.
        bundle_format: the format to write.
        unsealed: ``commit`` makes the content durable, and leaves a former bundle unchanged.
        may_copy: in format ``dir``, copy shared blobs where hard links are not possible.
        largest: with ``unsealed``, store larger blobs in parts of at most this many bytes.

    Raises:
        LockedError: another process is writing there.
        MediumError: it cannot be created or written.
    """
    if bundle_format == "dir":  # named by the digest of the root, so none is replaced
        from bundler.transports.directory.tree import DirectoryTreeDestination  # noqa: PLC0415

        return DirectoryTreeDestination(directory, may_copy=may_copy)
    if not unsealed:
        return transport.LayoutDestination(directory)
    return _UnsealedLayout(directory, largest)


def get_part_digests(destination: WritableDirectory) -> Mapping[str, Digest]:
    """Return the sha256 of the blob parts that were written to ``destination``, by path."""
    return destination.part_digests if isinstance(destination, _UnsealedLayout) else {}


def get_index_files(destination: WritableDirectory) -> Mapping[str, bytes]:
    """Return the files that list the images that were committed to ``destination``, by name.

    The seal writes them. Format ``dir`` has none.
    """
    return destination.index if isinstance(destination, _UnsealedLayout) else {}


def format_name(
    image: BundledImage, bundle_format: Format, referrer: BundledReferrer | None = None
) -> str:
    """Return the name in the bundle of ``image``, or of one of its referrers."""
    root, tag = (
        (image.digest, image.reference.tag) if referrer is None else (referrer.digest, referrer.tag)
    )
    if bundle_format == "dir":
        return bundle_paths.find_image_path(root)
    repository = image.reference.repository
    return f"{repository}:{tag}" if tag else f"{repository}@{root}"


def list_paths(graph: Graph, bundle_format: Format) -> set[str]:
    """Return the paths in the bundle of all content of an image or a referrer."""
    root = graph.root.digest
    paths = {
        bundle_paths.find_path(bundle_format, root, item.descriptor.digest, manifest=True)
        for item in graph.manifests
    }
    paths |= {
        bundle_paths.find_path(bundle_format, root, node.digest, manifest=False)
        for node in graph.blobs
        if node.digest is not None
    }
    return paths if bundle_format == "oci" else paths | {bundle_paths.find_version_path(root)}


def create_planned_image(
    listed: BundledImage,
    image: ResolvedImage,
    destination: HoldingsT,
    bundle_format: Format,
    presupposed: Collection[Digest] = (),
) -> PlannedImage[HoldingsT]:
    """Create the target of ``image`` in a bundle whose inventory describes it as ``listed``.

    The ``presupposed`` blobs are left out. Its signatures are separate files of the bundle, which
    the export itself writes.
    """
    name = format_name(listed, bundle_format)
    return PlannedImage(
        replace(image, signatures={}),
        destination,
        (name,),
        {ANNOTATION_CONTAINERD_NAME: name} if bundle_format == "oci" else {},
        {item.digest: (format_name(listed, bundle_format, item),) for item in listed.referrers},
        fixed_reason="an export does not convert images",
        presupposed=presupposed,
    )


class _UnsealedLayout(transport.LayoutDestination):
    """Destination in format ``oci`` that does not write ``index.json``, a file of the seal.

    Blobs of more than ``largest`` bytes are stored in parts, see ``blob_parts``.
    """

    index: Mapping[str, bytes] = MappingProxyType({})

    def __init__(self, path: Path, largest: int | None) -> None:
        super().__init__(path)
        self._largest = largest
        self.part_digests: dict[str, Digest] = {}
        """The sha256 of the blob parts that were written, by path."""

    def has(self, node: Node, /) -> bool:
        """Return whether the blob exists with its size, as one file or in parts."""
        return super().has(node) or (
            self._needs_parts(node) and sum(self._list_part_sizes(node)) == node.size
        )

    def open(self, node: Node, /, offset: int = 0) -> AbstractContextManager[Reader]:
        """Open a blob, which may be stored in parts."""
        if not self._needs_parts(node) or not (sizes := self._list_part_sizes(node)):
            return super().open(node, offset)
        from bundler.bundle.format.blob_parts import JoinedFile  # noqa: PLC0415 - rare

        assert node.digest is not None  # noqa: S101 - for mypy: it has parts
        folder, name = self.open_directory(node.digest.algorithm), node.digest.hex
        return JoinedFile(
            lambda number, start: folder.open_file(f"{name}.{number:03}", offset=start),
            sizes,
            offset,
        )

    def push(self, node: Node, content: Content, /) -> Descriptor:
        """Store a blob, in parts if it is too large for one file."""
        if not self._needs_parts(node) or self._largest is None:
            return super().push(node, content)
        from bundler.bundle.format import blob_parts  # noqa: PLC0415 - rare

        algorithm = node.digest.algorithm if node.digest else "sha256"
        folder = self.open_directory(algorithm)
        stored, digests = blob_parts.write(folder, content, self._largest)
        for name, digest in digests.items():
            self.part_digests[f"{bundle_paths.BLOBS}/{algorithm}/{name}"] = digest
        return replace(stored, media_type=node.media_type)

    def open_part(self, node: Node, /) -> RegularFile | None:
        """Open the stored beginning of a blob; None if there is none, or it needs parts."""
        return None if self._needs_parts(node) else super().open_part(node)

    def _needs_parts(self, node: Node) -> bool:
        return self._largest is not None and (node.size or 0) > self._largest

    def _list_part_sizes(self, node: Node) -> list[int]:
        """Return the sizes of the parts of a blob; none if it has none."""
        from bundler.bundle.format import blob_parts  # noqa: PLC0415 - rare

        if node.digest is None:
            return []
        return blob_parts.list_sizes(self.open_directory(node.digest.algorithm), node.digest.hex)

    def commit(self, images: Sequence[Publication], /) -> None:
        """Make the content durable; ``index`` then lists ``images`` and no others."""
        self.index = {bundle_paths.INDEX: self.prepare(images)}


class DirectoryHoldings:
    """The content of a bundle or target directory, found by file names and sizes.

    No file is locked, and no content is read.
    """

    def __init__(self, directory: Path, bundle_format: Format) -> None:
        self._directory = directory
        self._sizes: dict[Digest, int] | None = None
        if bundle_format == "dir":
            images = directory / bundle_paths.IMAGES
            entries = bundle_files.scan(directory).entries.values() if images.is_dir() else ()
            self._sizes = {
                digest: entry.size
                for entry in entries
                if entry.kind == "file"
                and (digest := bundle_paths.parse_digest(entry.path)) is not None
            }

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the directory as a destination."""
        return Capabilities(omits_foreign_layers=self._sizes is None)

    def check_names(self, names: Collection[str], /) -> None:
        """Check that no new image would be within the directory of another image.

        Raises:
            ConflictError: it would.
        """
        if self._sizes is not None:
            from bundler.transports.directory import tree_index  # noqa: PLC0415 - rarely needed

            tree_index.check_image_paths([tree_index.parse_image_path(name) for name in names])

    def has(self, node: Node, /) -> bool:
        """Whether a regular file with the name and size of ``node`` exists."""
        size = self.find_size(node)
        return size is not None and size == node.size

    def find_size(self, node: Node) -> int | None:
        """Return the size in bytes of the regular file of ``node``; None if there is none."""
        if node.digest is None:
            return None
        if self._sizes is not None:
            return self._sizes.get(node.digest)
        path = bundle_paths.find_path("oci", node.digest, node.digest, manifest=False)
        try:
            found = os.lstat(self._directory / path)
        except OSError:
            return self._find_size_of_parts(path)
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def _find_size_of_parts(self, path: str) -> int | None:
        size = None
        with suppress(OSError):
            for number in range(1_000):
                size = os.lstat(self._directory / f"{path}.{number:03}").st_size + (size or 0)
        return size

    def open_part(self, node: Node, /) -> RegularFile | None:
        """Open the stored beginning of a blob, as the destination does; None if there is none."""
        if (digest := node.digest) is None:
            return None
        if self._sizes is None:
            folder = f"{bundle_paths.BLOBS}/{digest.algorithm}"
        else:
            from bundler.transports.directory.staging import STAGING  # noqa: PLC0415 - format dir only

            folder = STAGING
        with suppress(BundlerError), Directory.open(self._directory) as directory:
            return directory.open_file(*folder.split("/"), get_kept_name(digest))
        return None
