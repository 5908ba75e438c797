"""How an image reads that lies in a storage: its manifest names layers that are no longer there.

A storage keeps the manifest as it came, and its layers unpacked. What can be copied out is an
image of the same type whose layers are the uncompressed ones, by their diff ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bundler.errors import MalformedError
from bundler.gocompat import json_encoding
from bundler.oci import manifest, media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.json import strict
from bundler.oci.manifest import ImageManifest
from bundler.transports.containers_storage import storage as store
from bundler.transports.containers_storage.metadata import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bundler.transports.containers_storage.metadata import ImageRecord, LayerRecord
    from bundler.transports.containers_storage.storage import Storage

_ORDER = ("schemaVersion", "mediaType", "artifactType", "config", "layers", "subject")
_LAYER_TYPES = {
    media_types.OCI_MANIFEST: media_types.OCI_LAYER,
    media_types.DOCKER_MANIFEST: media_types.DOCKER_LAYER,
}


@dataclass(frozen=True, slots=True)
class ManifestAndDescriptor:
    """A manifest that can be read, and its descriptor."""

    root: Descriptor
    raw: bytes


def as_stored(storage: Storage, image: ImageRecord, digest: Digest | None) -> ManifestAndDescriptor:
    """The manifest that came with ``image``: the one of ``digest`` if that is kept, else the last.

    Raises:
        NotFoundError, IntegrityError: it cannot be read.
    """
    key = image.manifests.get(digest.text, MANIFEST) if digest else MANIFEST
    raw = storage.item(image, key)
    parsed = manifest.parse(raw, None, subject=_what(storage, image))
    return ManifestAndDescriptor(Descriptor(parsed.media_type, Digest.of(raw), len(raw)), raw)


def for_copy(
    storage: Storage, image: ImageRecord, layers: Mapping[str, LayerRecord]
) -> ManifestAndDescriptor:
    """The manifest of ``image`` with the layers that can be read here.

    It is the one that is stored, byte for byte, where that names them already.

    Raises:
        MalformedError: manifest and layers do not belong together.
    """
    what = _what(storage, image)
    stored = as_stored(storage, image, None)
    parsed = manifest.parse(stored.raw, stored.root.media_type, subject=what)
    if not isinstance(parsed, ImageManifest):
        raise MalformedError(f"{what}: its own manifest is a {parsed.media_type}")
    readable = [_descriptor(layer, parsed, what) for layer in store.chain(storage, image, layers)]
    if len(readable) != len(parsed.layers):
        raise MalformedError(
            f"{what}: it names {len(parsed.layers)} layers, and {len(readable)} are stored"
        )
    if [layer.digest for layer in readable] == [layer.digest for layer in parsed.layers]:
        return stored
    raw = _with_layers(parsed, readable, what)
    return ManifestAndDescriptor(Descriptor(parsed.media_type, Digest.of(raw), len(raw)), raw)


def _what(storage: Storage, image: ImageRecord) -> str:
    return f"{storage.what}: image {image.id}"


def _descriptor(layer: LayerRecord, parsed: ImageManifest, what: str) -> Descriptor:
    if layer.diff_digest is None or layer.diff_size < 0:
        raise MalformedError(f"{what}: layer {layer.id} does not say what its tar was")
    return Descriptor(_LAYER_TYPES[parsed.media_type], Digest(layer.diff_digest), layer.diff_size)


def _with_layers(parsed: ImageManifest, layers: Sequence[Descriptor], what: str) -> bytes:
    """The manifest anew, its members in the order in which containers/image writes them."""
    value: dict[str, Any] = strict.load_object(parsed.raw, subject=what)
    value["layers"] = [
        {"mediaType": layer.media_type, "digest": layer.digest.text, "size": layer.size}
        if parsed.media_type == media_types.OCI_MANIFEST
        else {"mediaType": layer.media_type, "size": layer.size, "digest": layer.digest.text}
        for layer in layers
    ]
    if parsed.media_type == media_types.DOCKER_MANIFEST:
        value["config"] = _docker_order(value["config"])
    known = {key: value[key] for key in _ORDER if key in value}
    return json_encoding.dumps(known | value)


def _docker_order(config: dict[str, Any]) -> dict[str, Any]:
    first = {key: config[key] for key in ("mediaType", "size", "digest") if key in config}
    return first | config
