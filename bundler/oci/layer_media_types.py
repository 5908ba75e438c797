"""The media types of layers: by format, by compression, and whether one may distribute them."""

from __future__ import annotations

from bundler.errors import CannotConvertError
from bundler.oci import media_types

_Types = dict[str | None, str]
"""Of one kind of layers in one format: the media type by compression; None: uncompressed."""

_DOCKER: tuple[_Types, ...] = (
    {None: media_types.DOCKER_LAYER, "gzip": media_types.DOCKER_LAYER_GZIP},
    {None: media_types.DOCKER_FOREIGN_LAYER, "gzip": media_types.DOCKER_FOREIGN_LAYER_GZIP},
)
_OCI: tuple[_Types, ...] = (
    {
        None: media_types.OCI_LAYER,
        "gzip": media_types.OCI_LAYER_GZIP,
        "zstd": media_types.OCI_LAYER_ZSTD,
    },
    {
        None: media_types.OCI_FOREIGN_LAYER,
        "gzip": media_types.OCI_FOREIGN_LAYER_GZIP,
        "zstd": media_types.OCI_FOREIGN_LAYER_ZSTD,
    },
)
_ENCRYPTED = "+encrypted"

DOCKER_LAYERS = frozenset(name for types in _DOCKER for name in types.values())
OCI_LAYERS = frozenset(
    name for types in _OCI for plain in types.values() for name in (plain, plain + _ENCRYPTED)
)


def layer_media_type(media_type: str, manifest_type: str, compression: str | None) -> str:
    """The media type of a layer in a manifest of another type, or compressed otherwise.

    Args:
        media_type: the layer's type until now; that it was encrypted is not kept.
        manifest_type: the media type of the manifest that will name it.
        compression: by what it is compressed now; None: not at all.

    Raises:
        CannotConvertError: the manifest's format has no such layers.
    """
    plain = media_type.removesuffix(_ENCRYPTED)
    algorithm = "zstd" if compression == "zstd:chunked" else compression
    for docker, oci in zip(_DOCKER, _OCI, strict=True):
        if plain in (*docker.values(), *oci.values()):
            return _of_kind(docker, oci, manifest_type, algorithm)
    said = next((name for name in ("gzip", "zstd") if plain.endswith(name)), None)
    if manifest_type == media_types.OCI_MANIFEST and algorithm in (None, said):
        return plain
    raise CannotConvertError(
        f"a layer of the type {media_type} cannot change its form",
        reason=f"{manifest_type} has no such layers",
    )


def _of_kind(docker: _Types, oci: _Types, manifest_type: str, algorithm: str | None) -> str:
    types = oci if manifest_type == media_types.OCI_MANIFEST else docker
    if algorithm not in types:
        raise CannotConvertError(
            f"a layer compressed by {algorithm} cannot be in a manifest {manifest_type}",
            reason=f"{algorithm} compression is not supported there",
            hint="ask for the format OCI, or for gzip" if algorithm in oci else None,
        )
    return types[algorithm]
