"""Verify a Notation signature of a manifest against what a site trusts.

All validations of the specification are enforced, as at its level ``strict``, except revocation,
which would need the network: a certificate that its authority has revoked is still accepted.

https://github.com/notaryproject/specifications/blob/main/specs/trust-store-trust-policy.md#signature-verification
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from bundler.errors import InvalidSignatureError
from bundler.oci.json.timestamps import format_utc
from bundler.trust.notation import chain as certificates
from bundler.trust.notation.algorithms import verify_envelope
from bundler.trust.notation.envelope import parse_json, refuse
from bundler.trust.notation.identity import check_identity, format_subject
from bundler.trust.notation.jws import parse_jws
from bundler.trust.notation.timestamps import verify_timestamp

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509

    from bundler.oci.descriptor import Descriptor
    from bundler.trust.notation.envelope import NotationEnvelope
    from bundler.trust.notation.trust_policy import TrustStatement
    from bundler.trust.notation.trust_store import TrustedCertificate

JWS_MEDIA_TYPE, COSE_MEDIA_TYPE = "application/jose+json", "application/cose"


@dataclass(frozen=True, slots=True)
class VerifiedSigner:
    """The signer of a signature that was verified."""

    subject: str
    """The subject of the certificate, in the form of RFC 4514."""
    key_id: str
    """The key ID of the certificate's key."""
    store: str
    """The trust store with a certificate of the chain, ``type:name``."""


def verify_signature(
    media_type: str,
    raw: bytes,
    target: Descriptor,
    *,
    statement: TrustStatement,
    trusted: Sequence[TrustedCertificate],
    moment: datetime,
) -> VerifiedSigner:
    """Verify that a trusted identity signed a manifest.

    Args:
        media_type: the media type of the envelope.
        raw: the envelope.
        target: the manifest.
        statement: the statement of the trust policy for the image.
        trusted: the certificates of the trust stores that it names.
        moment: the present time.

    Raises:
        InvalidSignatureError: the signature is not accepted.
    """
    envelope = _parse_envelope(media_type, raw)
    chain = certificates.parse_chain(envelope.certificates)
    authority = _find_authority(envelope, chain, trusted)
    certificates.check_chain(chain)
    key = chain[0].public_key()
    verify_envelope(envelope, key)
    subject = certificates.read_subject(chain[0])
    if statement.identities is not None:
        check_identity(subject, statement.identities)
    _check_target(envelope.payload, target)
    if envelope.attributes.expiry is not None and moment >= envelope.attributes.expiry:
        raise InvalidSignatureError(
            f"Notation signature: expired on {format_utc(envelope.attributes.expiry)}",
            problem="expired",
        )
    _check_time(envelope, chain, statement, trusted, moment)
    spki = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return VerifiedSigner(
        subject=format_subject(subject),
        key_id=hashlib.sha256(spki).hexdigest(),
        store=f"{authority.type}:{authority.name}",
    )


def _parse_envelope(media_type: str, raw: bytes) -> NotationEnvelope:
    if media_type == JWS_MEDIA_TYPE:
        return parse_jws(raw)
    if media_type == COSE_MEDIA_TYPE:
        from bundler.trust.notation.cose import parse_cose  # noqa: PLC0415 - loads cbor2

        return parse_cose(raw)
    raise refuse(f"unknown envelope {media_type[:80]!r}", "unsupported")


def _find_authority(
    envelope: NotationEnvelope,
    chain: Sequence[x509.Certificate],
    trusted: Sequence[TrustedCertificate],
) -> TrustedCertificate:
    """Return the trusted certificate that is part of the chain.

    End users and signing authorities have different stores, so that a user cannot state a time as
    if a signing authority had.
    """
    kind = "ca" if envelope.attributes.scheme == "notary.x509" else "signingAuthority"
    for item in trusted:
        if item.type == kind and item.certificate in chain:
            return item
    raise certificates.refuse(f"no certificate of its chain is in a trust store of the type {kind}")


def _check_target(payload: bytes, target: Descriptor) -> None:
    """Check that the payload, whose signature was verified, describes the manifest."""
    table = parse_json(payload, "payload", "payload")
    table.refuse_other_case(("targetArtifact",))
    signed = table.table("targetArtifact")
    signed.refuse_other_case(("mediaType", "digest", "size"))
    found = (signed.text("digest"), signed.integer("size"), signed.text("mediaType"))
    if found != (target.digest.text, target.size, target.media_type):
        raise InvalidSignatureError(
            "Notation signature: it is about another artifact", problem="digest", value=found[0]
        )


def _check_time(
    envelope: NotationEnvelope,
    chain: Sequence[x509.Certificate],
    statement: TrustStatement,
    trusted: Sequence[TrustedCertificate],
    moment: datetime,
) -> None:
    """Check that the certificates were valid when the signature was made, as far as it is proven.

    Without a timestamp, and without a signing authority, they must be valid now.
    """
    start = end = moment
    authorities = [item.certificate for item in trusted if item.type == "tsa"]
    has_expired = any(moment > certificate.not_valid_after_utc for certificate in chain)
    if envelope.attributes.scheme == "notary.x509.signingAuthority":
        start = end = envelope.attributes.signing_time
    elif authorities and (statement.verify_timestamp == "always" or has_expired):
        start, end = verify_timestamp(envelope.timestamp, envelope.signature, authorities)
    certificates.check_validity(chain, start, end)
