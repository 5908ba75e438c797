"""The sealed plan: ``plan.json``, the signed document before the content of an archive or a volume.

A reader needs it where the beginning of a bundle is read before its end exists or has arrived. It
announces the images, and the content in the order in which it follows. It is signed like an
inventory, with the same keys, but proves nothing about what has arrived: only the inventory, which
ends the bundle, completes it. The content is listed in a file of its own, ``CONTENTS``: a line
``<digest> <size> <volume>`` for each manifest, config and layer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, NamedTuple

from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.inventory.inventory import ChecksumFile, Inventory, Producer
from bundler.bundle.format.inventory.parse_inventory import MAX_INVENTORY, read_images, read_stream
from bundler.errors import LimitError, MalformedError, UnsupportedError
from bundler.oci.digest import Digest
from bundler.oci.json import strict, timestamps
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from bundler.bundle.format.inventory.inventory import BundledImage
    from bundler.trust.private_keys.signers import Signer

TYPE = "airbundle/plan/v1"
MAX_CONTENTS = 48 * 1024 * 1024
"""Maximum size of ``CONTENTS`` in bytes, enough for as many files as a bundle may have."""
MAX_VOLUMES = 10_000

_FIELDS = ("_type", "stream", "serial", "created", "expires", "images", "contents", "volumes")
_LINE = re.compile(r"(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}) (0|[1-9][0-9]{0,17}) ([1-9][0-9]*)")


class PlannedContent(NamedTuple):
    """A manifest, config or layer, its size in bytes, and the volume that carries it."""

    digest: Digest
    size: int
    volume: int = 1


@dataclass(frozen=True, slots=True)
class PlannedVolume:
    """A volume of the bundle."""

    number: int
    """Counted from 1."""
    count: int
    """The number of files that its checksum file lists."""
    size: int
    """The total size of these files in bytes."""
    digest: Digest
    """The digest of its checksum file."""


@dataclass(frozen=True, slots=True)
class SealedPlan:
    """The announced content of a bundle. Times are UTC, in whole seconds.

    ``stream``, ``serial``, ``created`` and ``expires`` are those of the inventory, which lists no
    other images.
    """

    stream: str
    serial: int
    created: datetime
    images: tuple[BundledImage, ...]
    contents: ChecksumFile
    """The digest of ``CONTENTS``, its size in bytes, and the number of its lines."""
    expires: datetime | None = None
    volumes: tuple[PlannedVolume, ...] = ()
    """The volumes; empty: the bundle is an archive."""

    def announce_inventory(self) -> Inventory:
        """Return the inventory as far as the plan announces it; its ``tool`` is unknown."""
        return Inventory(
            format="oci",
            stream=self.stream,
            serial=self.serial,
            created=self.created,
            tool=Producer("airbundle", ""),
            checksum_file=self.contents,
            images=self.images,
            expires=self.expires,
        )

    def sign(self, keys: Iterable[Signer]) -> tuple[bytes, dict[str, bytes]]:
        """Return the bytes of ``plan.json``, and its signatures by the names of their files.

        Raises:
            LimitError: its readers would refuse it.
            SignerError: a signer failed.
        """
        raw = self.to_bytes()
        parse_sealed_plan(raw)
        return raw, {
            bundle_paths.format_signature_name(key.public.id, bundle_paths.PLAN): key.sign(raw)
            for key in keys
        }

    def to_bytes(self) -> bytes:
        """Return the canonical JSON, the bytes that are written and signed."""
        value: dict[str, strict.JSON] = {
            "_type": TYPE,
            "stream": self.stream,
            "serial": self.serial,
            "created": timestamps.format_utc(self.created),
            "images": [image.to_json() for image in self.images],
            "contents": {
                "path": bundle_paths.CONTENTS,
                "digest": self.contents.digest.text,
                "size": self.contents.size,
                "count": self.contents.count,
            },
        }
        if self.expires is not None:
            value["expires"] = timestamps.format_utc(self.expires)
        if self.volumes:
            value["volumes"] = [
                {
                    "number": volume.number,
                    "count": volume.count,
                    "size": volume.size,
                    "digest": volume.digest.text,
                }
                for volume in self.volumes
            ]
        return strict.dumps(value) + b"\n"


def parse_sealed_plan(raw: bytes, *, subject: str = bundle_paths.PLAN) -> SealedPlan:
    """Parse the bytes of a ``plan.json``, which the caller has authenticated.

    Raises:
        MalformedError: not strict JSON, or a member is missing, invalid or out of range.
        LimitError: too large, or too many entries.
        UnsupportedError: a version of the format that is not known.
    """
    table = Table.parse(raw, subject, limit=MAX_INVENTORY)
    actual = table.value.get("_type")
    if actual != TYPE:
        if isinstance(actual, str) and actual.startswith("airbundle/plan/"):
            raise UnsupportedError(
                f"{subject}: unknown format {actual[:40]!r} (expected at most {TYPE!r})",
                hint="use the airbundle that came with the bundle",
            )
        raise table.problem(f"not a sealed plan: _type is not {TYPE!r}")
    table.refuse_other_case(_FIELDS)
    contents = table.table("contents")
    if (path := contents.text("path")) != bundle_paths.CONTENTS:
        raise contents.problem(f"path is {path[:80]!r} (expected {bundle_paths.CONTENTS!r})")
    volumes = tuple(
        PlannedVolume(
            item.integer("number"),
            item.integer("count"),
            item.integer("size"),
            item.digest("digest"),
        )
        for item in table.tables("volumes", MAX_VOLUMES)
    )
    if [volume.number for volume in volumes] != list(range(1, len(volumes) + 1)):
        raise table.problem("volumes are not numbered from 1")
    expires = table.text("expires") if "expires" in table else None
    return SealedPlan(
        stream=read_stream(table),
        serial=table.integer("serial"),
        created=timestamps.parse_utc(table.text("created"), subject),
        images=read_images(table, has_signatures=True),
        contents=ChecksumFile(
            contents.digest("digest"), contents.integer("size"), contents.integer("count")
        ),
        expires=None if expires is None else timestamps.parse_utc(expires, subject),
        volumes=volumes,
    )


def render_contents(contents: Sequence[PlannedContent]) -> tuple[bytes, ChecksumFile]:
    """Return the bytes of ``CONTENTS``, and its description for the plan.

    Raises:
        LimitError: there is more content than its readers accept.
    """
    raw = "".join(f"{item.digest} {item.size} {item.volume}\n" for item in contents).encode()
    if len(raw) > MAX_CONTENTS:
        raise LimitError(
            f"{bundle_paths.CONTENTS}: too large (expected at most {MAX_CONTENTS:,} bytes,"
            f" got {len(raw):,})",
            hint="divide the images among several bundle manifests",
        )
    return raw, ChecksumFile(Digest.of(raw), len(raw), len(contents))


def parse_contents(raw: bytes, listed: ChecksumFile) -> tuple[PlannedContent, ...]:
    """Parse the bytes of ``CONTENTS``, which the plan describes as ``listed``.

    Raises:
        DigestMismatchError: the plan states another digest.
        MalformedError: a line is invalid, or a digest is listed twice.
    """
    listed.digest.verify(raw, bundle_paths.CONTENTS)
    found: dict[Digest, PlannedContent] = {}
    for number, line in enumerate(BytesIO(raw), 1):
        match = _LINE.fullmatch(line.decode("ascii", "replace"), 0, len(line) - 1)
        if match is None or not line.endswith(b"\n") or len(match[3]) > len(str(MAX_VOLUMES)):
            raise MalformedError(
                f"{bundle_paths.CONTENTS}: line {number} is malformed"
                " (expected <digest> <size> <volume>)"
            )
        item = PlannedContent(Digest(match[1]), int(match[2]), int(match[3]))
        if item.digest in found:
            raise MalformedError(f"{bundle_paths.CONTENTS}: line {number} is a duplicate")
        found[item.digest] = item
    if len(found) != listed.count:
        raise MalformedError(
            f"{bundle_paths.CONTENTS}: wrong number of lines"
            f" (expected {listed.count:,}, got {len(found):,})"
        )
    return tuple(found.values())
