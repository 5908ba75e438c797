"""Manifests of stored images.

A storage keeps the original manifest of an image, but stores its layers unpacked. When the image is
read, its manifest is rewritten to list the uncompressed layers; the media type does not change.
"""

from __future__ import annotations

from dataclasses import replace
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
    from collections.abc import Mapping

    from bundler.oci.manifest import Manifest
    from bundler.transports.containers_storage.metadata import ImageRecord, LayerRecord
    from bundler.transports.containers_storage.storage import Storage

_ORDER = ("schemaVersion", "mediaType", "artifactType", "config", "layers", "subject")
_LAYER_TYPES = {
    media_types.OCI_MANIFEST: media_types.OCI_LAYER,
    media_types.DOCKER_MANIFEST: media_types.DOCKER_LAYER,
}


def describe(stored: Manifest) -> Descriptor:
    """Return the descriptor of a manifest."""
    return Descriptor(stored.media_type, Digest.of(stored.raw), len(stored.raw))


def read_stored_manifest(
    storage: Storage, image: ImageRecord, digest: Digest | None = None
) -> Manifest:
    """Read the original manifest ``digest`` of ``image``, or the latest one.

    Raises:
        NotFoundError, MalformedError: the manifest cannot be read.
    """
    key = image.manifests.get(digest.text, MANIFEST) if digest else MANIFEST
    subject = f"{storage.subject}: image {image.id}"
    return manifest.parse(storage.read_item(image, key), None, subject=subject)


def create_readback_manifest(
    storage: Storage, image: ImageRecord, layers: Mapping[str, LayerRecord]
) -> ImageManifest:
    """Create the manifest of ``image`` with uncompressed layers.

    The stored manifest is returned unchanged if its layers are already uncompressed.

    Raises:
        MalformedError: the manifest does not match the stored layers.
    """
    subject = f"{storage.subject}: image {image.id}"
    stored = read_stored_manifest(storage, image)
    if not isinstance(stored, ImageManifest):
        raise MalformedError(
            f"{subject}: unexpected media type of the manifest: {stored.media_type}"
        )
    readable = []
    for layer in storage.list_layers_of(image, layers):
        if layer.diff_digest is None or layer.diff_size is None:
            raise MalformedError(f"{subject}: layer {layer.id} has no recorded digest")
        media_type = _LAYER_TYPES[stored.media_type]
        readable.append(Descriptor(media_type, Digest(layer.diff_digest), layer.diff_size))
    if len(readable) != len(stored.layers):
        raise MalformedError(
            f"{subject}: wrong number of stored layers "
            f"(expected {len(stored.layers)}, got {len(readable)})"
        )
    if [layer.digest for layer in readable] == [layer.digest for layer in stored.layers]:
        return stored
    # The order of members is that of containers/image, so that the digests are equal.
    value: dict[str, Any] = strict.load_object(stored.raw, subject=subject)
    is_oci = stored.media_type == media_types.OCI_MANIFEST
    order = ("mediaType", "digest", "size") if is_oci else ("mediaType", "size", "digest")
    value["layers"] = [{key: layer.to_json()[key] for key in order} for layer in readable]
    if not is_oci:
        config = value["config"]
        value["config"] = {key: config[key] for key in order if key in config} | config
    known = {key: value[key] for key in _ORDER if key in value}
    return replace(stored, raw=json_encoding.dumps(known | value), layers=tuple(readable))
