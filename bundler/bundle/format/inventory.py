"""The inventory: what a bundle says of itself, in ``bundle.json``, the one signed document.

It is written as canonical JSON, so that equal inventories have equal bytes. A reader takes the
raw bytes, authenticates those, and only then parses them; it never writes them again.

``_type`` names the version of the format. A reader refuses any that it does not know and ignores
members that it does not know: whatever must not be ignored gets a new ``_type``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, Self, cast

from bundler.bundle.format import inventory_fields as members
from bundler.errors import MalformedError, UnsupportedError
from bundler.oci import manifest, media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.json import fields, strict

if TYPE_CHECKING:
    from bundler.copy.graph import Referrer, ResolvedImage
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import IndexMode

TYPE = "airbundle/bundle/v1"
MAX_INVENTORY = 16 * 1024 * 1024

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
    value = strict.load_object(raw, subject=subject, limit=MAX_INVENTORY)
    _check_type(value, subject)
    fields.refuse_other_case(value, _FIELDS, subject)
    _refuse_partial(value, subject)
    images = members.many(value, "images", subject, _image)
    _refuse_repeats(images, subject)
    stream = members.text(value, "stream", subject)
    if not is_stream_name(stream):
        raise MalformedError(f"{subject}: {stream[:80]!r} cannot be the name of a stream")
    return Inventory(
        format=cast("Format", members.one_of(value, "format", ("oci", "dir"), subject)),
        stream=stream,
        serial=fields.integer(value, "serial", subject),
        created=members.time(members.text(value, "created", subject), subject),
        expires=None if value.get("expires") is None else members.time(value["expires"], subject),
        complete=members.flag(value, "complete", subject),
        tool=_tool(members.obj(value, "tool", subject), subject),
        sums=_sums(members.obj(value, "sums", subject), subject),
        images=images,
    )


def _to_json(inventory: Inventory) -> strict.JSON:
    return _without_none(
        _type=TYPE,
        format=inventory.format,
        stream=inventory.stream,
        serial=inventory.serial,
        created=format_time(inventory.created),
        expires=None if inventory.expires is None else format_time(inventory.expires),
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


def format_time(moment: datetime) -> str:
    """UTC to the second, as in ``2026-11-23T07:00:00Z``; ``moment`` has a time zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _check_type(value: dict[str, Any], subject: str) -> None:
    kind = value.get("_type")
    if kind == TYPE:
        return
    if isinstance(kind, str) and kind.startswith(_FAMILY):
        raise UnsupportedError(
            f"{subject}: written in format {kind[:40]!r}, and this program reads {TYPE!r}",
            hint="use the airbundle that came with the bundle",
        )
    raise MalformedError(f"{subject}: its _type is not {TYPE!r}, so this is no bundle's inventory")


def _refuse_partial(value: dict[str, Any], subject: str) -> None:
    """Refuse a delta or a volume: read as a whole bundle, its missing blobs would be damage."""
    for name in _PARTIAL:
        if value.get(name) is not None:
            raise UnsupportedError(
                f"{subject}: it has {name!r}, so the bundle is a delta or one of several volumes, "
                "and this program reads whole bundles only",
                hint="use an airbundle that reads it, or export the bundle whole",
            )


def _image(value: dict[str, Any], subject: str) -> BundledImage:
    fields.refuse_other_case(value, _IMAGE_FIELDS, subject)
    index = (
        None
        if value.get("index") is None
        else members.one_of(value, "index", ("all", "strip", "sparse"), subject)
    )
    platforms = fields.texts(value, "platforms", subject)
    return BundledImage(
        reference=members.text(value, "reference", subject),
        digest=members.digest(value, "digest", subject),
        media_type=members.manifest_type(value, subject),
        size=fields.integer(value, "size", subject),
        platforms=tuple(members.shown(item, subject) for item in platforms),
        index=cast("IndexMode | None", index),
        replaces=members.optional_digest(value, "replaces", subject),
        rename=members.optional_text(value, "rename", subject),
        origin=members.optional_text(value, "origin", subject),
        source=members.optional_text(value, "source", subject),
        referrers=members.many(value, "referrers", subject, _referrer),
    )


def _referrer(value: dict[str, Any], subject: str) -> BundledReferrer:
    return BundledReferrer(
        digest=members.digest(value, "digest", subject),
        media_type=members.manifest_type(value, subject),
        size=fields.integer(value, "size", subject),
        subject=members.digest(value, "subject", subject),
        artifact_type=members.optional_text(value, "artifactType", subject),
        tag=members.optional_text(value, "tag", subject),
    )


def _tool(value: dict[str, Any], subject: str) -> Producer:
    return Producer(members.text(value, "name", subject), members.text(value, "version", subject))


def _sums(value: dict[str, Any], subject: str) -> ChecksumFile:
    path = members.text(value, "path", subject)
    if path != "SHA256SUMS":
        raise MalformedError(f"{subject}: sums.path is {path[:80]!r} instead of 'SHA256SUMS'")
    digest = members.digest(value, "digest", subject)
    if digest.algorithm != "sha256":
        raise MalformedError(f"{subject}: sums.digest must be a sha256")
    size, count = fields.integer(value, "size", subject), fields.integer(value, "count", subject)
    return ChecksumFile(path, digest, size, count)


def _refuse_repeats(images: tuple[BundledImage, ...], subject: str) -> None:
    seen: set[str] = set()
    for image in images:
        if image.reference in seen:
            raise MalformedError(f"{subject}: {image.reference[:200]} is listed twice")
        seen.add(image.reference)
