"""The files of an image: those of all layers together, or of a single layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.audit.layers.file_tree import File, FileTree
from bundler.bundle.audit.layers.scan import hash_members, list_layer, read_member
from bundler.errors import UnsupportedError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from bundler.bundle.audit.layers.scan import LayerListing
    from bundler.cancel import Cancellation
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import ImageManifest
    from bundler.ports import Source


class ImageFiles:
    """The layers of one image; each is read when its files are requested. For one thread."""

    def __init__(self, source: Source, image: ImageManifest, cancellation: Cancellation) -> None:
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
        return list_layer(self._source, self.layers[number - 1], self._cancellation)

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
