"""DSSE envelopes, and the in-toto statements in them.

An envelope signs its payload and the type of its payload together (pre-authentication encoding,
PAE). In a sigstore bundle, it has exactly one signature.

https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from bundler.errors import SigstoreSignatureError
from bundler.oci.json import strict
from bundler.oci.json.base64_strict import encode
from bundler.trust.sigstore.documents import parse_document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.oci.digest import Digest
    from bundler.oci.json.table import Table
    from bundler.trust.sigstore.keys import SigningKey

IN_TOTO = "application/vnd.in-toto+json"
"""The type of a payload that is a statement."""
STATEMENT = "https://in-toto.io/Statement/v1"

_STATEMENTS = (STATEMENT, "https://in-toto.io/Statement/v0.1")
MAX_PAYLOAD = 16 * 1024 * 1024
_MAX_SUBJECTS = 1024


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload, its type, and one signature of both."""

    payload_type: str
    payload: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    key_id: str = ""
    """The ID that the signer states. It is not authenticated."""

    @property
    def signed(self) -> bytes:
        """The bytes that the signature covers."""
        return encode_pae(self.payload_type, self.payload)

    def to_json(self) -> dict[str, Any]:
        """Return the envelope as JSON."""
        signature = {"sig": encode(self.signature)}
        if self.key_id:
            signature["keyid"] = self.key_id
        return {
            "payload": encode(self.payload),
            "payloadType": self.payload_type,
            "signatures": [signature],
        }


def encode_pae(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding of a payload and its type."""
    encoded = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(encoded), encoded, len(payload), payload)


def parse_envelope(table: Table) -> Envelope:
    """Parse an envelope, unverified.

    Raises:
        SigstoreSignatureError: the envelope is malformed, or does not have exactly one signature.
    """
    table.refuse_unknown(("payload", "payloadType", "signatures"))
    signatures = table.tables("signatures")
    if len(signatures) != 1:
        raise table.problem(f"wrong number of signatures (expected 1, got {len(signatures)})")
    (signature,) = signatures
    signature.refuse_unknown(("sig", "keyid"))
    return Envelope(
        table.text("payloadType"),
        table.base64("payload"),
        signature.base64("sig"),
        signature.optional_text("keyid") or "",
    )


def sign_envelope(key: SigningKey, payload_type: str, payload: bytes) -> Envelope:
    """Sign a payload and its type."""
    signature = key.sign_bundle(encode_pae(payload_type, payload))
    return Envelope(payload_type, payload, signature)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement about artifacts: a claim of a certain type, such as an SBOM."""

    predicate_type: str
    subjects: tuple[Mapping[str, str], ...] = field(hash=False)
    """The digests of each artifact in hexadecimal, by algorithm."""
    predicate: Mapping[str, Any] = field(hash=False, repr=False, default_factory=dict)
    names: tuple[str, ...] = ()
    """The name of each artifact, which may be empty; or no names at all."""

    def is_about(self, digest: Digest) -> bool:
        """Return whether one of the artifacts has ``digest``."""
        return any(subject.get(digest.algorithm) == digest.hex for subject in self.subjects)

    def to_bytes(self) -> bytes:
        """Return the statement as canonical JSON."""
        return strict.dumps(
            {
                "_type": STATEMENT,
                "predicate": dict(self.predicate),
                "predicateType": self.predicate_type,
                "subject": [
                    {"digest": dict(digests)} | ({"name": name} if name else {})
                    for digests, name in zip_longest(self.subjects, self.names)
                ],
            }
        )


def parse_statement(envelope: Envelope) -> Statement:
    """Parse the statement in an envelope whose signature was verified.

    Raises:
        SigstoreSignatureError: the payload is not a statement.
    """
    if envelope.payload_type != IN_TOTO:
        raise SigstoreSignatureError(
            f"the signed payload has the type {envelope.payload_type[:80]!r} (expected {IN_TOTO})",
            problem="payload",
            value=envelope.payload_type[:80],
        )
    table = parse_document(envelope.payload, "statement", "payload", limit=MAX_PAYLOAD)
    if (kind := table.text("_type")) not in _STATEMENTS:
        raise table.problem(f"unknown _type {kind[:80]!r}")
    subjects = table.tables("subject")
    if not 0 < len(subjects) <= _MAX_SUBJECTS:
        raise table.problem(
            f"wrong number of subjects (expected 1 to {_MAX_SUBJECTS}, got {len(subjects)})"
        )
    return Statement(
        table.text("predicateType"),
        tuple(subject.text_map("digest") for subject in subjects),
        table.table("predicate").value,
        tuple(subject.optional_text("name") or "" for subject in subjects),
    )
