"""Convert manifests, configs and indexes between Docker's and OCI's formats.

The bytes equal those of the containers/image library, which most tools use, so that every tool
computes the same digests. Members that the new format does not have are dropped.

    Docker config ──to_oci_config──▶ OCI config ──to_docker_config──▶ the same bytes
    manifest ──to_oci_manifest, to_docker_manifest, replace_layers──▶ with converted layers
    index ──to_oci_index, to_docker_list──▶ with converted images

https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md
https://distribution.github.io/distribution/spec/manifest-v2-2/
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bundler.errors import CannotConvertError
from bundler.gocompat import json_encoding
from bundler.gocompat.values import to_plain
from bundler.oci import go_structs, media_types
from bundler.oci.json.table import Table
from bundler.oci.manifest import ImageConfig, Schema1
from bundler.oci.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bundler.oci.descriptor import Descriptor
    from bundler.oci.manifest import ImageManifest, Index

_NO_PLATFORM = Platform("", "")


def to_oci_config(raw: bytes, *, subject: str) -> bytes:
    """Convert a Docker config to an OCI config.

    Raises:
        LimitError: the config is larger or deeper than allowed.
        MalformedError: it is not an image config.
    """
    return json_encoding.dumps(to_plain(go_structs.parse_image(raw, subject=subject)[0]))


def to_docker_config(raw: bytes, *, subject: str) -> bytes:
    """Convert an OCI config to a Docker config; the bytes are the same.

    Every member of an OCI config has the same meaning in a Docker config.

    Raises:
        LimitError: the config is larger or deeper than allowed.
        MalformedError: it is not an image config.
    """
    ImageConfig.parse(raw, subject=subject)
    return raw


def to_oci_manifest(
    manifest: ImageManifest | Schema1, config: Descriptor, layers: Sequence[Descriptor]
) -> bytes:
    """Create the OCI manifest of an image.

    Args:
        manifest: the old manifest.
        config: the new config.
        layers: the converted layers, in their order, with their new media types.

    Raises:
        CannotConvertError: an OCI manifest cannot list layers of this type.
    """
    if manifest.media_type == media_types.OCI_MANIFEST and not isinstance(manifest, Schema1):
        return _edit_oci_manifest(manifest, config, layers)
    entries = list(layers)
    if not isinstance(manifest, Schema1):
        for position, (layer, old) in enumerate(zip(layers, manifest.layers, strict=True)):
            # Docker manifests do not specify annotations; only new ones are kept.
            kept = {} if layer.annotations == old.annotations else layer.annotations
            entries[position] = replace(layer, artifact_type=None, platform=None, annotations=kept)
    _check_layers(layers, media_types.OCI_LAYERS, "an OCI manifest")
    encoded = [_encode_oci(entry) for entry in entries]
    return _encode(media_types.OCI_MANIFEST, {"config": _encode_oci(config), "layers": encoded})


def to_docker_manifest(
    manifest: ImageManifest | Schema1,  # noqa: ARG001 - the signature of to_oci_manifest
    config: Descriptor,
    layers: Sequence[Descriptor],
) -> bytes:
    """Create the Docker manifest (schema 2) of an image; see ``to_oci_manifest``."""
    _check_layers(layers, media_types.DOCKER_LAYERS, "a Docker manifest")
    encoded = [_encode_docker(layer) for layer in layers]
    return _encode(
        media_types.DOCKER_MANIFEST, {"config": _encode_docker(config), "layers": encoded}
    )


def replace_layers(
    manifest: ImageManifest, config: Descriptor, layers: Sequence[Descriptor]
) -> bytes:
    """Create a manifest in the same format with another config and other layers.

    Raises:
        CannotConvertError: the format cannot list layers of this type.
    """
    if manifest.media_type == media_types.OCI_MANIFEST:
        return _edit_oci_manifest(manifest, config, layers)
    return to_docker_manifest(manifest, config, layers)


def to_oci_index(index: Index, children: Sequence[Descriptor]) -> bytes:
    """Create the OCI index of ``children``, the converted entries of ``index`` in their order.

    Entries of a Docker list keep only their platforms.
    """
    if index.media_type == media_types.OCI_INDEX:
        value: dict[str, Any] = json.loads(index.raw)
        pairs = zip(children, value["manifests"], strict=True)
        members = {
            **_select_present(value, "artifactType"),
            "manifests": [_encode_oci(child, old) for child, old in pairs],
            **_encode_subject_and_annotations(index, value),
        }
        return _encode(media_types.OCI_INDEX, members)
    entries = [
        replace(child, annotations={}, artifact_type=None, platform=child.platform or _NO_PLATFORM)
        for child in children
    ]
    return _encode(media_types.OCI_INDEX, {"manifests": list(map(_encode_oci, entries))})


def to_docker_list(index: Index, children: Sequence[Descriptor]) -> bytes:
    """Create a Docker manifest list; see ``to_oci_index``.

    Raises:
        CannotConvertError: an entry of an OCI index has no platform.
    """
    from_docker = index.media_type == media_types.DOCKER_LIST
    entries: list[dict[str, Any]] = []
    old_entries = json.loads(index.raw)["manifests"]
    for position, (child, old) in enumerate(zip(children, old_entries, strict=True)):
        platform = child.platform or (_NO_PLATFORM if from_docker else None)
        if platform is None:
            raise CannotConvertError(
                f"entry {child.digest} of the index cannot be listed in a Docker manifest list",
                reason="it has no platform",
                hint="select images with --platform, or keep the OCI format",
            )
        members = platform.to_json()
        if from_docker:  # only Docker's platforms have features
            table = Table(old.get("platform") or {}, f"manifests[{position}]: platform")
            features = table.texts("features")
            members |= {"features": list(features)} if features else {}
        entries.append(_encode_docker(child) | {"platform": members})
    return _encode(media_types.DOCKER_LIST, {"manifests": entries})


def _edit_oci_manifest(
    manifest: ImageManifest, config: Descriptor, layers: Sequence[Descriptor]
) -> bytes:
    """Create the manifest with the new config and layers; keep its members that OCI specifies."""
    value: dict[str, Any] = json.loads(manifest.raw)
    old_config = value["config"] if config == manifest.config else {}
    entries = [replace(layer, platform=None, artifact_type=None) for layer in layers]
    return json_encoding.dumps(
        {
            "schemaVersion": 2,
            **_select_present(value, "mediaType", "artifactType"),
            "config": _encode_oci(config, old_config),
            "layers": [_encode_oci(entry) for entry in entries],
            **_encode_subject_and_annotations(manifest, value),
        }
    )


def _encode(media_type: str, members: dict[str, Any]) -> bytes:
    return json_encoding.dumps({"schemaVersion": 2, "mediaType": media_type, **members})


def _encode_subject_and_annotations(
    manifest: ImageManifest | Index, value: dict[str, Any]
) -> dict[str, Any]:
    members: dict[str, Any] = {}
    if manifest.subject is not None:
        members["subject"] = _encode_oci(manifest.subject, value["subject"])
    if manifest.annotations:
        members["annotations"] = dict(sorted(manifest.annotations.items()))
    return members


def _encode_oci(descriptor: Descriptor, old: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Encode a descriptor, with the embedded ``data`` of the ``old`` one."""
    value = descriptor.to_json()
    last = {key: value.pop(key) for key in ("platform", "artifactType") if key in value}
    return value | _select_present(old or {}, "data") | last


def _encode_docker(descriptor: Descriptor) -> dict[str, Any]:
    value: dict[str, Any] = {
        "mediaType": descriptor.media_type,
        "size": descriptor.size,
        "digest": descriptor.digest.text,
    }
    return value | ({"urls": list(descriptor.urls)} if descriptor.urls else {})


def _check_layers(layers: Sequence[Descriptor], known: Collection[str], format_name: str) -> None:
    for layer in layers:
        if layer.media_type not in known:
            raise CannotConvertError(
                f"layer {layer.digest}: {layer.media_type} cannot be listed in {format_name}",
                reason="that format does not have this layer type",
            )


def _select_present(value: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value[key] for key in keys if value.get(key)}
