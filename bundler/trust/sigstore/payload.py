"""The signed content of an image's sigstore signature: the image name and the manifest digest.

All members are checked: a parser that ignores some of them may accept what was signed for another
purpose. Only the two optional members that are known have a type.

https://github.com/containers/image/blob/v5.36.2/docs/atomic-signature.md
https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md#payload
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler import __version__
from bundler.gocompat import json_encoding
from bundler.trust.sigstore.documents import parse_document, require_members

if TYPE_CHECKING:
    from datetime import datetime

    from bundler.oci.digest import Digest
    from bundler.oci.json.table import Table

TYPE = "cosign container image signature"
MAX_PAYLOAD = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Payload:
    """The content of a signature, as the signer stated it."""

    reference: str
    """The name of the image. It need not be a valid reference."""
    digest: Digest
    """The digest of the manifest."""
    creator: str | None = None
    """The program that created the signature."""
    timestamp: int | None = None
    """The time of signing, in seconds since 1970."""

    @classmethod
    def create(cls, reference: str, digest: Digest, moment: datetime) -> Payload:
        """Create the content of a new signature."""
        return cls(reference, digest, f"airbundle {__version__}", int(moment.timestamp()))

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
            "type": TYPE,
        }
        return json_encoding.dumps({"critical": critical, "optional": optional})


def parse_payload(raw: bytes) -> Payload:
    """Parse the content of a signature.

    Raises:
        SigstoreSignatureError: ``raw`` is not the content of an image's signature.
    """
    table = parse_document(raw, "signed payload", "payload", limit=MAX_PAYLOAD)
    require_members(table, ("critical", "optional"))
    creator, timestamp = _parse_optional(table.table("optional"))
    critical = table.table("critical")
    require_members(critical, ("type", "image", "identity"))
    if (kind := critical.text("type")) != TYPE:
        raise critical.problem(f"the type is {kind[:80]!r} (expected {TYPE!r})")
    image, identity = critical.table("image"), critical.table("identity")
    require_members(image, ("docker-manifest-digest",))
    require_members(identity, ("docker-reference",))
    digest = image.digest("docker-manifest-digest")
    return Payload(identity.text("docker-reference"), digest, creator, timestamp)


def _parse_optional(table: Table) -> tuple[str | None, int | None]:
    """Return the creator and the timestamp; other members are annotations of the signer."""
    moment = table.value.get("timestamp")
    if moment is not None:
        if not isinstance(moment, int | float) or isinstance(moment, bool) or moment != int(moment):
            raise table.problem("timestamp is not an integer")
        moment = int(moment)
    return table.optional_text("creator"), moment
