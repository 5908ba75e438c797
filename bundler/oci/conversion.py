"""Convert manifests, configs and indexes between Docker's and OCI's formats.

The bytes equal those of the containers/image library, which most tools use, so that all of them
create the same digests. Members that the new format does not have are dropped.

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
from bundler.oci import image_config, media_types
from bundler.oci.json.table import Table
from bundler.oci.platform import Platform
from bundler.oci.schema1.manifest import Schema1

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
    return json_encoding.dumps(to_plain(image_config.parse_struct(raw, subject=subject)[0]))


def to_docker_config(raw: bytes, *, subject: str) -> bytes:
    """Convert an OCI config to a Docker config: the bytes are the same.

    Every member of an OCI config has the same meaning in a Docker config.

    Raises:
        LimitError: the config is larger or deeper than allowed.
        MalformedError: it is not an image config.
    """
    image_config.parse(raw, subject=subject)
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
        CannotConvertError: OCI manifests have no layers of such a type.
    """
    if isinstance(manifest, Schema1):
        entries = list(layers)
    elif manifest.media_type == media_types.OCI_MANIFEST:
        return _edit_oci_manifest(manifest, config, layers)
    else:
        entries = [
            _drop_inherited_annotations(layer, old)
            for layer, old in zip(layers, manifest.layers, strict=True)
        ]
    _check_layers(layers, media_types.OCI_LAYERS, "an OCI manifest")
    return json_encoding.dumps(
        {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": _encode_oci(config),
            "layers": [_encode_oci(entry) for entry in entries],
        }
    )


def to_docker_manifest(
    manifest: ImageManifest | Schema1,  # noqa: ARG001 - the signature of to_oci_manifest
    config: Descriptor,
    layers: Sequence[Descriptor],
) -> bytes:
    """Create the Docker manifest (schema 2) of an image; see ``to_oci_manifest``."""
    _check_layers(layers, media_types.DOCKER_LAYERS, "a Docker manifest")
    return json_encoding.dumps(
        {
            "schemaVersion": 2,
            "mediaType": media_types.DOCKER_MANIFEST,
            "config": _encode_docker(config),
            "layers": [_encode_docker(layer) for layer in layers],
        }
    )


def replace_layers(
    manifest: ImageManifest, config: Descriptor, layers: Sequence[Descriptor]
) -> bytes:
    """Create a manifest in the same format with another config and other layers.

    Raises:
        CannotConvertError: the format has no layers of such a type.
    """
    if manifest.media_type == media_types.OCI_MANIFEST:
        return _edit_oci_manifest(manifest, config, layers)
    return to_docker_manifest(manifest, config, layers)


def to_oci_index(index: Index, children: Sequence[Descriptor]) -> bytes:
    """Create the OCI index of ``children``, the converted entries of ``index`` in their order.

    Of a Docker list only the platforms are kept.
    """
    if index.media_type == media_types.OCI_INDEX:
        return _edit_oci_index(index, children)
    entries = [
        replace(child, annotations={}, artifact_type=None, platform=child.platform or _NO_PLATFORM)
        for child in children
    ]
    return json_encoding.dumps(
        {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_INDEX,
            "manifests": [_encode_oci(entry) for entry in entries],
        }
    )


def to_docker_list(index: Index, children: Sequence[Descriptor]) -> bytes:
    """Create a Docker manifest list; see ``to_oci_index``.

    Raises:
        CannotConvertError: an entry of an OCI index has no platform.
    """
    default: Platform | None = None
    features: Sequence[dict[str, Any]] = [{} for _ in children]
    if index.media_type == media_types.DOCKER_LIST:
        default, features = _NO_PLATFORM, _read_docker_features(index)
    entries = [
        _encode_docker(child) | {"platform": _encode_platform(child, default) | more}
        for child, more in zip(children, features, strict=True)
    ]
    return json_encoding.dumps(
        {"schemaVersion": 2, "mediaType": media_types.DOCKER_LIST, "manifests": entries}
    )


def _edit_oci_manifest(
    manifest: ImageManifest, config: Descriptor, layers: Sequence[Descriptor]
) -> bytes:
    """Keep the members that OCI specifies for a manifest and for a layer."""
    value: dict[str, Any] = json.loads(manifest.raw)
    kept = value["config"] if config == manifest.config else {}
    entries = [replace(layer, platform=None, artifact_type=None) for layer in layers]
    return json_encoding.dumps(
        {
            "schemaVersion": 2,
            **_select_present(value, "mediaType", "artifactType"),
            "config": _encode_oci(config, kept),
            "layers": [_encode_oci(entry) for entry in entries],
            **_encode_subject_and_annotations(manifest, value),
        }
    )


def _edit_oci_index(index: Index, children: Sequence[Descriptor]) -> bytes:
    value: dict[str, Any] = json.loads(index.raw)
    return json_encoding.dumps(
        {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_INDEX,
            **_select_present(value, "artifactType"),
            "manifests": [
                _encode_oci(child, old)
                for child, old in zip(children, value["manifests"], strict=True)
            ],
            **_encode_subject_and_annotations(index, value),
        }
    )


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


def _encode_platform(child: Descriptor, default: Platform | None) -> dict[str, Any]:
    platform = child.platform or default
    if platform is None:
        raise CannotConvertError(
            f"the index's entry {child.digest} cannot be in a Docker list",
            reason="it names no platform",
            hint="select images with --platform, or keep the OCI format",
        )
    return platform.to_json()


def _read_docker_features(index: Index) -> list[dict[str, Any]]:
    """Return the member that only Docker's platforms have, for each entry."""
    found: list[dict[str, Any]] = []
    for position, item in enumerate(json.loads(index.raw)["manifests"]):
        platform = Table(item.get("platform") or {}, f"manifests[{position}]: platform")
        features = platform.texts("features")
        found.append({"features": list(features)} if features else {})
    return found


def _drop_inherited_annotations(layer: Descriptor, old: Descriptor) -> Descriptor:
    """Drop annotations that the layer had in the Docker manifest, which specifies none."""
    if layer.annotations == old.annotations:
        return replace(layer, annotations={}, artifact_type=None, platform=None)
    return replace(layer, artifact_type=None, platform=None)


def _check_layers(layers: Sequence[Descriptor], known: Collection[str], format_name: str) -> None:
    for layer in layers:
        if layer.media_type not in known:
            raise CannotConvertError(
                f"layer {layer.digest}: {layer.media_type} cannot be in {format_name}",
                reason="that format has no such layers",
            )


def _select_present(value: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value[key] for key in keys if value.get(key)}
