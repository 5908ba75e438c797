"""Verify sigstore signatures that are stored beside an image, as policy.json requires them.

The annotations of a signature contain the signature of the payload and its evidence: the promise of
a transparency log, a certificate and intermediate certificates. The result is the parsed payload,
and it is the only statement that was verified.

https://github.com/containers/image/blob/v5.36.2/signature/policy_eval_sigstore.go
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.errors import MalformedError, SigstoreSignatureError
from bundler.oci.json.base64_strict import decode
from bundler.oci.signature import (
    BUNDLE_ANNOTATION,
    CERTIFICATE_ANNOTATION,
    CHAIN_ANNOTATION,
    SIGNATURE_ANNOTATION,
    SIGSTORE_PAYLOAD,
)
from bundler.trust.sigstore.attachments.payload import parse_payload
from bundler.trust.sigstore.logs import rekor

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509

    from bundler.oci.signature import SigstoreSignature
    from bundler.trust.sigstore.attachments.payload import Payload
    from bundler.trust.sigstore.certificates import Authority, OidcIdentity, PkiIdentity
    from bundler.trust.sigstore.keys import VerificationKey


@dataclass(frozen=True, slots=True)
class SigstoreKeys:
    """Accepts signatures by one of the keys."""

    keys: tuple[VerificationKey, ...]
    log_keys: tuple[VerificationKey, ...] = ()
    """If set, one of these transparency logs must have recorded the signature."""


@dataclass(frozen=True, slots=True)
class TrustedFulcio:
    """Accepts signatures with a certificate of Fulcio, recorded by a log while it was valid."""

    authority: Authority
    identity: OidcIdentity
    log_keys: tuple[VerificationKey, ...]


@dataclass(frozen=True, slots=True)
class TrustedPki:
    """Accepts signatures with a certificate of a private PKI that is valid now."""

    authority: Authority
    identity: PkiIdentity


AttachmentTrust = SigstoreKeys | TrustedFulcio | TrustedPki


@dataclass(frozen=True, slots=True)
class VerifiedAttachment:
    """A signature of the image that was verified, apart from the name in the payload."""

    payload: Payload
    """The signed content; its digest is that of the manifest."""
    key: VerificationKey
    """The key that made the signature."""
    certificate: x509.Certificate | None = field(default=None, repr=False)
    """The certificate of the key; None if the key itself is trusted."""


def verify_attachment(
    signature: SigstoreSignature, trust: AttachmentTrust, manifest: bytes, moment: datetime
) -> VerifiedAttachment:
    """Verify one signature of an image. The caller checks the name in the payload.

    Args:
        signature: the signature, as it is stored.
        trust: the keys or certificates that are accepted.
        manifest: the manifest of the image.
        moment: the current time, for certificates of a private PKI.

    Raises:
        SigstoreSignatureError: the signature is not accepted.
    """
    if signature.media_type != SIGSTORE_PAYLOAD:
        raise SigstoreSignatureError(
            f"not a signature but an attachment of the type {signature.media_type[:80]!r}",
            problem="format",
            value=signature.media_type[:80],
        )
    # Line ends, which some programs leave in the text, are ignored as in Go.
    text = _get_annotation(signature, SIGNATURE_ANNOTATION).translate({10: None, 13: None})
    try:
        raw = decode(text, "signature")
    except MalformedError as error:
        raise SigstoreSignatureError(error.message, problem="signature") from None
    keys, certificate = _find_keys(signature, raw, trust, moment)
    key = verify_with_any(keys, raw, signature.payload)
    payload = parse_payload(signature.payload)
    check_digest(payload, manifest)
    return VerifiedAttachment(payload, key, certificate)


def verify_with_any(
    keys: Sequence[VerificationKey], signature: bytes, data: bytes
) -> VerificationKey:
    """Return the first key that verifies a signature over the SHA-256 of ``data``.

    Raises:
        SigstoreSignatureError: none does.
    """
    for key in keys:
        try:
            key.verify(signature, data)
        except SigstoreSignatureError:
            continue
        return key
    raise SigstoreSignatureError(
        "the signature does not match a trusted key",
        problem="signature",
        value=", ".join(key.id[:16] for key in keys),
    )


def check_digest(payload: Payload, manifest: bytes) -> None:
    """Check that a payload is about ``manifest``.

    Raises:
        SigstoreSignatureError: the signed digest is another one.
    """
    if not payload.is_about(manifest):
        digest = payload.digest.text
        raise SigstoreSignatureError(
            f"the signature is for another digest: {digest}", problem="digest", value=digest
        )


def _find_keys(
    signature: SigstoreSignature, raw: bytes, trust: AttachmentTrust, moment: datetime
) -> tuple[Sequence[VerificationKey], x509.Certificate | None]:
    """Return the keys that may have made the signature, after verifying the evidence for them."""
    if isinstance(trust, SigstoreKeys):
        if not trust.log_keys:
            return trust.keys, None
        return [_find_recorded_key(signature, raw, trust)], None
    from bundler.trust.sigstore import certificates  # noqa: PLC0415 - loads x509, not for keys

    keyless = isinstance(trust, TrustedFulcio)
    log_bundle = _get_annotation(signature, BUNDLE_ANNOTATION) if keyless else ""
    certificate = certificates.parse_certificate(
        _get_annotation(signature, CERTIFICATE_ANNOTATION).encode(), "certificate"
    )
    chain = certificates.parse_certificates(
        signature.annotations.get(CHAIN_ANNOTATION, "").encode(), "certificate chain"
    )
    untrusted = chain[:-1]  # the last one is the root
    if isinstance(trust, TrustedPki):
        key = certificates.verify_pki(
            certificate, untrusted, trust.authority, trust.identity, moment
        )
        return [key], certificate
    received = rekor.verify_annotation(
        log_bundle.encode(),
        trust.log_keys,
        certificates.get_der(certificate),
        raw,
        signature.payload,
    )
    key = certificates.verify_fulcio(
        certificate, untrusted, trust.authority, trust.identity, received
    )
    return [key], certificate


def _find_recorded_key(
    signature: SigstoreSignature, raw: bytes, trust: SigstoreKeys
) -> VerificationKey:
    """Return the trusted key for which the log recorded the signature."""
    log_bundle = _get_annotation(signature, BUNDLE_ANNOTATION).encode()
    failure: SigstoreSignatureError | None = None
    for key in trust.keys:
        try:
            rekor.verify_annotation(log_bundle, trust.log_keys, key.spki, raw, signature.payload)
        except SigstoreSignatureError as error:
            failure = error
        else:
            return key
    raise failure or SigstoreSignatureError("no key is trusted", problem="signature")


def _get_annotation(signature: SigstoreSignature, name: str) -> str:
    if name not in signature.annotations:
        raise SigstoreSignatureError(
            f"the annotation {name} is missing", problem="annotation", value=name
        )
    return signature.annotations[name]
