"""The media types of OCI and Docker images.

https://github.com/opencontainers/image-spec/blob/v1.1.1/media-types.md
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bundler.errors import CannotConvertError

if TYPE_CHECKING:
    from collections.abc import Collection

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
OCI_FOREIGN_LAYER = "application/vnd.oci.image.layer.nondistributable.v1.tar"
OCI_FOREIGN_LAYER_GZIP = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
OCI_FOREIGN_LAYER_ZSTD = "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd"

DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar"
DOCKER_FOREIGN_LAYER_GZIP = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"

IMAGE_MANIFESTS = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
SCHEMA1 = frozenset({DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED})
BY_DIGEST = IMAGE_MANIFESTS | INDEXES
"""The manifests whose digest covers all their bytes, unlike those of schema 1."""
MANIFESTS = BY_DIGEST | SCHEMA1

OCTETS = "application/octet-stream"
IMAGE_CONFIGS = frozenset({OCI_CONFIG, DOCKER_CONFIG})

# Media types of plain and of foreign layers by compression; None: uncompressed.
_DOCKER: tuple[dict[str | None, str], ...] = (
    {None: DOCKER_LAYER, "gzip": DOCKER_LAYER_GZIP},
    {None: DOCKER_FOREIGN_LAYER, "gzip": DOCKER_FOREIGN_LAYER_GZIP},
)
_OCI: tuple[dict[str | None, str], ...] = (
    {None: OCI_LAYER, "gzip": OCI_LAYER_GZIP, "zstd": OCI_LAYER_ZSTD},
    {None: OCI_FOREIGN_LAYER, "gzip": OCI_FOREIGN_LAYER_GZIP, "zstd": OCI_FOREIGN_LAYER_ZSTD},
)
_ENCRYPTED = "+encrypted"
_TAR = re.compile(r"[./+-]g?tar([.+](gzip|zstd))?\Z")

FOREIGN_LAYERS = frozenset({*_DOCKER[1].values(), *_OCI[1].values()})
DOCKER_LAYERS = frozenset(name for types in _DOCKER for name in types.values())
OCI_LAYERS = frozenset(
    name for types in _OCI for plain in types.values() for name in (plain, plain + _ENCRYPTED)
)

# Sent in the Accept header. Schema 1 comes last: a registry may convert to the first type that
# it supports.
ACCEPT_MANIFESTS = (
    OCI_INDEX,
    DOCKER_LIST,
    OCI_MANIFEST,
    DOCKER_MANIFEST,
    DOCKER_SCHEMA1_SIGNED,
    DOCKER_SCHEMA1,
)


def is_tar_layer(media_type: str) -> bool:
    """Return whether a layer is a tar archive according to its media type, in any format."""
    return _TAR.search(media_type) is not None


def parse_content_type(content_type: str) -> str:
    """Return the media type of a Content-Type header, without parameters and in lower case."""
    return content_type.partition(";")[0].strip().lower()


def is_foreign(media_type: str, urls: Collection[str]) -> bool:
    """Return whether a layer may be absent because its ``urls`` state where to download it."""
    return media_type in FOREIGN_LAYERS and bool(urls)


def convert_layer_type(media_type: str, manifest_type: str, compression: str | None) -> str:
    """Return the media type of a layer after conversion; the result is not encrypted.

    Args:
        media_type: the current media type of the layer.
        manifest_type: the media type of the manifest that will list it.
        compression: the new compression; None: uncompressed.

    Raises:
        CannotConvertError: the manifest format does not support such layers.
    """
    plain = media_type.removesuffix(_ENCRYPTED)
    algorithm = "zstd" if compression == "zstd:chunked" else compression
    for docker, oci in zip(_DOCKER, _OCI, strict=True):
        if plain not in (*docker.values(), *oci.values()):
            continue
        types = oci if manifest_type == OCI_MANIFEST else docker
        if algorithm not in types:
            raise CannotConvertError(
                f"a layer compressed with {algorithm} cannot be listed in {manifest_type}",
                reason=f"the format does not support {algorithm} compression",
                hint="use the OCI format, or gzip compression" if algorithm in oci else None,
            )
        return types[algorithm]
    suffix = next((name for name in ("gzip", "zstd") if plain.endswith(name)), None)
    if manifest_type == OCI_MANIFEST and algorithm in (None, suffix):
        return plain
    raise CannotConvertError(
        f"a layer of type {media_type} cannot be converted",
        reason=f"{manifest_type} does not support this layer type",
    )
