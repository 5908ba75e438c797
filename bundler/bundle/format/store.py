"""The source and the destination with which the engine reads and writes a bundle.

In format ``oci`` a name is the full reference of an image; in format ``dir`` it is the directory
of the image's root. Referrers are stored beside their images as further roots.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeVar

from bundler.bundle.format import bundle_paths
from bundler.content.files.part_files import get_kept_name
from bundler.content.files.safe_directory import Directory
from bundler.copy.image import ImageRequest, PinnedReferrer
from bundler.copy.planned_image import PlannedImage
from bundler.copy.platform_selection import EVERYTHING, PlatformSelection
from bundler.errors import BundlerError, DamagedBundleError, NotFoundError
from bundler.oci.descriptor import ANNOTATION_CONTAINERD_NAME
from bundler.oci.digest import Digest
from bundler.oci.platform import Platform
from bundler.ports import Capabilities, Destination, Holdings, TagResolver
from bundler.transports.oci_layout import transport

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bundler.bundle.format.image_signatures import StoredSignatures
    from bundler.bundle.format.inventory import BundledImage, BundledReferrer, Format, Inventory
    from bundler.content.files.safe_directory import RegularFile
    from bundler.content.streams import Reader
    from bundler.copy.image import Graph, ResolvedImage
    from bundler.oci.descriptor import Descriptor
    from bundler.ports import Node, Publication, Source


HoldingsT = TypeVar("HoldingsT", bound=Holdings)


class WritableDirectory(Destination, TagResolver, Protocol):
    """A destination directory that can also resolve its names."""


def open_for_writing(
    directory: Path, bundle_format: Format, *, unsealed: bool = False, may_copy: bool = False
) -> WritableDirectory:
    """Open ``directory``, created if it does not exist, and lock it.

    Args:
        directory: the directory.
        bundle_format: the format to write.
        unsealed: ``commit`` makes the content durable, and leaves a former bundle unchanged.
        may_copy: in format ``dir``, copy shared blobs where hard links are not possible.

    Raises:
        LockedError: another process is writing there.
        MediumError: it cannot be created or written.
    """
    if bundle_format == "dir":  # named by the digest of the root, so none is replaced
        from bundler.transports.directory.tree import DirectoryTreeDestination  # noqa: PLC0415

        return DirectoryTreeDestination(directory, may_copy=may_copy)
    return _UnsealedLayout(directory) if unsealed else transport.LayoutDestination(directory)


def get_index_files(destination: WritableDirectory) -> Mapping[str, bytes]:
    """Return the files that list the images that were committed to ``destination``, by name.

    The seal writes them. Format ``dir`` has none.
    """
    return destination.index if isinstance(destination, _UnsealedLayout) else {}


def open_for_reading(directory: Path, bundle_format: Format) -> Source:
    """Open ``directory`` for reading."""
    if bundle_format == "dir":
        from bundler.transports.directory.tree import DirectoryTreeSource  # noqa: PLC0415

        return DirectoryTreeSource(directory)
    return transport.LayoutSource(directory)


@dataclass(frozen=True, slots=True)
class BundleReference:
    """A reference to an image in a bundle: the digest of its root."""

    root: Digest
    transport: str = "bundle"

    @property
    def name(self) -> str:
        """The digest."""
        return self.root.text

    def __str__(self) -> str:
        return f"{self.transport}:{self.root}"


class BundleSource:
    """The images of a bundle: only roots that the inventory lists can be resolved.

    A name is the digest of a root, of an image or of a referrer. The signatures of a manifest are
    those that its referrers contain.
    """

    def __init__(self, bundle: Path, contents: Inventory) -> None:
        self._bundle = bundle
        self._format = contents.format
        self._holdings = DirectoryHoldings(bundle, contents.format)
        self._content = open_for_reading(bundle, contents.format)
        self._roots = {image.digest: image.root for image in contents.images}
        for image in contents.images:
            self._roots |= {item.digest: item.root for item in image.referrers}
        self._images = contents.images

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """Return the root whose digest is ``name``.

        Raises:
            NotFoundError: the inventory does not list it.
        """
        root = self._roots.get(Digest(name or ""))
        if root is None:
            raise NotFoundError(f"{name} is not listed in the inventory")
        return root

    def open(self, node: Node, /, offset: int = 0) -> AbstractContextManager[Reader]:
        """Open ``node`` on the medium, unverified.

        Raises:
            DamagedBundleError: it is missing.
        """
        try:
            return self._content.open(node, offset)
        except NotFoundError as error:
            raise DamagedBundleError(
                f"{self._bundle}: damaged",
                [f"{node.digest}: {node.kind} is missing"],
                hint=f"list the damaged files with airbundle verify {self._bundle}",
            ) from error

    def signatures(self, manifest: Digest, /) -> list[bytes]:
        """Return the signatures of a manifest, of referrers and of files, unverified.

        Raises:
            DamagedBundleError, IntegrityError: they are damaged or malformed.
            LimitError: there are too many, or they are too large.
        """
        from bundler.bundle.format import attached_signatures  # noqa: PLC0415 - for policies only

        files = self.signature_files.of_manifest(manifest)
        return [*files, *attached_signatures.read(self, self._attached.get(manifest, ()))]

    @cached_property
    def signature_files(self) -> StoredSignatures:
        """The signatures that are files of the bundle."""
        from bundler.bundle.format.image_signatures import StoredSignatures  # noqa: PLC0415 - rare

        return StoredSignatures(self._bundle, self._format, self._images)

    @cached_property
    def _attached(self) -> Mapping[Digest, Sequence[Descriptor]]:
        from bundler.bundle.format import attached_signatures  # noqa: PLC0415 - for policies only

        return attached_signatures.find_all(self._images)

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of a bundle."""
        return self._holdings.capabilities

    def has(self, node: Node, /) -> bool:
        """Whether the bundle contains ``node`` with its size."""
        return self._holdings.has(node)

    def find_size(self, node: Node) -> int | None:
        """Return the size of the file of ``node`` in bytes; None if there is none."""
        return self._holdings.find_size(node)

    def close(self) -> None:
        """Close the files on the medium."""
        self._content.close()


