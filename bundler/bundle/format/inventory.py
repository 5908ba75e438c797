"""The inventory of a bundle: ``bundle.json``, the document that is signed.

It is written as canonical JSON, so that equal inventories have equal bytes. A reader authenticates
the raw bytes before it parses them, and never writes them again.

``_type`` is the version of the format. A reader refuses versions that it does not know and ignores
members that it does not know; a member that must not be ignored needs a new ``_type``. A bundle has
version 2 only if it contains signature files of images; otherwise older readers can read it too.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self, get_args

from bundler.bundle.format import absent_layers
from bundler.errors import InvalidReferenceError, LimitError, MalformedError, UnsupportedError
from bundler.oci import media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.json import strict, timestamps
from bundler.oci.json.table import Table
from bundler.oci.manifest import IndexMode
from bundler.oci.reference import ImageReference, is_tag

if TYPE_CHECKING:
    from datetime import datetime

    from bundler.bundle.format.image_signatures import BundledSignature
    from bundler.copy.signature_requirements import VerifiedSignature
    from bundler.oci.digest import Digest

TYPE = "airbundle/bundle/v1"
TYPE_2 = "airbundle/bundle/v2"
"""The version with signature files of images."""
MAX_INVENTORY = 16 * 1024 * 1024
MAX_ITEMS = 100_000
MAX_TEXT = 4096

Format = Literal["oci", "dir"]

_ANY_HOST = "host.example"  # completes a name without a host, which is then parsed
_FAMILY = "airbundle/bundle/"
_CHECKSUM_FILE = "SHA256SUMS"
_STREAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}")
_PARTIAL = ("base", "presupposes", "volumes")
"""Members that are reserved for deltas and volumes."""
_FIELDS = (
    *("_type", "format", "stream", "serial", "created", "expires", "complete", "tool", "sums"),
    *("images", *_PARTIAL),
)
_IMAGE_FIELDS = (
    *("reference", "digest", "mediaType", "size", "platforms", "index", "replaces", "rename"),
    *("origin", "source", "referrers", "verified", "absentLayers", "leftBehind"),
    "signatures",
)


@dataclass(frozen=True, slots=True)
class Producer:
    """The program that wrote the bundle."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class ChecksumFile:
    """The digest of SHA256SUMS, its size in bytes, and the number of files that it lists."""

    digest: Digest
    size: int
    count: int


@dataclass(frozen=True, slots=True)
class BundledReferrer:
    """A referrer that is exported with an image: a signature, an attestation, an SBOM."""

    digest: Digest
    media_type: str
    size: int
    subject: Digest
    """The manifest that it refers to: the image, or one of its platforms."""
    artifact_type: str | None = None
    tag: str | None = None
    """The tag by which it was found; None if it was found by its subject."""

    @classmethod
    def from_json(cls, table: Table) -> Self:
        """Read an entry of ``referrers``; raises as ``parse``."""
        return cls(
            digest=table.digest("digest"),
            media_type=_read_media_type(table),
            size=table.integer("size"),
            subject=table.digest("subject"),
            artifact_type=_read_optional_text(table, "artifactType"),
            tag=_read_tag(table),
        )

    def to_json(self) -> strict.JSON:
        """Return the entry as JSON, without unset members."""
        return _omit_none(
            digest=self.digest.text,
            mediaType=self.media_type,
            size=self.size,
            subject=self.subject.text,
            artifactType=self.artifact_type,
            tag=self.tag,
        )

    @property
    def root(self) -> Descriptor:
        """The descriptor of the referrer's manifest."""
        return Descriptor(self.media_type, self.digest, self.size, artifact_type=self.artifact_type)


