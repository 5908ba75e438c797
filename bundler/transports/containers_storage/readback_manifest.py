"""Manifests of stored images.

A storage keeps the original manifest of an image, but stores its layers unpacked. When the image is
read, its manifest is rewritten: the media type stays, and its layers are the uncompressed ones.
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
    """The bytes of a manifest, and its descriptor."""

    descriptor: Descriptor
    raw: bytes


def read_stored_manifest(
    storage: Storage, image: ImageRecord, digest: Digest | None
) -> ManifestAndDescriptor:
    """Read the original manifest ``digest`` of ``image``, or the latest one.

    Raises:
        NotFoundError, MalformedError: the manifest cannot be read.
    """
    key = image.manifests.get(digest.text, MANIFEST) if digest else MANIFEST
    raw = storage.read_item(image, key)
    parsed = manifest.parse(raw, None, subject=f"{storage.subject}: image {image.id}")
    return ManifestAndDescriptor(Descriptor(parsed.media_type, Digest.of(raw), len(raw)), raw)


def create_readback_manifest(
    storage: Storage, image: ImageRecord, layers: Mapping[str, LayerRecord]
) -> ManifestAndDescriptor:
    """Create the manifest of ``image`` with uncompressed layers.

    The stored manifest is returned unchanged if its layers are uncompressed already.

    Raises:
        MalformedError: the manifest does not match the stored layers.
    """
    subject = f"{storage.subject}: image {image.id}"
    stored = read_stored_manifest(storage, image, None)
    parsed = manifest.parse(stored.raw, stored.descriptor.media_type, subject=subject)
    if not isinstance(parsed, ImageManifest):
        raise MalformedError(
            f"{subject}: unexpected media type of its manifest: {parsed.media_type}"
        )
    readable = []
    for layer in storage.list_layers_of(image, layers):
        if layer.diff_digest is None or layer.diff_size is None:
            raise MalformedError(f"{subject}: layer {layer.id} has no recorded digest")
        media_type = _LAYER_TYPES[parsed.media_type]
        readable.append(Descriptor(media_type, Digest(layer.diff_digest), layer.diff_size))
    if len(readable) != len(parsed.layers):
        raise MalformedError(
            f"{subject}: wrong number of stored layers "
            f"(expected {len(parsed.layers)}, got {len(readable)})"
        )
    if [layer.digest for layer in readable] == [layer.digest for layer in parsed.layers]:
        return stored
    raw = _replace_layers(parsed, readable, subject)
    return ManifestAndDescriptor(Descriptor(parsed.media_type, Digest.of(raw), len(raw)), raw)


def _replace_layers(parsed: ImageManifest, layers: Sequence[Descriptor], subject: str) -> bytes:
    """Encode a manifest with other layers, with members in the order of containers/image."""
    value: dict[str, Any] = strict.load_object(parsed.raw, subject=subject)
    is_oci = parsed.media_type == media_types.OCI_MANIFEST
    order = ("mediaType", "digest", "size") if is_oci else ("mediaType", "size", "digest")
    value["layers"] = [{key: layer.to_json()[key] for key in order} for layer in layers]
    if not is_oci:
        config = value["config"]
        value["config"] = {key: config[key] for key in order if key in config} | config
    known = {key: value[key] for key in _ORDER if key in value}
    return json_encoding.dumps(known | value)
