"""Create the event that reports the images and layers of a graph before they are copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.events import ImageDigests, ImageResolved
from bundler.oci import manifest
from bundler.oci.graph_walk import Visit, walk
from bundler.oci.manifest import Index
from bundler.oci.schema1.manifest import Schema1

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.copy.graph import Graph
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.manifest import Kind


def create_resolved_event(graph: Graph) -> ImageResolved:
    """Create an event with the images of ``graph``, in the order of the index.

    The images of a nested index appear at the position of that index.
    """
    manifests = {
        item.descriptor.digest: manifest.parse(item.raw, item.descriptor.media_type)
        for item in graph.manifests
    }

    def list_children(visit: Visit) -> Sequence[tuple[Descriptor, Kind]]:
        parsed = manifests.get(visit.descriptor.digest)
        return manifest.list_children(parsed) if isinstance(parsed, Index) else ()

    images = []
    for visit in walk([graph.root], list_children):
        digest = visit.descriptor.digest
        parsed = manifests.get(digest)
        if isinstance(parsed, Schema1):
            blobs = tuple(blob.text for blob in parsed.blobs)
            images.append(ImageDigests(digest.text, "", blobs))
        elif parsed is not None and not isinstance(parsed, Index):
            layers = tuple(layer.digest.text for layer in parsed.layers)
            images.append(ImageDigests(digest.text, parsed.config.digest.text, layers))
    root = manifests[graph.root.digest]
    return ImageResolved(tuple(images), len(root.manifests) if isinstance(root, Index) else None)
