"""Verify keyless signatures that are stored beside an image, with a carried trusted root.

A signature is converted to a bundle without a proof, so that the same rules apply to both: the
periods of logs and authorities, the certificate's own log, and the identity.
"""

from __future__ import annotations

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
from bundler.trust.sigstore import certificates
from bundler.trust.sigstore.attachments.attachment import check_digest
from bundler.trust.sigstore.attachments.payload import parse_payload
from bundler.trust.sigstore.bundle import Bundle, TransparencyEntry
from bundler.trust.sigstore.logs import rekor
from bundler.trust.sigstore.verify_bundle import verify_by_identity

if TYPE_CHECKING:
    from bundler.oci.signature import SigstoreSignature
    from bundler.trust.sigstore.attachments.payload import Payload
    from bundler.trust.sigstore.certificates import OidcIdentity
    from bundler.trust.sigstore.trusted_root import TrustedRoot

_VERSION = "0.1"  # bundles of this version need a promise, not a proof
_KIND = "hashedrekord/0.0.1"


def verify_attachment_by_identity(
    signature: SigstoreSignature, manifest: bytes, identity: OidcIdentity, root: TrustedRoot
) -> Payload:
    """Verify that an identity signed the image with this manifest; return the payload.

    The name in the payload is not checked.

    Raises:
        SigstoreSignatureError: the signature is not accepted.
    """
    if signature.media_type != SIGSTORE_PAYLOAD:
        raise SigstoreSignatureError("not a signature of an image", problem="format")
    verify_by_identity(_to_bundle(signature), signature.payload, identity, root)
    payload = parse_payload(signature.payload)
    check_digest(payload, manifest)
    return payload


def _to_bundle(signature: SigstoreSignature) -> Bundle:
    """Return the evidence in the annotations as a bundle that signs the payload itself."""
    certificate = certificates.parse_certificate(
        _get_annotation(signature, CERTIFICATE_ANNOTATION).encode(), "certificate"
    )
    chain = certificates.parse_certificates(
        signature.annotations.get(CHAIN_ANNOTATION, "").encode(), "certificate chain"
    )
    promise = rekor.parse_annotation(_get_annotation(signature, BUNDLE_ANNOTATION).encode())
    text = _get_annotation(signature, SIGNATURE_ANNOTATION).translate({10: None, 13: None})
    try:
        raw, log_id = decode(text, "signature"), bytes.fromhex(promise.entry.log_id)
    except (MalformedError, ValueError):
        raise SigstoreSignatureError(
            "the signature or the ID of the log is malformed", problem="signature"
        ) from None
    entry = TransparencyEntry(promise.entry, log_id, _KIND, promise)
    untrusted = chain[:-1]  # the last one is the root
    return Bundle(
        _VERSION,
        raw,
        certificates=tuple(map(certificates.get_der, (certificate, *untrusted))),
        entries=(entry,),
    )


def _get_annotation(signature: SigstoreSignature, name: str) -> str:
    if name not in signature.annotations:
        raise SigstoreSignatureError(
            f"the annotation {name} is missing", problem="annotation", value=name
        )
    return signature.annotations[name]
