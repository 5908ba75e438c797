"""The inventory: what a bundle says of itself, in ``bundle.json``, the one signed document.

It is written as canonical JSON, so that equal inventories have equal bytes. A reader takes the
raw bytes, authenticates those, and only then parses them; it never writes them again.

``_type`` names the version of the format. A reader refuses any that it does not know and ignores
members that it does not know: whatever must not be ignored gets a new ``_type``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self, get_args

from bundler.errors import UnsupportedError
from bundler.oci import manifest, media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.json import strict, timestamps
from bundler.oci.json.table import Table
from bundler.oci.manifest import IndexMode

if TYPE_CHECKING:
    from datetime import datetime

    from bundler.copy.graph import Referrer, ResolvedImage
    from bundler.oci.digest import Digest

TYPE = "airbundle/bundle/v1"
MAX_INVENTORY = 16 * 1024 * 1024
MAX_ITEMS = 100_000
MAX_TEXT = 4096

Format = Literal["oci", "dir"]

_FAMILY = "airbundle/bundle/"
_STREAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}")
_PARTIAL = ("base", "presupposes", "volumes")
"""Members reserved for bundles that are not whole by themselves: deltas and volumes."""
_FIELDS = (
    *("_type", "format", "stream", "serial", "created", "expires", "complete", "tool", "sums"),
    *("images", *_PARTIAL),
)
_IMAGE_FIELDS = (
    *("reference", "digest", "mediaType", "size", "platforms", "index", "replaces", "rename"),
    *("origin", "source", "referrers", "verified"),
)


@dataclass(frozen=True, slots=True)
class Producer:
    """Which program wrote the bundle."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class ChecksumFile:
    """What SHA256SUMS must be: its digest, its size in bytes, and how many files it lists."""

    path: str
    digest: Digest
    size: int
    count: int


@dataclass(frozen=True, slots=True)
class BundledReferrer:
    """A further root that travels with an image: a signature, an attestation, an SBOM."""

    digest: Digest
    media_type: str
    size: int
    subject: Digest
    """The manifest that it is about: the image, or one of its platforms."""
    artifact_type: str | None = None
    tag: str | None = None
    """Set where it was found by cosign's or the fallback scheme's tag, not by its subject."""

    @classmethod
    def from_resolved(cls, referrer: Referrer) -> Self:
        """Describe a referrer that is exported."""
        root = referrer.graph.root
        parsed = manifest.parse(referrer.graph.manifests[-1].raw, root.media_type)
        return cls(
            digest=root.digest,
            media_type=root.media_type,
            size=root.size,
            subject=referrer.subject,
            artifact_type=manifest.listed_type(parsed),
            tag=referrer.tag,
        )

    @property
    def root(self) -> Descriptor:
        """The referrer's own manifest."""
        return Descriptor(self.media_type, self.digest, self.size, artifact_type=self.artifact_type)


@dataclass(frozen=True, slots=True)
class BundledImage:
    """One image (or artifact, or chart) and how it came to be here."""

    reference: str
    """The full reference, host included, by which it was asked for."""
    digest: Digest
    """Of its root manifest."""
    media_type: str
    size: int
    """Of its root manifest, in bytes."""
    platforms: tuple[str, ...] = ()
    """Those that travel."""
    index: IndexMode | None = None
    """What was done to an index; None: the root is not an index."""
    replaces: Digest | None = None
    """The root's digest before platforms were taken out."""
    rename: str | None = None
    """The name, without host, that the bundle manifest wants inside."""
    origin: str | None = None
    """The file and line that asked for it."""
    source: str | None = None
    """Where it was really pulled from, if that is not ``reference``."""
    referrers: tuple[BundledReferrer, ...] = ()

    @classmethod
    def from_resolved(cls, image: ResolvedImage) -> Self:
        """Describe an image that is exported."""
        root, request = image.graph.root, image.request
        index: IndexMode | None = None
        if root.media_type in media_types.INDEXES:
            index = "strip" if image.replaces else request.selection.index
        return cls(
            reference=image.label,
            digest=root.digest,
            media_type=root.media_type,
            size=root.size,
            platforms=tuple(map(str, image.graph.platforms)),
            index=index,
            replaces=image.replaces,
            rename=request.rename,
            origin=request.origin or None,
            source=image.served_by,
            referrers=tuple(map(BundledReferrer.from_resolved, image.referrers)),
        )

    @property
    def root(self) -> Descriptor:
        """The image's root manifest."""
        return Descriptor(self.media_type, self.digest, self.size)


