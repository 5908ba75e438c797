"""A bundle's blobs and manifests as a place that the engine can write and read, in both formats.

In format ``oci`` a name is the full reference; in format ``dir`` it is the directory of the
image's root. Either way what refers to an image lies beside it as a further root.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, TypeVar

from bundler.bundle.format import directory as layout
from bundler.copy.plan import Target
from bundler.copy.platform_selection import EVERYTHING, Selection
from bundler.errors import (
    DamagedBundleError,
    InvalidReferenceError,
    NotFoundError,
)
from bundler.oci.descriptor import ANNOTATION_CONTAINERD_NAME
from bundler.oci.digest import Digest
from bundler.oci.platform import Platform
from bundler.oci.reference import ImageReference
from bundler.ports import Capabilities, Destination, Holdings, TagResolver
from bundler.transports.directory import tree
from bundler.transports.oci_layout import transport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bundler.bundle.format.inventory import BundledImage, Format, Inventory
    from bundler.content.streams.reader import Reader
    from bundler.copy.graph import ResolvedImage
    from bundler.oci.descriptor import Descriptor
    from bundler.ports import Node, OpenOptions, Publication, Source


HoldingsT = TypeVar("HoldingsT", bound=Holdings)


class WritableDirectory(Destination, TagResolver, Protocol):
    """A destination that says which names it has."""


class BundleDestination(Destination, TagResolver, Protocol):
    """A destination that adds a bundle's content beside that of the former one.

    Its ``commit`` makes the content durable, and leaves alone what makes the former bundle one.
    """

    @property
    def index(self) -> Mapping[str, bytes]:
        """The files that list what was committed, by their names; for the seal to write."""
        ...


def open_for_writing(directory: Path, kind: Format, options: OpenOptions) -> WritableDirectory:
    """Open ``directory``, made if it is not there, and lock it.

    Raises:
        LockedError: somebody else is writing there.
        MediumError: it cannot be made or written.
    """
    if kind == "dir":
        return tree.DirectoryTreeDestination(directory, options)
    return transport.LayoutDestination(directory, options)


def open_for_export(directory: Path, kind: Format, options: OpenOptions) -> BundleDestination:
    """As ``open_for_writing``, for content that becomes a bundle once it is sealed."""
    if kind == "dir":
        return _UnsealedTree(directory, options)
    return _UnsealedLayout(directory, options)


def open_for_reading(directory: Path, kind: Format) -> Source:
    """Open ``directory`` for reading."""
    if kind == "dir":
        return tree.DirectoryTreeSource(directory)
    return transport.LayoutSource(directory)


@dataclass(frozen=True, slots=True)
class BundleReference:
    """An image in a bundle: found by its root's digest, called by its reference."""

    reference: str
    root: Digest
    transport: str = "bundle"

    @property
    def name(self) -> str:
        """The digest."""
        return self.root.text

    def __str__(self) -> str:
        return self.reference


class BundleSource:
    """A bundle as the inventory describes it: roots are found there and nowhere else.

    A name is a root's digest, of an image or of what refers to one.
    """

    def __init__(self, bundle: Path, contents: Inventory) -> None:
        self._bundle = bundle
        self._holdings = DirectoryHoldings(bundle, contents.format)
        self._content = open_for_reading(bundle, contents.format)
        self._roots = {image.digest: image.root for image in contents.images}
        for image in contents.images:
            self._roots |= {item.digest: item.root for item in image.referrers}

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """The root whose digest is ``name``."""
        root = self._roots.get(Digest(name or ""))
        if root is None:
            raise NotFoundError(f"the inventory lists no {name}")
        return root

    def open(self, target: Node, /, offset: int = 0) -> AbstractContextManager[Reader]:
        """The bytes of ``target`` on the medium, unverified.

        Raises:
            DamagedBundleError: it is not there.
        """
        try:
            return self._content.open(target, offset)
        except NotFoundError as error:
            raise DamagedBundleError(
                f"{self._bundle}: damaged: {target.kind} {target.digest} is missing",
                [],
                hint=f"airbundle verify {self._bundle} names every damaged part",
            ) from error

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of a bundle."""
        return self._holdings.capabilities

    def has(self, target: Node, /) -> bool:
        """Whether ``target`` is in the bundle with its size."""
        return self._holdings.has(target)

    def close(self) -> None:
        """Let go of the medium."""
        self._content.close()


def selection(image: BundledImage) -> Selection:
    """What of a bundled index is in the bundle: all of it, unless it is sparse."""
    if image.index != "sparse":
        return EVERYTHING
    return Selection(tuple(Platform.parse(text) for text in image.platforms), "sparse")


def image_name(reference: str, root: Digest, kind: Format) -> str:
    """The name of an image in the bundle's place."""
    if kind == "dir":
        return layout.image_path(root)
    image = ImageReference.parse(reference)
    return _versioned(image, image.tag, root)


