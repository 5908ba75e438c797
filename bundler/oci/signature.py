r"""Signatures of an image as bytes, as directories and lookaside stores contain them.

- A simple signature is an OpenPGP message that contains the signed payload.
- A sigstore signature is the line ``\0sigstore-json``, followed by a JSON object with the payload,
  its media type, and the annotations, of which one is the signature.

All content is untrusted until it is verified.

https://github.com/containers/image/blob/main/internal/signature/signature.go
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.errors import LimitError, MalformedError
from bundler.gocompat import json_encoding
from bundler.oci.json import base64_strict
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SIGNATURE = 4 * 1024 * 1024
"""Maximum size of one signature in bytes, as in containers/image."""

SIGSTORE_PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
"""The media type of the payload of a sigstore signature."""
SIGNATURE_ANNOTATION = "dev.cosignproject.cosign/signature"
"""The signature of the payload, in base64."""
BUNDLE_ANNOTATION = "dev.sigstore.cosign/bundle"
"""The promise of a transparency log to include the signature (SET)."""
CERTIFICATE_ANNOTATION = "dev.sigstore.cosign/certificate"
"""The certificate of the signing key, in PEM."""
CHAIN_ANNOTATION = "dev.sigstore.cosign/chain"
"""The intermediate certificates, in PEM."""

_SIMPLE_FORMAT = b"simple-signing"
_SIGSTORE_FORMAT = b"sigstore-json"
_MAX_FORMAT = 64  # maximum length of the name of a format

# The first byte of an OpenPGP message (RFC 9580, section 4.2): a compressed data packet, a one-pass
# signature or a signature, in the old format with any type of length, or in the new format.
# 0x3d is in the list of containers/image, although it is not the beginning of a packet.
_OPENPGP = frozenset(
    (*range(0xA0, 0xA4), 0xC8, *range(0x90, 0x93), 0x3D, 0xC4, *range(0x88, 0x8C), 0xC2)
)


@dataclass(frozen=True, slots=True)
class SimpleSignature:
    """A simple signature: an OpenPGP message, unverified."""

    message: bytes = field(repr=False)

    def to_bytes(self) -> bytes:
        """Return the form in which the signature is stored."""
        return self.message


@dataclass(frozen=True, slots=True)
class SigstoreSignature:
    """A sigstore signature: its payload and the annotations of the layer, unverified."""

    media_type: str
    payload: bytes = field(repr=False)
    annotations: Mapping[str, str] = field(hash=False, repr=False)

    def to_bytes(self) -> bytes:
        """Return the form in which the signature is stored, byte for byte as Skopeo writes it."""
        members = {
            "mimeType": self.media_type,
            "payload": base64_strict.encode(self.payload),
            "annotations": dict(sorted(self.annotations.items())),
        }
        return b"\0" + _SIGSTORE_FORMAT + b"\n" + json_encoding.dumps(members)


ImageSignature = SimpleSignature | SigstoreSignature


def is_sigstore(raw: bytes) -> bool:
    """Return whether a stored signature is a sigstore signature; it is not parsed."""
    return raw.startswith(b"\0" + _SIGSTORE_FORMAT + b"\n")


def parse(raw: bytes, subject: str = "signature") -> ImageSignature:
    """Parse a stored signature; ``subject`` is its name in messages.

    Raises:
        LimitError: the signature is larger than allowed.
        MalformedError: the format is unknown, or the signature does not conform to it.
    """
    if len(raw) > MAX_SIGNATURE:
        raise LimitError(
            f"{subject}: too large (expected at most {MAX_SIGNATURE:,} bytes, got {len(raw):,})"
        )
    if not raw:
        raise MalformedError(f"{subject}: empty")
    if raw[0] in _OPENPGP:
        return SimpleSignature(raw)
    if raw[0] != 0:
        raise MalformedError(f"{subject}: unknown signature format, first byte {raw[0]:#04x}")
    end = raw.find(b"\n", 1, 2 + _MAX_FORMAT)
    if end < 0:
        raise MalformedError(f"{subject}: the name of the signature format is not terminated")
    name, content = raw[1:end], raw[end + 1 :]
    if name == _SIMPLE_FORMAT:
        return SimpleSignature(content)
    if name != _SIGSTORE_FORMAT:
        raise MalformedError(
            f"{subject}: unknown signature format {name.decode('ascii', 'replace')!r}"
        )
    table = Table.parse(content, subject, limit=MAX_SIGNATURE)
    table.refuse_other_case(("mimeType", "payload", "annotations"))
    return SigstoreSignature(
        table.optional_text("mimeType") or "",
        table.base64("payload"),
        table.text_map("annotations"),
    )