@dataclass(frozen=True, slots=True)
class Inventory:
    """All that a bundle holds. Times are UTC, whole seconds."""

    format: Format
    stream: str
    serial: int
    created: datetime
    tool: Producer
    sums: ChecksumFile
    images: tuple[BundledImage, ...]
    expires: datetime | None = None
    """None: never."""
    complete: bool = True
    """False: the export went on without images that could not be had."""

    def expired(self, now: datetime) -> bool:
        """Whether ``now`` (with a time zone) is at or after the date of expiry."""
        return self.expires is not None and now >= self.expires

    def to_bytes(self) -> bytes:
        """The canonical JSON; what is written and signed."""
        return strict.dumps(_to_json(self)) + b"\n"


def next_serial(previous: int | None, now: datetime) -> int:
    """The serial of a new bundle of a stream: the time in seconds, but always a larger one.

    No counter has to be kept: where the former bundle is not at hand, the clock orders them.
    """
    seconds = int(now.timestamp())
    return seconds if previous is None else max(previous + 1, seconds)


def is_stream_name(text: str) -> bool:
    """Whether ``text`` may name a stream: letters, digits, ``._-``, at most 127 characters.

    A stream's name becomes part of file names on both sides.
    """
    return _STREAM.fullmatch(text) is not None and not text.endswith(".")


def parse(raw: bytes, *, subject: str = "bundle.json") -> Inventory:
    """Parse the bytes of a ``bundle.json``, which the caller has authenticated.

    Raises:
        MalformedError: not strict JSON, or a member is missing, wrong or out of range.
        LimitError: larger or with more entries than allowed.
        UnsupportedError: a version of the format that this program does not know, or a bundle
            that is not whole by itself.
    """
    table = Table.parse(raw, subject, limit=MAX_INVENTORY)
    _check_type(table)
    table.refuse_other_case(_FIELDS)
    _refuse_partial(table)
    images = tuple(map(_read_image, table.tables("images", MAX_ITEMS)))
    _refuse_repeats(images, table)
    stream = _read_text(table, "stream")
    if not is_stream_name(stream):
        raise table.problem(f"{stream[:80]!r} cannot be the name of a stream")
    tool = table.table("tool")
    return Inventory(
        format=table.one_of("format", get_args(Format)),
        stream=stream,
        serial=table.integer("serial"),
        created=timestamps.parse_utc(table.text("created"), subject),
        expires=_read_expiry(table),
        complete=table.flag("complete"),
        tool=Producer(_read_text(tool, "name"), _read_text(tool, "version")),
        sums=_read_sums(table.table("sums")),
        images=images,
    )


def _to_json(inventory: Inventory) -> strict.JSON:
    return _without_none(
        _type=TYPE,
        format=inventory.format,
        stream=inventory.stream,
        serial=inventory.serial,
        created=timestamps.format_utc(inventory.created),
        expires=None if inventory.expires is None else timestamps.format_utc(inventory.expires),
        complete=inventory.complete,
        tool={"name": inventory.tool.name, "version": inventory.tool.version},
        sums={
            "path": inventory.sums.path,
            "digest": inventory.sums.digest.text,
            "size": inventory.sums.size,
            "count": inventory.sums.count,
        },
        images=[_image_to_json(image) for image in inventory.images],
    )


def _image_to_json(image: BundledImage) -> strict.JSON:
    return _without_none(
        reference=image.reference,
        digest=image.digest.text,
        mediaType=image.media_type,
        size=image.size,
        platforms=list(image.platforms) or None,
        index=image.index,
        replaces=None if image.replaces is None else image.replaces.text,
        rename=image.rename,
        origin=image.origin,
        source=image.source,
        referrers=[_referrer_to_json(item) for item in image.referrers] or None,
    )


