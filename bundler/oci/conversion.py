"""Image manifests, configs and indexes in the other format, as Docker's or as OCI's.

The bytes are those that the containers/image library writes, from which most tools that convert
images are made: whoever converts the same image gets the same digests. Nothing is kept that the
new format does not know.

    Docker config ──to_oci_config──▶ OCI config ──to_docker_config──▶ the same bytes
    manifest ──to_oci_manifest, to_docker_manifest, same_manifest──▶ with what layers became
    index ──to_oci_index, to_docker_list──▶ with what its images became

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
from bundler.oci import config_struct, image_config, media_types
from bundler.oci.json.table import Table
from bundler.oci.platform import Platform
from bundler.oci.schema1.manifest import Schema1

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from bundler.oci.descriptor import Descriptor
    from bundler.oci.manifest import ImageManifest, Index

_NOWHERE = Platform("", "")


def to_oci_config(raw: bytes, *, subject: str) -> bytes:
    """The OCI config of an image that has the Docker config ``raw``.

    Raises:
        LimitError: larger or deeper than allowed.
        MalformedError: not an image's config.
    """
    return json_encoding.dumps(to_plain(config_struct.parse(raw, subject=subject)[0]))


def to_docker_config(raw: bytes, *, subject: str) -> bytes:
    """The Docker config of an image that has the OCI config ``raw``: the same bytes.

    All that an OCI config says means the same in Docker's.

    Raises:
        LimitError: larger or deeper than allowed.
        MalformedError: not an image's config.
    """
    image_config.parse(raw, subject=subject)
    return raw


def to_oci_manifest(
    manifest: ImageManifest | Schema1, config: Descriptor, layers: Sequence[Descriptor]
) -> bytes:
    """The OCI manifest of an image.

    Args:
        manifest: what it was.
        config: its new config.
        layers: what its layers became, in their order, with their new media types.

    Raises:
        CannotConvertError: a layer is of a type that OCI manifests do not know.
    """
    if isinstance(manifest, Schema1):
        entries = list(layers)
    elif manifest.media_type == media_types.OCI_MANIFEST:
        return _edited_oci_manifest(manifest, config, layers)
    else:
        entries = [
            _without_unknown_annotations(layer, old)
            for layer, old in zip(layers, manifest.layers, strict=True)
        ]
    _check_layers(layers, media_types.OCI_LAYERS, "an OCI manifest")
    return json_encoding.dumps(
        {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_MANIFEST,
            "config": _oci_entry(config),
            "layers": [_oci_entry(entry) for entry in entries],
        }
    )


def to_docker_manifest(
    manifest: ImageManifest | Schema1,  # noqa: ARG001 - asked for as its siblings ask for it
    config: Descriptor,
    layers: Sequence[Descriptor],
) -> bytes:
    """As ``to_oci_manifest``, Docker's manifest of schema 2; it keeps nothing of another one."""
    _check_layers(layers, media_types.DOCKER_LAYERS, "a Docker manifest")
    return json_encoding.dumps(
        {
            "schemaVersion": 2,
            "mediaType": media_types.DOCKER_MANIFEST,
            "config": _docker_entry(config),
            "layers": [_docker_entry(layer) for layer in layers],
        }
    )


def replace_layers(
    manifest: ImageManifest, config: Descriptor, layers: Sequence[Descriptor]
) -> bytes:
    """The manifest in its own format, with ``config`` and with what its layers became.

    Raises:
        CannotConvertError: a layer is of a type that the format does not know.
    """
    if manifest.media_type == media_types.OCI_MANIFEST:
        return _edited_oci_manifest(manifest, config, layers)
    return to_docker_manifest(manifest, config, layers)


def to_oci_index(index: Index, children: Sequence[Descriptor]) -> bytes:
    """The OCI index of ``children``, which are what the entries of ``index`` became, in order.

    An OCI index keeps all that OCI knows; a Docker list has only its platforms to keep.
    """
    if index.media_type == media_types.OCI_INDEX:
        return _edited_oci_index(index, children)
    entries = [
        replace(child, annotations={}, artifact_type=None, platform=child.platform or _NOWHERE)
        for child in children
    ]
    return json_encoding.dumps(
        {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_INDEX,
            "manifests": [_oci_entry(entry) for entry in entries],
        }
    )


