"""Parse the inventory of a bundle, strictly: its bytes come from outside.

The caller authenticates the bytes before they are parsed. ``_type`` is the version of the format.
Versions that are not known are refused, and members that are not known are ignored; a member that
must not be ignored needs a new ``_type``.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, get_args

from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.inventory import absent_layers
from bundler.bundle.format.inventory.inventory import (
    TYPE,
    TYPE_2,
    TYPE_3,
    BundledImage,
    BundledReferrer,
    ChecksumFile,
    Format,
    Inventory,
    Producer,
    RelayedBundle,
    is_stream_name,
)
from bundler.errors import InvalidReferenceError, LimitError, MalformedError, UnsupportedError
from bundler.oci import media_types
from bundler.oci.json import strict, timestamps
from bundler.oci.json.table import Table
from bundler.oci.manifest import IndexMode
from bundler.oci.reference import ImageReference, is_tag

if TYPE_CHECKING:
    from bundler.bundle.format.signatures.image_signatures import BundledSignature
    from bundler.copy.signature_requirements import VerifiedSignature

MAX_INVENTORY = 16 * 1024 * 1024
MAX_ITEMS = 100_000
MAX_TEXT = 4096

MAX_RELAYS = 16
"""Maximum number of bundles through which images came."""
MAX_SIGNERS = 32
_KEY_ID = re.compile("[0-9a-f]{64}")
_ANY_HOST = "host.example"  # completes a name without a host, which is then parsed
FAMILY = "airbundle/bundle/"
"""The beginning of the types of all versions."""
_PARTIAL = ("base", "volumes")
"""Members that are reserved for deltas and volumes."""
_FIELDS = (
    *("_type", "format", "stream", "serial", "created", "expires", "complete", "tool", "sums"),
    *("images", "program", "relayed", "presupposes", "recovery", *_PARTIAL),
)
_IMAGE_FIELDS = (
    *("reference", "digest", "mediaType", "size", "platforms", "index", "replaces", "rename"),
    *("origin", "source", "referrers", "verified", "absentLayers", "leftBehind"),
    "signatures",
)


@lru_cache(1)  # a rehearsal after a verification parses the same bytes
def parse_inventory(raw: bytes, *, subject: str = "bundle.json") -> Inventory:
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
    version = table.value["_type"]
    images = read_images(table, has_signatures=version in (TYPE_2, TYPE_3))
    tool, presupposed = table.table("tool"), None
    if version == TYPE_3 and "presupposes" in table:
        presupposed = read_list(table.table("presupposes"), bundle_paths.PRESUPPOSED)
    program = table.optional_text("program") if version == TYPE_3 else None
    if program is not None and ("/" in program or not bundle_paths.is_program(program)):
        raise table.problem(f"{program[:80]!r} is not the directory of a program")
    expires = table.text("expires") if "expires" in table else None
    recovery = None
    if "recovery" in table:
        from bundler.bundle.format.inventory.recovery_record import RecoveryRecord  # noqa: PLC0415 - optional

        recovery = RecoveryRecord.from_json(table.table("recovery"))
    return Inventory(
        format=table.one_of("format", get_args(Format)),
        stream=read_stream(table),
        serial=table.integer("serial"),
        created=timestamps.parse_utc(table.text("created"), subject),
        expires=timestamps.parse_utc(expires, subject) if expires else None,
        complete=table.flag("complete"),
        tool=Producer(read_text(tool, "name"), read_text(tool, "version")),
        checksum_file=read_list(table.table("sums"), bundle_paths.CHECKSUM_FILE),
        images=images,
        program=program,
        relayed=tuple(map(_read_relayed, table.tables("relayed", MAX_RELAYS))),
        presupposed_file=presupposed,
        recovery=recovery,
    )


def _read_relayed(table: Table) -> RelayedBundle:
    signers = table.texts("signedBy")
    if len(signers) > MAX_SIGNERS or not all(map(_KEY_ID.fullmatch, signers)):
        raise table.problem(f"signedBy is not an array of at most {MAX_SIGNERS} key IDs")
    return RelayedBundle(
        read_stream(table), table.integer("serial"), table.digest("inventory"), signers
    )


def read_images(table: Table, *, has_signatures: bool) -> tuple[BundledImage, ...]:
    """Read the member ``images`` of an inventory or a sealed plan; raises as ``parse_inventory``.

    ``has_signatures``: the version of the format has the member ``signatures``.
    """
    images = tuple(
        _read_image(item, has_signatures=has_signatures)
        for item in table.tables("images", MAX_ITEMS)
    )
    if sum(len(image.left_behind) for image in images) > MAX_ITEMS:
        raise LimitError(
            f"{table.subject}: too many entries in leftBehind (expected at most {MAX_ITEMS:,})"
        )
    names = Counter(image.reference for image in images)
    for name in (name for name, uses in names.items() if uses > 1):
        raise table.problem(f"{name} is listed twice")
    return images


def read_stream(table: Table) -> str:
    """Read the member ``stream`` of a document; raises as ``parse_inventory``."""
    stream = read_text(table, "stream")
    if not is_stream_name(stream):
        raise table.problem(f"{stream[:80]!r} is not a valid stream name")
    return stream


def read_list(table: Table, expected: str) -> ChecksumFile:
    """Read the description of the list in the file ``expected``."""
    path, digest = table.text("path"), table.digest("digest")
    if path != expected:
        raise table.problem(f"path is {path[:80]!r} (expected {expected!r})")
    if digest.algorithm != "sha256":
        raise table.problem(f"digest is {digest} (expected sha256)")
    return ChecksumFile(digest, table.integer("size"), table.integer("count"))


def _check_version(table: Table) -> None:
    """Refuse unknown versions, and deltas and volumes, which would otherwise appear damaged."""
    actual = table.value.get("_type")
    if actual not in (TYPE, TYPE_2, TYPE_3):
        if isinstance(actual, str) and actual.startswith(FAMILY):
            raise UnsupportedError(
                f"{table.subject}: unknown format {actual[:40]!r} (expected at most {TYPE_3!r})",
                hint="use the airbundle that came with the bundle",
            )
        raise table.problem(f"not the inventory of a bundle: _type does not begin with {FAMILY!r}")
    table.refuse_other_case(_FIELDS)
    for name in _PARTIAL if actual == TYPE_3 else (*_PARTIAL, "presupposes"):
        if name in table:
            raise UnsupportedError(
                f"{table.subject}: a bundle with {name!r} is a delta or one of several volumes,"
                " which this version cannot read",
                hint="use a newer airbundle, or export a complete bundle",
            )


def _read_image(table: Table, *, has_signatures: bool) -> BundledImage:
    """Read an entry of ``images``, see ``read_images``."""
    table.refuse_other_case(_IMAGE_FIELDS)
    text = read_text(table, "reference")
    try:
        reference = ImageReference.parse(text)
    except InvalidReferenceError as error:
        raise table.problem(f"reference: {error.message}") from None
    if str(reference) != text:
        raise table.problem(f"reference is {text[:200]!r} (expected {str(reference)!r})")
    signatures: tuple[BundledSignature, ...] = ()
    if has_signatures:
        from bundler.bundle.format.signatures import image_signatures  # noqa: PLC0415 - only for this version

        signatures = image_signatures.read_entries(table)
    platforms = table.texts("platforms")
    image = BundledImage(
        reference=reference,
        digest=table.digest("digest"),
        media_type=_read_media_type(table),
        size=table.integer("size"),
        platforms=tuple(check_printable(name, table, "platforms") for name in platforms),
        index=table.one_of("index", get_args(IndexMode)) if "index" in table else None,
        replaces=table.digest("replaces") if "replaces" in table else None,
        rename=read_optional_text(table, "rename"),
        origin=read_optional_text(table, "origin"),
        source=read_optional_text(table, "source"),
        referrers=tuple(map(_read_referrer, table.tables("referrers", MAX_ITEMS))),
        absent_layers=absent_layers.from_json(table) if "absentLayers" in table else None,
        left_behind=tuple(
            check_printable(name, table, "leftBehind") for name in table.texts("leftBehind")
        ),
        verified=_read_verified(table),
        signatures=signatures,
    )
    _check_names(image, table)
    return image


def _check_names(image: BundledImage, table: Table) -> None:
    """Check that the digests in the names are those of the image."""
    digests = {None, image.digest, image.replaces}
    if image.reference.digest not in digests:
        raise table.problem(f"reference has another digest (expected {image.digest})")
    if image.rename is None:
        return
    try:
        target = ImageReference.parse(f"{_ANY_HOST}/{image.rename}")
    except InvalidReferenceError:
        raise table.problem(f"rename: {image.rename[:200]!r} is not a valid name") from None
    if target.digest not in digests:
        raise table.problem(f"rename has another digest (expected {image.digest})")


def _read_referrer(table: Table) -> BundledReferrer:
    """Read an entry of ``referrers``; raises as ``parse_inventory``."""
    tag = read_optional_text(table, "tag")
    if tag is not None and not is_tag(tag):
        raise table.problem(f"{tag[:140]!r} is not a valid tag")
    return BundledReferrer(
        digest=table.digest("digest"),
        media_type=_read_media_type(table),
        size=table.integer("size"),
        subject=table.digest("subject"),
        artifact_type=read_optional_text(table, "artifactType"),
        tag=tag,
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
                    key=read_optional_text(item, "key"),
                    issuer=read_optional_text(item, "issuer"),
                    identity=read_optional_text(item, "identity"),
                    policy=item.digest("policy") if "policy" in item else None,
                    trust_store=read_optional_text(item, "trustStore"),
                )
                found.append(verified)
    return tuple(found)


def _read_media_type(table: Table) -> str:
    media_type = read_text(table, "mediaType")
    if media_type not in media_types.IMAGE_MANIFESTS | media_types.INDEXES:
        raise table.problem(f"{media_type[:80]!r} is not the media type of a manifest")
    return media_type


def read_text(table: Table, key: str) -> str:
    """Return a printable string that must be present and not empty."""
    return check_printable(table.text(key), table, key)


def read_optional_text(table: Table, key: str) -> str | None:
    """Return a printable string, or None if it is absent or empty."""
    return read_text(table, key) if table.optional_text(key) else None


def check_printable(text: str, table: Table, key: str) -> str:
    """Refuse text that could send control sequences to a terminal."""
    if len(text) > MAX_TEXT or not text.isprintable():
        raise table.problem(f"{key} is not printable text of at most {MAX_TEXT:,} characters")
    return text
