"""The inventory of a bundle: ``bundle.json``, the document that is signed.

It is written as canonical JSON, so that equal inventories have equal bytes, and a reader never
writes it again. ``parse_inventory`` reads it. A bundle has version 2 or 3 only if it contains
something that version 1 does not have; otherwise older readers can read it too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.inventory import absent_layers
from bundler.oci.descriptor import Descriptor
from bundler.oci.json import strict, timestamps

if TYPE_CHECKING:
    from datetime import datetime

    from bundler.bundle.format.inventory.recovery_record import RecoveryRecord
    from bundler.bundle.format.signatures.image_signatures import BundledSignature
    from bundler.copy.signature_requirements import VerifiedSignature
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import IndexMode
    from bundler.oci.reference import ImageReference

TYPE = "airbundle/bundle/v1"
TYPE_2 = "airbundle/bundle/v2"
"""The version with signature files of images."""
TYPE_3 = "airbundle/bundle/v3"
"""Version 2 with presupposed blobs, or with a carried program."""

Format = Literal["oci", "dir"]

_STREAM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}")


@dataclass(frozen=True, slots=True)
class Producer:
    """The program that wrote the bundle."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class ChecksumFile:
    """The digest of a list of the bundle, such as SHA256SUMS, its size in bytes, and its lines."""

    digest: Digest
    size: int
    count: int

    def to_json(self, path: str) -> strict.JSON:
        """Return the description of the file ``path`` as JSON."""
        return {"path": path, "digest": self.digest.text, "size": self.size, "count": self.count}


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
    """The mirror or rewritten location of the image; None: the registry in ``reference``."""
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
class RelayedBundle:
    """The bundle from which the images of a relayed bundle were copied."""

    stream: str
    serial: int
    inventory: Digest
    """The SHA-256 of its ``bundle.json``."""
    signed_by: tuple[str, ...]
    """The IDs of the trusted keys that had signed it."""

    def to_json(self) -> strict.JSON:
        """Return the entry as JSON."""
        return {
            "stream": self.stream,
            "serial": self.serial,
            "inventory": self.inventory.text,
            "signedBy": list(self.signed_by),
        }


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
    relayed: tuple[RelayedBundle, ...] = ()
    """The bundles through which the images came, the first one first; empty: exported directly."""
    presupposed_file: ChecksumFile | None = None
    """The list of the blobs that the bundle lacks because its target has them; None: there are
    none."""
    recovery: RecoveryRecord | None = None
    """The recovery data of the bundle; None: there is none."""

    program: str | None = None
    """The directory of the carried program; None: there is none."""

    @property
    def type(self) -> str:
        """The version of the format that the content requires."""
        if self.presupposed_file is not None or self.program is not None:
            return TYPE_3
        return TYPE_2 if any(image.signatures for image in self.images) else TYPE

    def is_expired(self, now: datetime) -> bool:
        """Whether the bundle has expired at ``now``, which has a time zone."""
        return self.expires is not None and now >= self.expires

    def to_bytes(self) -> bytes:
        """Return the canonical JSON, the bytes that are written and signed."""
        presupposed = self.presupposed_file
        value = _omit_none(
            _type=self.type,
            format=self.format,
            stream=self.stream,
            serial=self.serial,
            created=timestamps.format_utc(self.created),
            expires=None if self.expires is None else timestamps.format_utc(self.expires),
            complete=self.complete,
            tool={"name": self.tool.name, "version": self.tool.version},
            sums=self.checksum_file.to_json(bundle_paths.CHECKSUM_FILE),
            presupposes=(
                None if presupposed is None else presupposed.to_json(bundle_paths.PRESUPPOSED)
            ),
            images=[image.to_json() for image in self.images],
            program=self.program,
            relayed=[bundle.to_json() for bundle in self.relayed] or None,
            recovery=None if self.recovery is None else self.recovery.to_json(),
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


def _omit_none(**values: strict.JSON) -> strict.JSON:
    return {name: value for name, value in values.items() if value is not None}
