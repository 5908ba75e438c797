"""Manifests: an image or artifact (config and layers), or an index (other manifests).

The bytes of a manifest are authoritative; parsed manifests are views of them. A digest is always
computed from the original bytes, never from a document that was parsed and encoded again.

https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md
https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from bundler.errors import DigestMismatchError, SizeMismatchError, UnsupportedError
from bundler.oci import media_types
from bundler.oci.descriptor import SIZE_UNKNOWN, Descriptor
from bundler.oci.digest import Digest
from bundler.oci.json import strict
from bundler.oci.json.table import Table
from bundler.oci.manifest_digest import compute_manifest_digest
from bundler.oci.schema1 import manifest as schema1
from bundler.oci.schema1.manifest import Schema1

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

MAX_MANIFEST = strict.MAX_DOCUMENT
MAX_CHILDREN = 10_000

Kind = Literal["manifest", "config", "layer"]
"""The role of content in the graph, which follows from where its parent lists it."""

IndexMode = Literal["strip", "sparse", "all"]
"""How to copy an index if only some platforms are selected: ``strip`` creates a smaller index with
a new digest, ``sparse`` copies the index unchanged without the manifests of other platforms,
``all`` copies the index with all its manifests."""

_IMAGE_FIELDS = ("config", "layers")
_INDEX_FIELDS = ("manifests",)
_SCHEMA1_FIELDS = ("fsLayers", "history")
_MEMBERS = {
    "mediaType": Table.optional_text,
    "artifactType": Table.optional_text,
    "subject": Table.optional_table,
    "annotations": Table.text_map,
    "config": Table.optional_table,
    **dict.fromkeys(("schemaVersion", "layers", *_INDEX_FIELDS, *_SCHEMA1_FIELDS)),
}


@dataclass(frozen=True, slots=True)
class ImageManifest:
    """The manifest of one image or artifact; ``raw`` is authoritative."""

    raw: bytes = field(repr=False)
    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]
    artifact_type: str | None = None
    subject: Descriptor | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def is_artifact(self) -> bool:
        """Whether the manifest describes an artifact other than a container image."""
        return self.config.media_type not in media_types.IMAGE_CONFIGS


@dataclass(frozen=True, slots=True)
class Index:
    """A list of manifests, usually one for each platform; ``raw`` is authoritative."""

    raw: bytes = field(repr=False)
    media_type: str
    manifests: tuple[Descriptor, ...]
    artifact_type: str | None = None
    subject: Descriptor | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)


Manifest = ImageManifest | Index | Schema1


def parse(raw: bytes, media_type: str | None, *, subject: str = "manifest") -> Manifest:
    """Parse a manifest, which the caller has verified.

    Args:
        raw: the manifest's bytes.
        media_type: the type according to its descriptor or the registry; None if unknown.
        subject: the manifest's name in messages.

    Raises:
        LimitError: the manifest is larger, deeper or has more entries than allowed.
        MalformedError: it is not a manifest, or its body contradicts ``media_type``.
        UnsupportedError: its media type is not that of a manifest.
    """
    table = Table.parse(raw, subject, limit=MAX_MANIFEST)
    own, artifact_type, referred, annotations, config = table.read(_MEMBERS)
    actual = _find_media_type(table, own, media_type)
    if actual in media_types.SCHEMA1:
        _refuse_members(table, (*_IMAGE_FIELDS, *_INDEX_FIELDS), actual)
        return schema1.parse(raw, actual, subject=subject)
    if table.integer("schemaVersion", 0) != 2:
        raise table.problem("schemaVersion is not 2")
    if referred is not None:
        referred = Descriptor.from_json(referred)
    if actual in media_types.INDEXES:
        _refuse_members(table, (*_IMAGE_FIELDS, *_SCHEMA1_FIELDS), actual)
        manifests = _read_descriptors(table, "manifests")
        return Index(raw, actual, manifests, artifact_type, referred, annotations)
    if actual in media_types.IMAGE_MANIFESTS:
        _refuse_members(table, (*_INDEX_FIELDS, *_SCHEMA1_FIELDS), actual)
        if config is None:
            raise table.problem("config is missing")
        layers = _read_descriptors(table, "layers")
        return ImageManifest(
            raw, actual, Descriptor.from_json(config), layers, artifact_type, referred, annotations
        )
    raise UnsupportedError(f"{subject}: {actual!r} is not the media type of a manifest")


def list_children(parsed: Manifest) -> tuple[tuple[Descriptor, Kind], ...]:
    """Return the descriptors that a manifest lists, in its order, without its subject.

    The size of schema 1 layers is ``SIZE_UNKNOWN``.
    """
    if isinstance(parsed, Index):
        return tuple((child, get_child_kind(child)) for child in parsed.manifests)
    if isinstance(parsed, Schema1):
        layers = dict.fromkeys(parsed.blobs)
        kind = media_types.DOCKER_LAYER_GZIP
        return tuple((Descriptor(kind, digest, SIZE_UNKNOWN), "layer") for digest in layers)
    return ((parsed.config, "config"), *((layer, "layer") for layer in parsed.layers))


def get_child_kind(entry: Descriptor) -> Kind:
    """Return the kind of an index entry; an index may list content that is not a manifest."""
    return "manifest" if entry.media_type in media_types.MANIFESTS else "layer"


def get_artifact_type(parsed: Manifest) -> str | None:
    """Return the artifact type of a manifest, as the referrers API reports it.

    https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
    """
    if parsed.artifact_type is not None or not isinstance(parsed, ImageManifest):
        return parsed.artifact_type
    return parsed.config.media_type


def verify(raw: bytes, descriptor: Descriptor, subject: str) -> None:
    """Verify that ``raw`` is the manifest that ``descriptor`` refers to.

    The digest of a signed schema 1 manifest is the digest of its signed content.

    Raises:
        IntegrityError: the size or the digest differs.
    """
    if len(raw) != descriptor.size:
        raise SizeMismatchError(subject, expected=descriptor.size, got=str(len(raw)))
    if descriptor.media_type not in media_types.SCHEMA1:
        descriptor.digest.verify(raw, subject)
    elif (got := compute_manifest_digest(raw, subject=subject)) != descriptor.digest:
        raise DigestMismatchError(subject, expected=descriptor.digest.text, got=got.text)


def strip(index: Index, keep: Collection[Digest]) -> bytes:
    """Return the bytes of an index without the entries whose digests are not in ``keep``.

    The digest changes, so signatures of the original index do not apply to the result.
    """
    value: dict[str, Any] = json.loads(index.raw)
    value["manifests"] = [item for item in value["manifests"] if Digest(item["digest"]) in keep]
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _find_media_type(table: Table, own: str | None, announced: str | None) -> str:
    """Return the media type that the body or the caller states, or else infer it from the members.

    Raises:
        MalformedError: the stated types differ, or none is stated and the members are ambiguous.
    """
    if announced is not None and own is not None and announced != own:
        raise table.problem(f"mediaType is {own!r} (expected {announced!r}, as announced)")
    media_type = own or announced
    if media_type is not None:
        return media_type
    if table.value.get("schemaVersion") == 1:
        signed = "signatures" in table
        return media_types.DOCKER_SCHEMA1_SIGNED if signed else media_types.DOCKER_SCHEMA1
    if "manifests" in table.value and "config" not in table.value:
        return media_types.OCI_INDEX
    if "config" in table.value and "manifests" not in table.value:
        return media_types.OCI_MANIFEST
    raise table.problem("neither an image manifest nor an index")


def _refuse_members(table: Table, members: tuple[str, ...], media_type: str) -> None:
    """Refuse members of another manifest type, because other programs may parse it as that type."""
    for member in members:
        if member in table.value:
            raise table.problem(f"{media_type} must not have {member!r}")


def _read_descriptors(table: Table, key: str) -> tuple[Descriptor, ...]:
    if key not in table.value:
        raise table.problem(f"{key} is missing")
    return tuple(map(Descriptor.from_json, table.tables(key, MAX_CHILDREN)))
