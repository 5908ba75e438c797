"""What an image consists of, told as an event before anything moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.events import ImageResolved, ResolvedImage
from bundler.oci import manifest
from bundler.oci.manifest import ImageManifest, Index, Manifest
from bundler.oci.schema1.manifest import Schema1

if TYPE_CHECKING:
    from bundler.copy.graph import Graph, GraphManifest
    from bundler.oci.digest import Digest


def create_resolved_event(graph: Graph) -> ImageResolved:
    """The images of ``graph``, in the order of the list that its root is, if it is one.

    Of a list within a list the images stand where that list has its place.
    """
    items = {item.descriptor.digest: item for item in graph.manifests}
    root = _parsed(items[graph.root.digest])
    if not isinstance(root, Index):
        return ImageResolved((_image(graph.root.digest, root),))
    return ImageResolved(tuple(_images(root, items)), len(root.manifests))


def _images(index: Index, items: dict[Digest, GraphManifest]) -> list[ResolvedImage]:
    found = []
    for entry in index.manifests:
        if entry.digest not in items:
            continue  # a platform that stays away
        parsed = _parsed(items[entry.digest])
        if isinstance(parsed, Index):
            found += _images(parsed, items)
        else:
            found.append(_image(entry.digest, parsed))
    return found


def _image(digest: Digest, parsed: ImageManifest | Schema1) -> ResolvedImage:
    if isinstance(parsed, Schema1):
        return ResolvedImage(digest.text, "", tuple(blob.text for blob in parsed.blobs))
    config = parsed.config.digest.text
    return ResolvedImage(digest.text, config, tuple(layer.digest.text for layer in parsed.layers))


def _parsed(item: GraphManifest) -> Manifest:
    return manifest.parse(item.raw, item.descriptor.media_type)