def create_request(image: BundledImage) -> ImageRequest:
    """Create the request for an image of a bundle and its referrers, for ``BundleSource``."""
    return ImageRequest(
        source=BundleReference(image.digest),
        reference=image.reference,
        selection=find_selection(image),
        referrers=tuple(PinnedReferrer(item.digest, item.tag) for item in image.referrers),
        expected_root=image.digest,
    )


def find_selection(image: BundledImage) -> PlatformSelection:
    """Return the selection of the platforms in the bundle: all, unless the index is sparse."""
    if image.index != "sparse":
        return EVERYTHING
    return PlatformSelection(tuple(Platform.parse(text) for text in image.platforms), "sparse")


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
    listed: BundledImage, image: ResolvedImage, destination: HoldingsT, bundle_format: Format
) -> PlannedImage[HoldingsT]:
    """Create the target of ``image`` in a bundle whose inventory describes it as ``listed``.

    Its signatures are separate files of the bundle, which the export itself writes.
    """
    name = format_name(listed, bundle_format)
    return PlannedImage(
        replace(image, signatures={}),
        destination,
        (name,),
        {ANNOTATION_CONTAINERD_NAME: name} if bundle_format == "oci" else {},
        {item.digest: (format_name(listed, bundle_format, item),) for item in listed.referrers},
        fixed_reason="an export does not convert images",
    )


class _UnsealedLayout(transport.LayoutDestination):
    """Destination in format ``oci`` that does not write ``index.json``, a file of the seal."""

    index: Mapping[str, bytes] = MappingProxyType({})

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
            entries = bundle_paths.scan(directory).entries.values() if images.is_dir() else ()
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
        try:
            path = bundle_paths.find_path("oci", node.digest, node.digest, manifest=False)
            found = os.lstat(self._directory / path)
        except OSError:
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

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