def to_docker_list(index: Index, children: Sequence[Descriptor]) -> bytes:
    """As ``to_oci_index``, Docker's list of manifests.

    Args:
        index: what it was.
        children: what its entries became.

    Raises:
        CannotConvertError: an entry of an OCI index has no platform.
    """
    default: Platform | None = None
    features: Sequence[dict[str, Any]] = [{} for _ in children]
    if index.media_type == media_types.DOCKER_LIST:
        default, features = _NOWHERE, _docker_features(index)
    entries = [
        _docker_entry(child) | {"platform": _platform(child, default) | more}
        for child, more in zip(children, features, strict=True)
    ]
    return json_encoding.dumps(
        {"schemaVersion": 2, "mediaType": media_types.DOCKER_LIST, "manifests": entries}
    )


def _edited_oci_manifest(
    manifest: ImageManifest, config: Descriptor, layers: Sequence[Descriptor]
) -> bytes:
    """What OCI knows of a manifest stays; of a layer, what makes it one."""
    value: dict[str, Any] = json.loads(manifest.raw)
    kept = value["config"] if config == manifest.config else {}
    entries = [replace(layer, platform=None, artifact_type=None) for layer in layers]
    return json_encoding.dumps(
        {
            "schemaVersion": 2,
            **_present(value, "mediaType", "artifactType"),
            "config": _oci_entry(config, kept),
            "layers": [_oci_entry(entry) for entry in entries],
            **_subject_and_annotations(manifest, value),
        }
    )


def _edited_oci_index(index: Index, children: Sequence[Descriptor]) -> bytes:
    value: dict[str, Any] = json.loads(index.raw)
    return json_encoding.dumps(
        {
            "schemaVersion": 2,
            "mediaType": media_types.OCI_INDEX,
            **_present(value, "artifactType"),
            "manifests": [
                _oci_entry(child, was)
                for child, was in zip(children, value["manifests"], strict=True)
            ],
            **_subject_and_annotations(index, value),
        }
    )


def _subject_and_annotations(
    manifest: ImageManifest | Index, value: dict[str, Any]
) -> dict[str, Any]:
    members: dict[str, Any] = {}
    if manifest.subject is not None:
        members["subject"] = _oci_entry(manifest.subject, value["subject"])
    if manifest.annotations:
        members["annotations"] = dict(sorted(manifest.annotations.items()))
    return members


def _oci_entry(descriptor: Descriptor, was: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A descriptor, with the embedded ``data`` of the one that it ``was``."""
    value = descriptor.to_json()
    last = {key: value.pop(key) for key in ("platform", "artifactType") if key in value}
    return value | _present(was or {}, "data") | last


def _docker_entry(descriptor: Descriptor) -> dict[str, Any]:
    value: dict[str, Any] = {
        "mediaType": descriptor.media_type,
        "size": descriptor.size,
        "digest": descriptor.digest.text,
    }
    return value | ({"urls": list(descriptor.urls)} if descriptor.urls else {})


def _platform(child: Descriptor, default: Platform | None) -> dict[str, Any]:
    platform = child.platform or default
    if platform is None:
        raise CannotConvertError(
            f"the index's entry {child.digest} cannot be in a Docker list",
            reason="it names no platform",
            hint="choose the images with --platform, or keep the format OCI",
        )
    return platform.to_json()


def _docker_features(index: Index) -> list[dict[str, Any]]:
    """What only Docker's platforms have; it stands last."""
    found: list[dict[str, Any]] = []
    for position, item in enumerate(json.loads(index.raw)["manifests"]):
        platform = Table(item.get("platform") or {}, f"manifests[{position}]: platform")
        features = platform.texts("features")
        found.append({"features": list(features)} if features else {})
    return found


def _without_unknown_annotations(layer: Descriptor, old: Descriptor) -> Descriptor:
    """Docker's layers have no annotations: an old one's is dropped like any unknown member."""
    if layer.annotations == old.annotations:
        return replace(layer, annotations={}, artifact_type=None, platform=None)
    return replace(layer, artifact_type=None, platform=None)


def _check_layers(layers: Sequence[Descriptor], known: Collection[str], where: str) -> None:
    for layer in layers:
        if layer.media_type not in known:
            raise CannotConvertError(
                f"layer {layer.digest}: {layer.media_type} cannot be in {where}",
                reason="that format has no such layers",
            )


def _present(value: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value[key] for key in keys if value.get(key)}