@dataclass(frozen=True, slots=True)
class BundledImage:
    """An image or artifact in a bundle."""

    reference: ImageReference
    """The full name of the image, host included."""
    digest: Digest
    """The digest of the root."""
    media_type: str
    size: int
    """The size of the root in bytes."""
    platforms: tuple[str, ...] = ()
    """The platforms in the bundle."""
    index: IndexMode | None = None
    """How the index was exported; None: the root is not an index."""
    replaces: Digest | None = None
    """The digest of the root before platforms were removed."""
    rename: str | None = None
    """The target name that the bundle manifest specifies, without host."""
    origin: str | None = None
    """The file and line of the manifest entry."""
    source: str | None = None
    """The mirror that served the image; None: the registry in ``reference``."""
    referrers: tuple[BundledReferrer, ...] = ()
    absent_layers: tuple[Descriptor, ...] | None = None
    """The foreign layers that are not in the bundle; None: there are no foreign layers, or, in a
    bundle of an older version, any of them may be absent."""
    left_behind: tuple[str, ...] = ()
    """The tags or digests of referrers at the source that are not in the bundle, and its signatures
    as ``<algorithm>=<hex of the manifest>/signature-<n>``."""
    verified: tuple[VerifiedSignature, ...] = ()
    """The signatures that the writer verified; no reader relies on them."""
    signatures: tuple[BundledSignature, ...] = ()
    """The signature files of the image and its platforms."""

    @property
    def is_partial(self) -> bool:
        """Whether foreign layers or referrers of the image are not in the bundle."""
        return bool(self.absent_layers or self.left_behind)

    @classmethod
    def from_json(cls, table: Table, *, has_signatures: bool) -> Self:
        """Read an entry of ``images``; raises as ``parse``.

        ``has_signatures``: the version of the format has the member ``signatures``.
        """
        table.refuse_other_case(_IMAGE_FIELDS)
        text = _read_text(table, "reference")
        try:
            reference = ImageReference.parse(text)
        except InvalidReferenceError as error:
            raise table.problem(f"reference: {error.message}") from None
        if str(reference) != text:
            raise table.problem(f"reference is {text[:200]!r} (expected {str(reference)!r})")
        platforms = table.texts("platforms")
        image = cls(
            reference=reference,
            digest=table.digest("digest"),
            media_type=_read_media_type(table),
            size=table.integer("size"),
            platforms=tuple(_check_printable(name, table, "platforms") for name in platforms),
            index=table.one_of("index", get_args(IndexMode)) if "index" in table else None,
            replaces=table.digest("replaces") if "replaces" in table else None,
            rename=_read_optional_text(table, "rename"),
            origin=_read_optional_text(table, "origin"),
            source=_read_optional_text(table, "source"),
            referrers=tuple(map(BundledReferrer.from_json, table.tables("referrers", MAX_ITEMS))),
            absent_layers=absent_layers.from_json(table) if "absentLayers" in table else None,
            left_behind=tuple(
                _check_printable(name, table, "leftBehind") for name in table.texts("leftBehind")
            ),
            verified=_read_verified(table),
            signatures=_read_signatures(table) if has_signatures else (),
        )
        image._check_names(table)
        return image

    def _check_names(self, table: Table) -> None:
        """Check that the digests in the names are those of the image."""
        digests = {None, self.digest, self.replaces}
        if self.reference.digest not in digests:
            raise table.problem(f"reference has another digest (expected {self.digest})")
        if self.rename is None:
            return
        try:
            target = ImageReference.parse(f"{_ANY_HOST}/{self.rename}")
        except InvalidReferenceError:
            raise table.problem(f"rename: {self.rename[:200]!r} is not a valid name") from None
        if target.digest not in digests:
            raise table.problem(f"rename has another digest (expected {self.digest})")

    def to_json(self) -> strict.JSON:
        """Return the entry as JSON, without unset members."""
        return _omit_none(
            reference=str(self.reference),
            digest=self.digest.text,
            mediaType=self.media_type,
            size=self.size,
            platforms=list(self.platforms) or None,
            index=self.index,
            replaces=None if self.replaces is None else self.replaces.text,
            rename=self.rename,
            origin=self.origin,
            source=self.source,
            referrers=[referrer.to_json() for referrer in self.referrers] or None,
            absentLayers=(
                None
                if self.absent_layers is None
                else [absent_layers.to_json(layer) for layer in self.absent_layers]
            ),
            leftBehind=list(self.left_behind) or None,
            verified=[item.to_json() for item in self.verified] or None,
            signatures=[signature.to_json() for signature in self.signatures] or None,
        )

    @property
    def root(self) -> Descriptor:
        """The descriptor of the root."""
        return Descriptor(self.media_type, self.digest, self.size)


