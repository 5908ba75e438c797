"""Manifests: an image or artifact (config and layers), or an index (other manifests).

A manifest is its bytes; what is parsed here are views of them. Nothing is re-serialised to
compute a digest, so members that this program does not know survive.

https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md
https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from bundler.errors import (
    DigestMismatchError,
    LimitError,
    MalformedError,
    SizeMismatchError,
    UnsupportedError,
)
from bundler.oci import media_types
from bundler.oci.descriptor import SIZE_UNKNOWN, Descriptor
from bundler.oci.digest import Digest
from bundler.oci.json import fields, strict
from bundler.oci.manifest_digest import manifest_digest
from bundler.oci.schema1 import manifest
from bundler.oci.schema1.manifest import Schema1

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MAX_MANIFEST = strict.MAX_DOCUMENT
MAX_CHILDREN = 10_000

Kind = Literal["manifest", "config", "layer"]
"""What content is, by its place in the graph."""

IndexMode = Literal["strip", "sparse", "all"]
"""How to copy an index of which some platforms are selected: ``strip`` creates a smaller index
with a new digest, ``sparse`` keeps the index although manifests are missing, ``all`` copies it
whole."""

_IMAGE_FIELDS = ("config", "layers")
_INDEX_FIELDS = ("manifests",)
_SCHEMA1_FIELDS = ("fsLayers", "history")
_SHARED_FIELDS = ("schemaVersion", "mediaType", "artifactType", "subject", "annotations")
_FIELDS = (*_IMAGE_FIELDS, *_INDEX_FIELDS, *_SCHEMA1_FIELDS, *_SHARED_FIELDS)


@dataclass(frozen=True, slots=True)
class ImageManifest:
    """One image or artifact; ``raw`` is the truth, the rest are views of it."""

    raw: bytes = field(repr=False)
    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    artifact_type: str | None = None
    subject: Descriptor | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def is_artifact(self) -> bool:
        """Whether this is something other than a container image."""
        return self.config.media_type not in media_types.IMAGE_CONFIGS


@dataclass(frozen=True, slots=True)
class Index:
    """A list of manifests, by platform or by whatever its author meant."""

    raw: bytes = field(repr=False)
    media_type: str
    manifests: tuple[Descriptor, ...]
    artifact_type: str | None = None
    subject: Descriptor | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)


Manifest = ImageManifest | Index | Schema1


def parse(raw: bytes, media_type: str | None, *, subject: str = "manifest") -> Manifest:
    """Parse a manifest whose bytes are already known to be the ones that were asked for.

    Args:
        raw: the manifest's bytes.
        media_type: what its descriptor, or the registry, says it is; None if neither does.
        subject: the manifest's name in messages.

    Raises:
        LimitError: larger, deeper or with more entries than allowed.
        MalformedError: not a manifest, or the body disagrees with ``media_type``.
        UnsupportedError: a type that is no manifest.
    """
    value = strict.load_object(raw, subject=subject, limit=MAX_MANIFEST)
    fields.refuse_other_case(value, _FIELDS, subject)
    kind = _agreed_media_type(value, media_type, subject)
    if kind in media_types.SCHEMA1:
        _refuse(value, (*_IMAGE_FIELDS, *_INDEX_FIELDS), kind, subject)
        return manifest.parse(raw, kind, subject=subject)
    version = value.get("schemaVersion")
    if not isinstance(version, int) or version != 2:
        raise MalformedError(f"{subject}: schemaVersion is not 2")
    artifact_type = fields.text(value, "artifactType", subject)
    referred = _optional_descriptor(value, "subject", subject)
    annotations = fields.text_map(value, "annotations", subject)
    if kind in media_types.INDEXES:
        _refuse(value, (*_IMAGE_FIELDS, *_SCHEMA1_FIELDS), kind, subject)
        children = _descriptors(value, "manifests", subject)
        return Index(raw, kind, children, artifact_type, referred, annotations)
    if kind in media_types.IMAGE_MANIFESTS:
        _refuse(value, (*_INDEX_FIELDS, *_SCHEMA1_FIELDS), kind, subject)
        config = _optional_descriptor(value, "config", subject)
        if config is None:
            raise MalformedError(f"{subject}: an image manifest needs a config")
        layers = _descriptors(value, "layers", subject)
        return ImageManifest(raw, kind, config, layers, artifact_type, referred, annotations)
    raise UnsupportedError(f"{subject}: {kind!r} is not a manifest's media type")


def children(parsed: Manifest) -> tuple[tuple[Descriptor, Kind], ...]:
    """What a manifest consists of, and as what, in its order; its subject is no part of it.

    The sizes of the layers of schema 1 are ``SIZE_UNKNOWN``.
    """
    if isinstance(parsed, Index):
        return tuple((child, child_kind(child)) for child in parsed.manifests)
    if isinstance(parsed, Schema1):
        layers = dict.fromkeys(parsed.blobs)
        kind = media_types.DOCKER_LAYER_GZIP
        return tuple((Descriptor(kind, digest, SIZE_UNKNOWN), "layer") for digest in layers)
    return ((parsed.config, "config"), *((layer, "layer") for layer in parsed.layers))


def child_kind(entry: Descriptor) -> Kind:
    """What an index's entry is: it may list manifests, and any other content."""
    return "manifest" if entry.media_type in media_types.MANIFESTS else "layer"