def _referrer_to_json(referrer: BundledReferrer) -> strict.JSON:
    return _without_none(
        digest=referrer.digest.text,
        mediaType=referrer.media_type,
        size=referrer.size,
        subject=referrer.subject.text,
        artifactType=referrer.artifact_type,
        tag=referrer.tag,
    )


def _without_none(**values: strict.JSON) -> strict.JSON:
    return {name: value for name, value in values.items() if value is not None}


def _check_type(table: Table) -> None:
    actual = table.value.get("_type")
    if actual == TYPE:
        return
    if isinstance(actual, str) and actual.startswith(_FAMILY):
        raise UnsupportedError(
            f"{table.subject}: unknown format {actual[:40]!r} (expected {TYPE!r})",
            hint="use the airbundle that came with the bundle",
        )
    raise table.problem(f"not the inventory of a bundle: _type is not {TYPE!r}")


def _refuse_partial(table: Table) -> None:
    """Refuse a delta or a volume: as a whole bundle it would seem to be damaged."""
    for name in _PARTIAL:
        if name in table:
            raise UnsupportedError(
                f"{table.subject}: it has {name!r}, so the bundle is a delta or one of several "
                "volumes, and this program reads whole bundles only",
                hint="use an airbundle that reads it, or export the bundle whole",
            )


def _read_expiry(table: Table) -> datetime | None:
    if "expires" not in table:
        return None
    return timestamps.parse_utc(table.text("expires"), table.subject)


def _read_image(table: Table) -> BundledImage:
    table.refuse_other_case(_IMAGE_FIELDS)
    platforms = tuple(_printable(text, table, "platforms") for text in table.texts("platforms"))
    index = table.one_of("index", get_args(IndexMode)) if "index" in table else None
    return BundledImage(
        reference=_read_text(table, "reference"),
        digest=table.digest("digest"),
        media_type=_read_media_type(table),
        size=table.integer("size"),
        platforms=platforms,
        index=index,
        replaces=table.digest("replaces") if "replaces" in table else None,
        rename=_read_optional_text(table, "rename"),
        origin=_read_optional_text(table, "origin"),
        source=_read_optional_text(table, "source"),
        referrers=tuple(map(_read_referrer, table.tables("referrers", MAX_ITEMS))),
    )


def _read_referrer(table: Table) -> BundledReferrer:
    return BundledReferrer(
        digest=table.digest("digest"),
        media_type=_read_media_type(table),
        size=table.integer("size"),
        subject=table.digest("subject"),
        artifact_type=_read_optional_text(table, "artifactType"),
        tag=_read_optional_text(table, "tag"),
    )


def _read_sums(table: Table) -> ChecksumFile:
    path, digest = table.text("path"), table.digest("digest")
    if path != "SHA256SUMS":
        raise table.problem(f"path is {path[:80]!r} (expected 'SHA256SUMS')")
    if digest.algorithm != "sha256":
        raise table.problem(f"digest is {digest} (expected sha256)")
    return ChecksumFile(path, digest, table.integer("size"), table.integer("count"))


def _read_media_type(table: Table) -> str:
    media_type = _read_text(table, "mediaType")
    if media_type not in media_types.IMAGE_MANIFESTS | media_types.INDEXES:
        raise table.problem(f"{media_type[:80]!r} is not the media type of a manifest")
    return media_type


def _read_text(table: Table, key: str) -> str:
    return _printable(table.text(key), table, key)


def _read_optional_text(table: Table, key: str) -> str | None:
    return _read_text(table, key) if table.optional_text(key) else None


def _printable(text: str, table: Table, key: str) -> str:
    """Refuse text that could steer the terminal on which it is shown."""
    if len(text) > MAX_TEXT or not text.isprintable():
        raise table.problem(f"{key} is not printable text of at most {MAX_TEXT:,} characters")
    return text


def _refuse_repeats(images: tuple[BundledImage, ...], table: Table) -> None:
    seen: set[str] = set()
    for image in images:
        if image.reference in seen:
            raise table.problem(f"{image.reference[:200]} is listed twice")
        seen.add(image.reference)