@dataclass(frozen=True, slots=True)
class Inventory:
    """The content of a bundle. Times are UTC, in whole seconds."""

    format: Format
    stream: str
    serial: int
    created: datetime
    tool: Producer
    checksum_file: ChecksumFile
    images: tuple[BundledImage, ...]
    expires: datetime | None = None
    """The time at which the bundle expires; None: never."""
    complete: bool = True
    """Whether all images are included; False if images that failed are missing."""

    @property
    def type(self) -> str:
        """The version of the format that the content requires."""
        return TYPE_2 if any(image.signatures for image in self.images) else TYPE

    def is_expired(self, now: datetime) -> bool:
        """Whether the bundle has expired at ``now``, which has a time zone."""
        return self.expires is not None and now >= self.expires

    def to_bytes(self) -> bytes:
        """Return the canonical JSON, the bytes that are written and signed."""
        checksum_file = self.checksum_file
        value = _omit_none(
            _type=self.type,
            format=self.format,
            stream=self.stream,
            serial=self.serial,
            created=timestamps.format_utc(self.created),
            expires=None if self.expires is None else timestamps.format_utc(self.expires),
            complete=self.complete,
            tool={"name": self.tool.name, "version": self.tool.version},
            sums={
                "path": _CHECKSUM_FILE,
                "digest": checksum_file.digest.text,
                "size": checksum_file.size,
                "count": checksum_file.count,
            },
            images=[image.to_json() for image in self.images],
        )
        return strict.dumps(value) + b"\n"


def create_serial(previous: int | None, now: datetime) -> int:
    """Return the serial of a new bundle: the time in seconds, but larger than ``previous``.

    If the former bundle is not available, the time still makes the serials of a stream increase.
    """
    seconds = int(now.timestamp())
    return seconds if previous is None else max(previous + 1, seconds)


def is_stream_name(text: str) -> bool:
    """Whether ``text`` can be the name of a stream, which becomes part of file names.

    A name has at most 127 characters: ASCII letters, digits, ``.``, ``_`` and ``-``.
    """
    return _STREAM.fullmatch(text) is not None and not text.endswith(".")


def parse(raw: bytes, *, subject: str = "bundle.json") -> Inventory:
    """Parse the bytes of a ``bundle.json``, which the caller has authenticated.

    Raises:
        MalformedError: not strict JSON, or a member is missing, invalid or out of range.
        LimitError: too large, or too many entries.
        UnsupportedError: a version of the format that is not known, a delta or a volume.
    """
    if len(raw) > strict.MAX_DOCUMENT and not raw.isascii():  # as str, four bytes per character
        raise LimitError(
            f"{subject}: too large (expected at most {strict.MAX_DOCUMENT:,} bytes, or ASCII only)"
        )
    table = Table.parse(raw, subject, limit=MAX_INVENTORY)
    _check_version(table)
    has_signatures = table.value["_type"] == TYPE_2
    images = tuple(
        BundledImage.from_json(item, has_signatures=has_signatures)
        for item in table.tables("images", MAX_ITEMS)
    )
    names = Counter(image.reference for image in images)
    for name in (name for name, uses in names.items() if uses > 1):
        raise table.problem(f"{name} is listed twice")
    stream = _read_text(table, "stream")
    if not is_stream_name(stream):
        raise table.problem(f"{stream[:80]!r} is not a valid stream name")
    tool, checksum_file = table.table("tool"), table.table("sums")
    path, digest = checksum_file.text("path"), checksum_file.digest("digest")
    if path != _CHECKSUM_FILE:
        raise checksum_file.problem(f"path is {path[:80]!r} (expected {_CHECKSUM_FILE!r})")
    if digest.algorithm != "sha256":
        raise checksum_file.problem(f"digest is {digest} (expected sha256)")
    expires = table.text("expires") if "expires" in table else None
    return Inventory(
        format=table.one_of("format", get_args(Format)),
        stream=stream,
        serial=table.integer("serial"),
        created=timestamps.parse_utc(table.text("created"), subject),
        expires=timestamps.parse_utc(expires, subject) if expires else None,
        complete=table.flag("complete"),
        tool=Producer(_read_text(tool, "name"), _read_text(tool, "version")),
        checksum_file=ChecksumFile(
            digest, checksum_file.integer("size"), checksum_file.integer("count")
        ),
        images=images,
    )