def listed_type(parsed: Manifest) -> str | None:
    """The artifact type that a list of referrers tells of a manifest.

    https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
    """
    if parsed.artifact_type is not None or not isinstance(parsed, ImageManifest):
        return parsed.artifact_type
    return parsed.config.media_type


def check(raw: bytes, descriptor: Descriptor, subject: str) -> None:
    """Verify that ``raw`` is the manifest that ``descriptor`` refers to.

    The digest of a signed manifest of schema 1 is that of what is signed.

    Raises:
        IntegrityError: it is another one.
    """
    if len(raw) != descriptor.size:
        raise SizeMismatchError(subject, expected=descriptor.size, got=str(len(raw)))
    if descriptor.media_type not in media_types.SCHEMA1:
        descriptor.digest.check(raw, subject)
    elif (got := manifest_digest(raw, subject=subject)) != descriptor.digest:
        raise DigestMismatchError(subject, expected=descriptor.digest.text, got=got.text)


def strip(index: Index, keep: Collection[Digest]) -> bytes:
    """The bytes of a new index with only the entries in ``keep``; all else stays as it was.

    The digest changes, so signatures on the old index do not cover the new one.
    """
    value: dict[str, Any] = json.loads(index.raw)
    value["manifests"] = [item for item in value["manifests"] if Digest(item["digest"]) in keep]
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _agreed_media_type(value: dict[str, Any], told: str | None, subject: str) -> str:
    """The body's own mediaType wins over nothing, and must equal whatever else was said."""
    own = fields.text(value, "mediaType", subject)
    if told is not None and own is not None and told != own:
        raise MalformedError(
            f"{subject}: its mediaType is {own!r}, but it was announced as {told!r}"
        )
    kind = own or told
    if kind is not None:
        return kind
    if value.get("schemaVersion") == 1:
        signed = value.get("signatures") is not None
        return media_types.DOCKER_SCHEMA1_SIGNED if signed else media_types.DOCKER_SCHEMA1
    if "manifests" in value and "config" not in value:
        return media_types.OCI_INDEX
    if "config" in value and "manifests" not in value:
        return media_types.OCI_MANIFEST
    raise MalformedError(f"{subject}: neither an image manifest nor an index")


def _refuse(value: dict[str, Any], members: tuple[str, ...], kind: str, subject: str) -> None:
    """A body that could be read as both kinds is read as neither."""
    for member in members:
        if member in value:
            raise MalformedError(f"{subject}: {kind} must not have {member!r}")


def _descriptors(value: dict[str, Any], key: str, subject: str) -> tuple[Descriptor, ...]:
    if key not in value:
        raise MalformedError(f"{subject}: {key} is missing")
    items = fields.objects(value, key, subject)
    if len(items) > MAX_CHILDREN:
        raise LimitError(f"{subject}: {len(items):,} {key}, more than the {MAX_CHILDREN:,} allowed")
    return tuple(
        Descriptor.from_json(item, f"{subject}: {key}[{position}]")
        for position, item in enumerate(items)
    )


def _optional_descriptor(value: dict[str, Any], key: str, subject: str) -> Descriptor | None:
    item = fields.obj(value, key, subject)
    return None if item is None else Descriptor.from_json(item, f"{subject}: {key}")
