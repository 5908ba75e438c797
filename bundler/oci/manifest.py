"""Manifests: an image or artifact (config and layers), or an index (other manifests); and configs.

The bytes of a manifest are authoritative; parsed manifests are views of them. A digest is always
computed from the original bytes, never from a document that was parsed and encoded again.

https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md
https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md
https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from bundler.errors import (
    BundlerError,
    DigestMismatchError,
    MalformedError,
    SizeMismatchError,
    UnsupportedError,
)
from bundler.oci import media_types
from bundler.oci.descriptor import SIZE_UNKNOWN, Descriptor
from bundler.oci.digest import Digest
from bundler.oci.json import strict
from bundler.oci.json.table import Table
from bundler.oci.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

MAX_MANIFEST = strict.MAX_DOCUMENT
MAX_CHILDREN = 10_000
_MAX_SIGNATURES = 100

Kind = Literal["manifest", "config", "layer"]
"""The role of content in the graph, which follows from where its parent lists it."""

IndexMode = Literal["strip", "sparse", "all"]
"""How to copy an index if only some platforms are selected: ``strip`` creates a smaller index with
a new digest, ``sparse`` copies the index unchanged without the manifests of other platforms,
``all`` copies the index with all its manifests."""

_IMAGE_FIELDS = ("config", "layers")
_INDEX_FIELDS = ("manifests",)
_SCHEMA1_FIELDS = ("fsLayers", "history")
_DECISIVE = ("schemaVersion", "mediaType", *_IMAGE_FIELDS, *_INDEX_FIELDS, *_SCHEMA1_FIELDS)
"""The members that decide between the types of manifests."""

_MEMBERS = {
    "mediaType": Table.optional_text,
    "artifactType": Table.optional_text,
    "subject": Table.optional_table,
    "annotations": Table.annotations,
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
        config = self.config.media_type
        # Docker's registries contain old images whose config has a general type.
        if self.media_type == media_types.DOCKER_MANIFEST and config == media_types.OCTETS:
            return False
        return config not in media_types.IMAGE_CONFIGS


@dataclass(frozen=True, slots=True)
class Index:
    """A list of manifests, usually one for each platform; ``raw`` is authoritative."""

    raw: bytes = field(repr=False)
    media_type: str
    manifests: tuple[Descriptor, ...]
    artifact_type: str | None = None
    subject: Descriptor | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """The members of an image config that the program uses; ``go_structs`` reads all of them."""

    platform: Platform
    diff_ids: tuple[Digest, ...]
    created: str | None

    @classmethod
    def parse(cls, raw: bytes, *, subject: str = "image config") -> ImageConfig:
        """Parse a config, which the caller has verified.

        Raises:
            LimitError: the config is larger or deeper than allowed.
            MalformedError: it is not an image config.
        """
        table = Table.parse(raw, subject, tolerant=True)
        rootfs = table.table("rootfs")
        try:
            diff_ids = tuple(map(Digest, rootfs.texts("diff_ids")))
        except MalformedError as error:
            raise rootfs.problem(f"diff_ids: {error.message}") from None
        return cls(Platform.from_json(table), diff_ids, table.optional_text("created"))


@dataclass(frozen=True, slots=True)
class Schema1Entry:
    """One layer of a schema 1 manifest, with its history entry."""

    blob: Digest
    v1: str = field(repr=False)
    """The ``v1Compatibility`` document, as JSON."""
    id: str
    parent: str
    throwaway: bool
    """Whether the layer contains no changes."""
    history: Mapping[str, Any] = field(hash=False, repr=False)
    """The corresponding history entry of a schema 2 config."""


@dataclass(frozen=True, slots=True)
class Schema1:
    """The manifest of one image in Docker's schema 1; ``raw`` is authoritative."""

    raw: bytes = field(repr=False)
    media_type: str
    digest: Digest
    """The digest of the signed content; of ``raw`` if it is not signed."""
    name: str
    tag: str
    architecture: str
    blobs: tuple[Digest, ...]
    """All layers from bottom to top, including repeated ones."""
    entries: tuple[Schema1Entry, ...]
    """The entries from bottom to top, without those that repeat the entry below them."""
    artifact_type: None = None
    subject: Descriptor | None = None
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def layers(self) -> tuple[Schema1Entry, ...]:
        """The entries that are not throwaway."""
        return tuple(entry for entry in self.entries if not entry.throwaway)


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
    table = Table.parse(raw, subject, limit=MAX_MANIFEST, tolerant=True)
    table.refuse_other_case(_DECISIVE)
    own, artifact_type, referred, annotations, config = table.read(_MEMBERS)
    actual = _find_media_type(table, own, media_type)
    if actual in media_types.SCHEMA1:
        _refuse_members(table, (*_IMAGE_FIELDS, *_INDEX_FIELDS), actual)
        from bundler.oci.schema1.manifest import parse as parse_schema1  # noqa: PLC0415 - rare

        return parse_schema1(raw, actual, subject=subject)
    if table.integer("schemaVersion", 0) != 2:
        raise table.problem("schemaVersion is not 2")
    if referred is not None:
        referred = Descriptor.from_json(referred)
    if actual in media_types.INDEXES:
        _refuse_members(table, (*_IMAGE_FIELDS, *_SCHEMA1_FIELDS), actual)
        if "manifests" not in table.value:
            raise table.problem("manifests is missing")
        manifests = tuple(map(Descriptor.from_json, table.tables("manifests", MAX_CHILDREN)))
        return Index(raw, actual, manifests, artifact_type, referred, annotations)
    if actual in media_types.IMAGE_MANIFESTS:
        _refuse_members(table, (*_INDEX_FIELDS, *_SCHEMA1_FIELDS), actual)
        if config is None:
            raise table.problem("config is missing")
        layers = tuple(map(Descriptor.from_json, table.tables("layers", MAX_CHILDREN)))
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