def _omit_none(**values: strict.JSON) -> strict.JSON:
    return {name: value for name, value in values.items() if value is not None}


def _check_version(table: Table) -> None:
    """Refuse unknown versions, and deltas and volumes, which would otherwise appear damaged."""
    actual = table.value.get("_type")
    if actual not in (TYPE, TYPE_2):
        if isinstance(actual, str) and actual.startswith(_FAMILY):
            raise UnsupportedError(
                f"{table.subject}: unknown format {actual[:40]!r} (expected at most {TYPE_2!r})",
                hint="use the airbundle that came with the bundle",
            )
        raise table.problem(f"not the inventory of a bundle: _type is not {TYPE!r} or {TYPE_2!r}")
    table.refuse_other_case(_FIELDS)
    for name in _PARTIAL:
        if name in table:
            raise UnsupportedError(
                f"{table.subject}: a bundle with {name!r} is a delta or one of several volumes,"
                " which this version cannot read",
                hint="use a newer airbundle, or export a complete bundle",
            )


def _read_verified(table: Table) -> tuple[VerifiedSignature, ...]:
    """Read the member ``verified``; entries of other forms, which have no effect, are ignored."""
    if "verified" not in table:
        return ()
    from bundler.copy.signature_requirements import VerifiedSignature  # noqa: PLC0415 - rare

    found = []
    with suppress(MalformedError, LimitError):
        for item in table.tables("verified", MAX_ITEMS):
            with suppress(MalformedError):
                verified = VerifiedSignature(
                    item.digest("manifest"),
                    key=_read_optional_text(item, "key"),
                    issuer=_read_optional_text(item, "issuer"),
                    identity=_read_optional_text(item, "identity"),
                    policy=item.digest("policy") if "policy" in item else None,
                )
                found.append(verified)
    return tuple(found)


def _read_signatures(table: Table) -> tuple[BundledSignature, ...]:
    from bundler.bundle.format import image_signatures  # noqa: PLC0415 - only for this version

    return image_signatures.read_entries(table)


def _read_media_type(table: Table) -> str:
    media_type = _read_text(table, "mediaType")
    if media_type not in media_types.IMAGE_MANIFESTS | media_types.INDEXES:
        raise table.problem(f"{media_type[:80]!r} is not the media type of a manifest")
    return media_type


def _read_text(table: Table, key: str) -> str:
    return _check_printable(table.text(key), table, key)


def _read_optional_text(table: Table, key: str) -> str | None:
    return _read_text(table, key) if table.optional_text(key) else None


def _read_tag(table: Table) -> str | None:
    tag = _read_optional_text(table, "tag")
    if tag is not None and not is_tag(tag):
        raise table.problem(f"{tag[:140]!r} is not a valid tag")
    return tag


def _check_printable(text: str, table: Table, key: str) -> str:
    """Refuse text that could send control sequences to a terminal."""
    if len(text) > MAX_TEXT or not text.isprintable():
        raise table.problem(f"{key} is not printable text of at most {MAX_TEXT:,} characters")
    return text
