"""The files of an image: those of all layers together, or of a single layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.audit.layers.file_tree import File, FileTree
from bundler.bundle.audit.layers.scan import hash_members, list_layer, read_member
from bundler.bundle.audit.layers.verify_layer import verify_layer
from bundler.errors import IntegrityError, UnsupportedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from bundler.bundle.audit.layers.contents_cache import ContentsCache
    from bundler.bundle.audit.layers.scan import LayerListing
    from bundler.cancel import Cancellation
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import ImageManifest
    from bundler.ports import Source


MAX_CACHED = 500_000
"""The maximum number of members in a cache of listings; about 200 MB."""


class ListingCache:
    """Listings of layers that several images may share; limited in size. For one thread."""

    def __init__(self) -> None:
        self._listings: dict[Digest, LayerListing] = {}
        self._members = 0

    def get(self, digest: Digest) -> LayerListing | None:
        """Return the listing of a layer; None if it is not known."""
        return self._listings.get(digest)

    def put(self, listing: LayerListing) -> None:
        """Keep a listing; if the cache is full, the oldest ones are forgotten."""
        self._listings[listing.digest] = listing
        self._members += len(listing.members)
        while self._members > MAX_CACHED:
            oldest = self._listings.pop(next(iter(self._listings)))
            self._members -= len(oldest.members)


class ImageFiles:
    """The layers of one image; each is read when its files are requested. For one thread.

    ``cache`` has listings of layers that this image may share; None: every layer is read.
    ``kept`` has those of former commands, whose layers are verified, but not decompressed.
    """

    def __init__(
        self,
        source: Source,
        image: ImageManifest,
        cancellation: Cancellation,
        cache: ListingCache | None = None,
        kept: ContentsCache | None = None,
    ) -> None:
        self._cache = cache
        self._kept = kept
        self._source = source
        self._cancellation = cancellation
        self.layers = image.layers

    def list_layer(self, number: int) -> LayerListing:
        """List the members of one layer; the lowest has the number 1.

        Raises:
            UsageError: the image has no such layer.
        """
        if not 1 <= number <= len(self.layers):
            raise UsageError(f"no layer {number} (the image has {len(self.layers)})")
        layer = self.layers[number - 1]
        listing = None if self._cache is None else self._cache.get(layer.digest)
        if listing is None:
            listing = self._load(layer)
            if listing is None:
                listing = list_layer(self._source, layer, self._cancellation)
                if self._kept is not None:
                    self._kept.store_listing(listing)
            if self._cache is not None:
                self._cache.put(listing)
        return listing

    def _load(self, layer: Descriptor) -> LayerListing | None:
        """Return the kept listing of a layer that is as its digest states; None if unknown."""
        listing = None if self._kept is None else self._kept.load_listing(layer.digest)
        if listing is not None:
            try:
                verify_layer(self._source, layer, self._cancellation)
            except IntegrityError:
                return None  # the error is that of a layer whose listing is not kept
        return listing

    def read_tree(self) -> FileTree:
        """Read all layers; return their files together."""
        tree = FileTree()
        for number in range(1, len(self.layers) + 1):
            tree.add(self.list_layer(number))
        return tree

    def find(self, path: str, *, layer: int | None = None) -> File:
        """Return the file at ``path``, in all layers together, or in one layer by its number.

        Raises:
            NotFoundError: it does not exist.
        """
        if layer is None:
            return self.read_tree().find(path)
        tree = FileTree()
        tree.add(self.list_layer(layer))
        return tree.find(path)

    def hash_members(self, layer: Digest, positions: Collection[int]) -> dict[int, Digest]:
        """Return the digests of the members at ``positions`` of a layer, which is read once."""
        descriptor = next(item for item in self.layers if item.digest == layer)
        return hash_members(self._source, descriptor, positions, self._cancellation)

    def read_file(self, file: File, write: Callable[[memoryview], object]) -> None:
        """Pass the content of a file to ``write``, then verify the layer that contains it.

        Raises:
            UnsupportedError: it is not a regular file.
        """
        if file.member.kind != "file":
            raise UnsupportedError(f"{file.path}: not a regular file, but a {file.member.kind}")
        layer = next(item for item in self.layers if item.digest == file.layer)
        read_member(self._source, layer, file.member.position, write, self._cancellation)
