"""The destination with which the engine writes a bundle; ``bundle_source`` is the source.

In format ``oci`` a name is the full reference of an image; in format ``dir`` it is the directory
of the image's root. Referrers are stored beside their images as further roots.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar

from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.writing.unsealed_layout import UnsealedLayout
from bundler.copy.planned_image import PlannedImage
from bundler.oci.descriptor import ANNOTATION_CONTAINERD_NAME
from bundler.ports import Destination, Holdings, TagResolver
from bundler.transports.oci_layout import transport

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

    from bundler.bundle.format.inventory.inventory import BundledImage, BundledReferrer, Format
    from bundler.copy.image import Graph, ResolvedImage
    from bundler.oci.digest import Digest


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
    return UnsealedLayout(directory, largest)


def get_part_digests(destination: WritableDirectory) -> Mapping[str, Digest]:
    """Return the sha256 of the blob parts that were written to ``destination``, by path."""
    return destination.part_digests if isinstance(destination, UnsealedLayout) else {}


def get_index_files(destination: WritableDirectory) -> Mapping[str, bytes]:
    """Return the files that list the images that were committed to ``destination``, by name.

    The seal writes them. Format ``dir`` has none.
    """
    return destination.index if isinstance(destination, UnsealedLayout) else {}


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
