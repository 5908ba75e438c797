"""The signed content of an image's signature: the image name and the manifest digest.

Simple signatures and sigstore signatures differ only in the type that the content states. All
members are checked: a parser that ignores some of them may accept what was signed for another
purpose. Only the two optional members that are known have a type.

https://github.com/containers/image/blob/v5.36.2/docs/atomic-signature.md
https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md#payload
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

from bundler import __version__
from bundler.errors import BundlerError
from bundler.gocompat import json_encoding
from bundler.oci.json import strict
from bundler.oci.json.table import Table
from bundler.oci.manifest import compute_manifest_digest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from datetime import datetime

    from bundler.oci.digest import Digest

MAX_PAYLOAD = 4 * 1024 * 1024
_SUBJECT = "signed payload"


@dataclass(frozen=True, slots=True)
class SignedPayload:
    """The content of a signature, as the signer stated it."""

    kind: ClassVar[str]
    """The type that the content states."""
    optional_may_be_null: ClassVar[bool] = False
    """Whether the member ``optional`` may be null, as cosign writes it."""

    reference: str
    """The name of the image. It need not be a valid reference."""
    digest: Digest
    """The digest of the manifest."""
    creator: str | None = None
    """The program that created the signature."""
    timestamp: int | None = None
    """The time of signing, in seconds since 1970."""

    @classmethod
    def create(cls, reference: str, digest: Digest, moment: datetime) -> Self:
        """Create the content of a new signature."""
        return cls(reference, digest, f"airbundle {__version__}", int(moment.timestamp()))

    @classmethod
    def parse(cls, raw: bytes, create_error: Callable[[str], BundlerError]) -> Self:
        """Parse the content of a signature.

        Raises:
            create_error: ``raw`` is not the content of a signature of this kind.
        """
        try:
            value = Table.parse(raw, _SUBJECT, limit=MAX_PAYLOAD).value
        except BundlerError as error:
            raise create_error(error.message) from None
        table = Table(value, _SUBJECT, create_error)
        _require_members(table, ("critical", "optional"))
        if "optional" not in table and not cls.optional_may_be_null:
            raise table.problem("optional is null")
        optional = table.table("optional")  # other members are annotations of the signer
        timestamp = optional.value.get("timestamp")
        if timestamp is not None:
            is_number = isinstance(timestamp, int | float) and not isinstance(timestamp, bool)
            if not is_number or abs(timestamp) > strict.MAX_INTEGER or timestamp != int(timestamp):
                raise optional.problem("timestamp is not an integer of 64 bits")
            timestamp = int(timestamp)
        creator = optional.optional_text("creator")
        critical = table.table("critical")
        _require_members(critical, ("type", "image", "identity"))
        if (kind := critical.text("type")) != cls.kind:
            raise critical.problem(f"the type is {kind[:80]!r} (expected {cls.kind!r})")
        image, identity = critical.table("image"), critical.table("identity")
        _require_members(image, ("docker-manifest-digest",))
        _require_members(identity, ("docker-reference",))
        digest = image.digest("docker-manifest-digest")
        return cls(identity.text("docker-reference"), digest, creator, timestamp)

    def to_bytes(self) -> bytes:
        """Return the JSON document, with its members as containers/image writes them."""
        optional: dict[str, object] = {}
        if self.creator is not None:
            optional["creator"] = self.creator
        if self.timestamp is not None:
            optional["timestamp"] = self.timestamp
        critical = {
            "identity": {"docker-reference": self.reference},
            "image": {"docker-manifest-digest": self.digest.text},
            "type": self.kind,
        }
        return json_encoding.dumps({"critical": critical, "optional": optional})

    def is_about(self, manifest: bytes) -> bool:
        """Return whether the signed digest is the sha256 of ``manifest``.

        As for Skopeo, another digest of the manifest does not match.
        """
        return self.digest == compute_manifest_digest(manifest, subject="manifest")


def _require_members(table: Table, names: Collection[str]) -> None:
    """Check that ``table`` has exactly the members ``names``."""
    table.refuse_unknown(names)
    for name in names:
        if name not in table.value:
            raise table.problem(f"{name} is missing")
