"""Absent layers: foreign layers of an image that are not in its bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bundler.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bundler.oci.json.table import Table
    from bundler.ports import Node

_MAX_LAYERS = 10_000
_MAX_URLS = 8
_MAX_URL = 2048


def from_nodes(nodes: Iterable[Node]) -> tuple[Descriptor, ...]:
    """Return the descriptors of absent layers, each once, with the URLs that can be printed."""
    return from_descriptors(
        Descriptor(node.media_type, node.digest, node.size or 0, node.urls)
        for node in nodes
        if node.digest is not None
    )


def from_descriptors(descriptors: Iterable[Descriptor]) -> tuple[Descriptor, ...]:
    """Return absent layers, each once, with the URLs that can be printed."""
    layers = {}
    for item in descriptors:
        short = (url for url in item.urls if len(url) <= _MAX_URL)
        urls = [url for url in short if url.isascii() and url.isprintable()][:_MAX_URLS]
        layers[item.digest] = Descriptor(item.media_type, item.digest, item.size, tuple(urls))
    return tuple(layers.values())


def from_json(table: Table) -> tuple[Descriptor, ...]:
    """Read the member ``absentLayers`` of an image; raises as ``Descriptor.from_json``."""
    entries = table.tables("absentLayers", _MAX_LAYERS)
    return from_descriptors(map(Descriptor.from_json, entries))


def to_json(layer: Descriptor) -> dict[str, Any]:
    """Return an entry of ``absentLayers``."""
    value: dict[str, Any] = {
        "digest": layer.digest.text,
        "mediaType": layer.media_type,
        "size": layer.size,
    }
    return value | ({"urls": list(layer.urls)} if layer.urls else {})


def describe(layer: Descriptor) -> str:
    """Describe a layer for a message: its digest, its size and its URLs without their queries."""
    from bundler.registry.auth.origin import redact  # noqa: PLC0415 - only if a layer is absent

    urls = " or ".join(map(redact, layer.urls)) or "no URL"
    return f"foreign layer {layer.digest}, {layer.size:,} bytes ({urls})"