class Visit(NamedTuple):
    """One occurrence of a manifest, config or layer in the graph."""

    descriptor: Descriptor
    kind: Kind
    depth: int
    """0 for a root."""


def walk(
    roots: Iterable[Descriptor], list_children: Callable[[Visit], Sequence[tuple[Descriptor, Kind]]]
) -> Iterator[Visit]:
    """Walk depth first, parents before children, in the order in which manifests list them.

    Content listed by several manifests is visited once for each of them, but ``list_children`` is
    called only once for each manifest digest, so the work is proportional to the size of the
    manifests.

    Args:
        roots: the manifests and indexes where the walk begins.
        list_children: returns the children of a manifest, as ``list_children`` above does, or
            an empty sequence if the walk must not descend into it; an exception ends the walk.
    """
    pending = [Visit(root, "manifest", 0) for root in roots][::-1]
    followed: set[Digest] = set()
    while pending:
        visit = pending.pop()
        yield visit
        if visit.kind == "manifest" and visit.descriptor.digest not in followed:
            followed.add(visit.descriptor.digest)
            children = list_children(visit)
            pending += [Visit(child, kind, visit.depth + 1) for child, kind in reversed(children)]


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


def compute_manifest_digest(raw: bytes, *, subject: str) -> Digest:
    """Compute the sha256 digest by which registries identify a manifest, or any other content.

    The digest of a signed schema 1 manifest is the digest of its signed content, without the
    signatures. Each signature records how many bytes of the document it covers (``formatLength``)
    and the end of the signed content (``formatTail``), which follows those bytes.

    https://github.com/distribution/distribution/blob/v2.8.3/docs/spec/manifest-v2-1.md

    Raises:
        LimitError: the content is larger or deeper than allowed for a manifest.
        MalformedError: the signatures of a schema 1 manifest cannot be removed.
    """
    try:
        table = Table.parse(raw, subject)
    except MalformedError:
        if b"signatures" in raw:  # a lenient parser might find signatures in it
            raise
        return Digest.of(raw)
    signed = table.value.get("schemaVersion") == 1 and "signatures" in table
    if not signed or table.value.get("mediaType") in media_types.BY_DIGEST:
        return Digest.of(raw)
    signatures = table.tables("signatures")
    if not 0 < len(signatures) <= _MAX_SIGNATURES:
        raise table.problem(
            f"wrong number of signatures (expected 1 to {_MAX_SIGNATURES}, got {len(signatures)})"
        )
    formats: set[tuple[int, bytes]] = set()
    for signature in signatures:
        header = Table.parse(
            signature.base64url("protected"), f"{signature.subject}: protected header"
        )
        formats.add((header.integer("formatLength"), header.base64url("formatTail")))
    if len(formats) > 1:
        raise table.problem("the signatures do not agree on the signed content")
    length, tail = formats.pop()
    if length > len(raw):
        raise table.problem(
            f"formatLength is out of range (expected at most {len(raw):,}, got {length:,})"
        )
    return Digest.of(raw[:length] + tail)


def has_digest(raw: bytes, digest: Digest) -> bool:
    """Return whether ``digest`` is the digest of ``raw`` as a blob or as a manifest."""
    if digest.matches(raw):
        return True
    try:
        return compute_manifest_digest(raw, subject="manifest") == digest
    except BundlerError:
        return False


def strip(index: Index, keep: Collection[Digest]) -> bytes:
    """Return the bytes of an index without the entries whose digests are not in ``keep``.

    The digest changes, so signatures of the original index do not apply to the result.
    """
    value: dict[str, Any] = json.loads(index.raw)
    value["manifests"] = [item for item in value["manifests"] if Digest(item["digest"]) in keep]
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _find_media_type(table: Table, own: str | None, announced: str | None) -> str:
    """Return the media type that the body or the caller states, or else infer it from the members.

    If both are types of the same kind, image or index, the body's own type is returned, since its
    digest covers it. A body whose own type is not that of a manifest has the announced type.

    Raises:
        MalformedError: the stated types differ in kind, or none is stated and the members are
            ambiguous.
    """
    if own is not None and own not in media_types.MANIFESTS:
        own = None if announced in media_types.MANIFESTS else own
    if own is not None and announced is not None and own != announced:
        kinds = (media_types.INDEXES, media_types.IMAGE_MANIFESTS)
        if not any(own in kind and announced in kind for kind in kinds):
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
            raise table.problem(f"{media_type} must not contain {member!r}")
