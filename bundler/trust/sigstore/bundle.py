"""Sigstore bundles: one document with a signature, its key or certificate, and the evidence.

A bundle signs either an artifact itself (``messageSignature``) or a statement about it in a DSSE
envelope. The digest that a ``messageSignature`` states is ignored: the artifact is always hashed.

https://github.com/sigstore/protobuf-specs/blob/main/protos/sigstore_bundle.proto
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bundler.oci.json import strict
from bundler.oci.json.base64_strict import encode
from bundler.trust.sigstore.documents import parse_document
from bundler.trust.sigstore.dsse import Envelope, parse_envelope
from bundler.trust.sigstore.logs.inclusion import InclusionProof
from bundler.trust.sigstore.logs.rekor import Promise, RecordedEntry

if TYPE_CHECKING:
    from bundler.oci.json.table import Table
    from bundler.trust.sigstore.keys import SigningKey, VerificationKey

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
"""The media type of new bundles, and the artifact type of their manifests."""
MAX_BUNDLE = 32 * 1024 * 1024

_VERSIONS = {
    MEDIA_TYPE: "0.3",
    "application/vnd.dev.sigstore.bundle+json;version=0.3": "0.3",
    "application/vnd.dev.sigstore.bundle+json;version=0.2": "0.2",
    "application/vnd.dev.sigstore.bundle+json;version=0.1": "0.1",
}
_MAX_ENTRIES = 16
_MAX_TIMESTAMPS = 16
_MAX_CERTIFICATES = 16
_MAX_HASHES = 64
_KINDS = ("publicKey", "certificate", "x509CertificateChain")


@dataclass(frozen=True, slots=True)
class TransparencyEntry:
    """An entry of a log with a promise, a proof or both, unverified."""

    recorded: RecordedEntry
    log_id: bytes
    kind: str
    """The kind and the version that the bundle states."""
    promise: Promise | None = None
    proof: InclusionProof | None = None


@dataclass(frozen=True, slots=True)
class Bundle:
    """The content of a bundle, unverified."""

    version: str
    signature: bytes = field(repr=False)
    envelope: Envelope | None = None
    """The signed envelope; None: the artifact itself is signed."""
    key_hint: str = ""
    """The ID of the key, if the signer is known by a key."""
    certificates: tuple[bytes, ...] = field(default=(), repr=False)
    """In DER: the certificate of the key, and in old versions intermediate certificates."""
    entries: tuple[TransparencyEntry, ...] = ()
    timestamps: tuple[bytes, ...] = field(default=(), repr=False)
    """Timestamps of the signature (RFC 3161)."""


def parse_bundle(raw: bytes, subject: str = "bundle") -> Bundle:
    """Parse a bundle; ``subject`` is its name in messages.

    Raises:
        SigstoreSignatureError: the bundle is malformed, or its version is unknown.
    """
    table = parse_document(raw, subject, "format", limit=MAX_BUNDLE)
    table.refuse_unknown(("mediaType", "verificationMaterial", "messageSignature", "dsseEnvelope"))
    media_type = table.text("mediaType")
    version = _VERSIONS.get(media_type)
    if version is None:
        raise table.problem(f"unknown mediaType {media_type[:80]!r}")
    if ("messageSignature" in table) == ("dsseEnvelope" in table):
        raise table.problem("expected either messageSignature or dsseEnvelope")
    envelope = None
    if "dsseEnvelope" in table:
        envelope = parse_envelope(table.table("dsseEnvelope"))
        signature = envelope.signature
    else:
        signature = table.table("messageSignature").base64("signature")
    if not signature:
        raise table.problem("the signature is empty")
    material = table.table("verificationMaterial")
    material.refuse_unknown((*_KINDS, "tlogEntries", "timestampVerificationData"))
    hint, certificates = _parse_signer(material, version)
    entries = material.tables("tlogEntries")
    timestamps = material.table("timestampVerificationData").tables("rfc3161Timestamps")
    if len(entries) > _MAX_ENTRIES or len(timestamps) > _MAX_TIMESTAMPS:
        raise material.problem("too many log entries or timestamps")
    parsed = tuple(_parse_entry(entry, version) for entry in entries)
    if len({(entry.log_id, entry.recorded.log_index) for entry in parsed}) != len(parsed):
        raise material.problem("tlogEntries has the same entry twice")
    return Bundle(
        version,
        signature,
        envelope,
        hint,
        certificates,
        parsed,
        tuple(item.base64("signedTimestamp") for item in timestamps),
    )


def create_key_bundle(
    key: VerificationKey, content: Envelope | bytes, artifact: bytes = b""
) -> bytes:
    """Create a bundle for a signer that is known by a key, without evidence.

    Args:
        key: the key.
        content: the signed envelope, or the signature of ``artifact``.
        artifact: the signed artifact, unless an envelope is signed.
    """
    hint = base64.b64encode(hashlib.sha256(key.spki).digest()).decode()
    document: dict[str, Any] = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {"publicKey": {"hint": hint}},
    }
    if isinstance(content, Envelope):
        document["dsseEnvelope"] = content.to_json()
    else:
        digest = {"algorithm": "SHA2_256", "digest": encode(hashlib.sha256(artifact).digest())}
        document["messageSignature"] = {"messageDigest": digest, "signature": encode(content)}
    return strict.dumps(document)


def sign_artifact(key: SigningKey, artifact: bytes) -> bytes:
    """Sign an artifact; return a bundle, which ``cosign verify-blob`` accepts."""
    return create_key_bundle(key.public, key.sign_bundle(artifact), artifact)


def _parse_signer(material: Table, version: str) -> tuple[str, tuple[bytes, ...]]:
    """Return the hint for the key, and the certificates."""
    present = [name for name in _KINDS if name in material]
    if len(present) != 1:
        raise material.problem(f"expected exactly one of {', '.join(_KINDS)}")
    if present == ["publicKey"]:
        return material.table("publicKey").optional_text("hint") or "", ()
    if present == ["certificate"]:
        items: tuple[Table, ...] = (material.table("certificate"),)
    elif version == "0.3":
        raise material.problem("version 0.3 has no x509CertificateChain")
    else:
        items = material.table("x509CertificateChain").tables("certificates")
    if not 0 < len(items) <= _MAX_CERTIFICATES:
        raise material.problem(
            f"wrong number of certificates (expected 1 to {_MAX_CERTIFICATES}, got {len(items)})"
        )
    return "", tuple(item.base64("rawBytes") for item in items)


def _parse_entry(table: Table, version: str) -> TransparencyEntry:
    log_id, kind = table.table("logId").base64("keyId"), table.table("kindVersion")
    body = table.base64("canonicalizedBody")
    if not log_id or not body:
        raise table.problem("logId or canonicalizedBody is missing")
    recorded = RecordedEntry(
        body,
        _parse_integer(table, "integratedTime"),
        _parse_integer(table, "logIndex"),
        log_id.hex(),
    )
    signed = table.table("inclusionPromise").base64("signedEntryTimestamp")
    promise = Promise(recorded, signed) if signed else None
    proof = None
    if "inclusionProof" in table:
        stated = table.table("inclusionProof")
        hashes = stated.texts("hashes")
        if len(hashes) > _MAX_HASHES:
            raise stated.problem(f"too many hashes (expected at most {_MAX_HASHES})")
        try:
            decoded = tuple(base64.b64decode(item, validate=True) for item in hashes)
        except ValueError:
            raise stated.problem("hashes are not base64") from None
        proof = InclusionProof(
            _parse_integer(stated, "logIndex"),
            _parse_integer(stated, "treeSize"),
            stated.base64("rootHash"),
            decoded,
            stated.table("checkpoint").text("envelope"),
        )
    required = promise if version == "0.1" else proof
    if required is None:
        name = "promise" if version == "0.1" else "proof"
        raise table.problem(f"the inclusion {name} is missing")
    return TransparencyEntry(
        recorded, log_id, f"{kind.text('kind')}/{kind.text('version')}", promise, proof
    )


def _parse_integer(table: Table, name: str) -> int:
    """Return a 64-bit integer, which is written as a string; 0 if it is absent."""
    value = table.value.get(name)
    if isinstance(value, str):
        if not value.isascii() or not value.isdecimal() or len(value) > 19:
            raise table.problem(f"{name} is not an integer")
        return min(int(value), strict.MAX_INTEGER)
    return table.integer(name, 0)