def name_in_index(image: BundledImage) -> str:
    """The name of an inventoried image in ``index.json``; its reference, if that is malformed."""
    try:
        return image_name(image.reference, image.digest, "oci")
    except InvalidReferenceError:
        return image.reference


def referrer_name(reference: str, root: Digest, tag: str | None, kind: Format) -> str:
    """The name of something that refers to the image ``reference``."""
    if kind == "dir":
        return layout.image_path(root)
    return _versioned(ImageReference.parse(reference), tag, root)


def target(image: ResolvedImage, destination: HoldingsT, kind: Format) -> Target[HoldingsT]:
    """Return the destination of ``image`` in the bundle, and its names there."""
    reference = image.label
    name = image_name(reference, image.graph.root.digest, kind)
    return Target(
        image,
        destination,
        (name,),
        {ANNOTATION_CONTAINERD_NAME: name} if kind == "oci" else {},
        {
            item.graph.root.digest: (
                referrer_name(reference, item.graph.root.digest, item.tag, kind),
            )
            for item in image.referrers
        },
    )


class _UnsealedLayout(transport.LayoutDestination):
    """Format ``oci``: blobs are named by their digests, so only ``index.json`` has to wait."""

    index: Mapping[str, bytes] = MappingProxyType({})

    def commit(self, images: Sequence[Publication], /) -> None:
        """Make what ``images`` need durable, and keep an index of them and no others."""
        self.index = {layout.INDEX: self.prepare(images)}


class _UnsealedTree(tree.DirectoryTreeDestination):
    """Format ``dir``: an image's directory is named by its root, so none of the former changes."""

    @property
    def index(self) -> Mapping[str, bytes]:
        """None: the images are their own directories."""
        return {}


class DirectoryHoldings:
    """The content of a bundle or target directory, by names and sizes; opens and locks nothing."""

    def __init__(self, directory: Path, kind: Format) -> None:
        self._directory = directory
        self._sizes = _find_sizes_in_tree(directory) if kind == "dir" else None

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the directory as a destination."""
        return Capabilities(foreign_urls=self._sizes is None)

    def has(self, target: Node, /) -> bool:
        """Whether a plain file of that name and size exists."""
        if target.digest is None:
            return False
        if self._sizes is not None:
            return self._sizes.get(target.digest) == target.size
        try:
            found = os.lstat(self._directory / layout.blob_path(target.digest))
        except OSError:
            return False
        return stat.S_ISREG(found.st_mode) and found.st_size == target.size


def _versioned(image: ImageReference, tag: str | None, root: Digest) -> str:
    return f"{image.repository}:{tag}" if tag else f"{image.repository}@{root}"


def _find_sizes_in_tree(directory: Path) -> dict[Digest, int]:
    """Return the sizes of the blobs of all images in a tree of ``dir:`` images."""
    if not (directory / layout.IMAGES).is_dir():
        return {}
    sizes = {}
    for entry in layout.find(directory).entries.values():
        digest = layout.digest_in_name(entry.path)
        if digest is not None and entry.kind == "file":
            sizes[digest] = entry.size
    return sizes
