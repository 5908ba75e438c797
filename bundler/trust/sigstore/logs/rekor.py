"""Promises of the transparency log Rekor to include an entry (signed entry timestamps, SET).

The log signs the entry, its index and the time of its receipt. This time is as
trustworthy as the log; it determines when a certificate was used.

https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md#properties
https://www.rfc-editor.org/rfc/rfc8785
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bundler.errors import SigstoreSignatureError
from bundler.oci.json.base64_strict import encode
from bundler.trust.sigstore.documents import parse_document, require_members
from bundler.trust.sigstore.logs.log_entry import MAX_BODY, parse_log_entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.oci.json.table import Table
    from bundler.trust.sigstore.keys import VerificationKey

_MAX_BUNDLE = 2 * MAX_BODY


@dataclass(frozen=True, slots=True)
class RecordedEntry:
    """An entry as the log recorded it, unverified."""

    body: bytes = field(repr=False)
    integrated_time: int
    """The time of receipt, in seconds since 1970."""
    log_index: int
    log_id: str
    """The ID of the log's key, in hexadecimal."""

    def to_signed_bytes(self) -> bytes:
        """Return the canonical JSON (RFC 8785) that a promise signs."""
        members = {
            "body": encode(self.body),
            "integratedTime": self.integrated_time,
            "logID": self.log_id,
            "logIndex": self.log_index,
        }
        return json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()

    @property
    def moment(self) -> datetime:
        """The time of receipt.

        Raises:
            SigstoreSignatureError: it is not a date.
        """
        try:
            return datetime.fromtimestamp(self.integrated_time, UTC)
        except (OverflowError, ValueError, OSError):
            raise SigstoreSignatureError(
                "the time of the log entry is not a valid date", problem="log"
            ) from None


@dataclass(frozen=True, slots=True)
class Promise:
    """An entry, and the log's signature that promises its inclusion."""

    entry: RecordedEntry
    signature: bytes = field(repr=False)

    def verify(self, log_keys: Sequence[VerificationKey]) -> datetime:
        """Verify the promise with one of the keys; return the time of receipt.

        Raises:
            SigstoreSignatureError: no key verifies it.
        """
        signed = self.entry.to_signed_bytes()
        for key in log_keys:
            try:
                key.verify(self.signature, signed)
            except SigstoreSignatureError:
                continue
            return self.entry.moment
        raise SigstoreSignatureError(
            "the promise of the transparency log does not match a trusted log key", problem="log"
        )

    def to_annotation(self) -> str:
        """Return the JSON document that cosign stores as an annotation of a signature."""
        payload = json.loads(self.entry.to_signed_bytes())
        document = {"Payload": payload, "SignedEntryTimestamp": encode(self.signature)}
        return json.dumps(document, separators=(",", ":"), sort_keys=True)


def verify_annotation(
    raw: bytes,
    log_keys: Sequence[VerificationKey],
    verifier: bytes,
    signature: bytes,
    payload: bytes,
) -> datetime:
    """Verify cosign's annotation for a signature; return the time at which the log received it.

    Args:
        raw: the value of the annotation.
        log_keys: the keys of the trusted logs.
        verifier: the DER of the signer's public key or certificate.
        signature: the signature.
        payload: the signed content.

    Raises:
        SigstoreSignatureError: the annotation is malformed, is not signed by a trusted log, or is
            about another signature.
    """
    promise = parse_annotation(raw)
    moment = promise.verify(log_keys)
    entry = parse_log_entry(promise.entry.body)
    if entry.kind != "hashedrekord/0.0.1":
        raise SigstoreSignatureError(
            f"the log entry is of the kind {entry.kind}", problem="log", value=entry.kind
        )
    entry.check(verifier, signature, payload)
    return moment


def parse_annotation(raw: bytes) -> Promise:
    """Parse cosign's annotation with a promise.

    Raises:
        SigstoreSignatureError: it is malformed.
    """
    table = parse_document(raw, "log bundle", "log", limit=_MAX_BUNDLE)
    require_members(table, ("SignedEntryTimestamp", "Payload"))
    payload = table.table("Payload")
    require_members(payload, ("body", "integratedTime", "logIndex", "logID"))
    return Promise(parse_recorded_entry(payload), table.base64("SignedEntryTimestamp"))


def parse_recorded_entry(table: Table) -> RecordedEntry:
    """Parse the members that annotations and responses of the log have in common.

    Raises:
        BundlerError: one is malformed; the error is that of ``table``.
    """
    return RecordedEntry(
        table.base64("body"),
        table.integer("integratedTime"),
        table.integer("logIndex"),
        table.text("logID"),
    )
