"""Promises of a certificate log to include a certificate (signed certificate timestamps, SCT).

Fulcio embeds them in its certificates, so that no certificate can be issued in secret.

https://www.rfc-editor.org/rfc/rfc6962#section-3.2
"""

from __future__ import annotations

import hashlib
import struct
from datetime import UTC
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.certificate_transparency import LogEntryType, Version

from bundler.errors import SigstoreSignatureError
from bundler.trust.sigstore.certificates import MALFORMED

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography.x509.certificate_transparency import SignedCertificateTimestamp

    from bundler.trust.sigstore.trusted_root import TrustedRoot

_PRECERTIFICATE = 1
_MAX_SCTS = 16


def verify_certificate_log(
    certificate: x509.Certificate, issuer: x509.Certificate, root: TrustedRoot
) -> None:
    """Verify that a trusted log promised to include a certificate.

    Raises:
        SigstoreSignatureError: no trusted log did.
    """
    try:
        found = certificate.extensions.get_extension_for_class(
            x509.PrecertificateSignedCertificateTimestamps
        ).value
        precertificate = certificate.tbs_precertificate_bytes
    except (x509.ExtensionNotFound, *MALFORMED):
        raise _create_error("the certificate is not recorded by a certificate log") from None
    issuer_spki = issuer.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for sct in list(found)[:_MAX_SCTS]:
        log = root.find_certificate_log(sct.log_id)
        if log is None or sct.version != Version.v1:
            continue
        if sct.entry_type != LogEntryType.PRE_CERTIFICATE or _get_time(sct) not in log.period:
            continue
        try:
            log.key.verify(sct.signature, _encode_signed(sct, precertificate, issuer_spki))
        except SigstoreSignatureError:
            continue
        return
    raise _create_error("the certificate is not recorded by a trusted certificate log")


def _encode_signed(
    sct: SignedCertificateTimestamp, precertificate: bytes, issuer_spki: bytes
) -> bytes:
    """Return the structure that a log signs: ``digitally-signed struct`` in section 3.2."""
    milliseconds = round(_get_time(sct).timestamp() * 1000)
    extensions = sct.extension_bytes
    return b"".join(
        (
            struct.pack("!BBQH", 0, 0, milliseconds, _PRECERTIFICATE),
            hashlib.sha256(issuer_spki).digest(),
            len(precertificate).to_bytes(3, "big"),
            precertificate,
            struct.pack("!H", len(extensions)),
            extensions,
        )
    )


def _get_time(sct: SignedCertificateTimestamp) -> datetime:
    """Return the time of a timestamp, which the library returns without a time zone."""
    return sct.timestamp.replace(tzinfo=UTC)


def _create_error(message: str) -> SigstoreSignatureError:
    return SigstoreSignatureError(message, problem="certificate")
