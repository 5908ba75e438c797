"""Create the event that lists the images and layers of a graph before anything is copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.events import ImageResolved, ResolvedImage
from bundler.oci import manifest
from bundler.oci.manifest import Index
from bundler.oci.schema1.manifest import Schema1

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bundler.copy.graph import Graph
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import Manifest


def create_resolved_event(graph: Graph) -> ImageResolved:
    """Return an event with the images of ``graph``, in the order of the index.

    The images of a nested index take the place of that index.
    """
    manifests = {
        item.descriptor.digest: manifest.parse(item.raw, item.descriptor.media_type)
        for item in graph.manifests
    }
    root = manifests[graph.root.digest]
    listed = len(root.manifests) if isinstance(root, Index) else None
    return ImageResolved(tuple(_list_images(graph.root.digest, manifests)), listed)


def _list_images(digest: Digest, manifests: Mapping[Digest, Manifest]) -> Iterator[ResolvedImage]:
    parsed = manifests.get(digest)
    match parsed:
        case None:
            pass  # not selected
        case Index():
            for child in parsed.manifests:
                yield from _list_images(child.digest, manifests)
        case Schema1():
            yield ResolvedImage(digest.text, "", tuple(blob.text for blob in parsed.blobs))
        case _:
            layers = tuple(layer.digest.text for layer in parsed.layers)
            yield ResolvedImage(digest.text, parsed.config.digest.text, layers)
