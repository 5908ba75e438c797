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
        moment = sct.timestamp.replace(tzinfo=UTC)  # the library returns it without a time zone
        if sct.entry_type != LogEntryType.PRE_CERTIFICATE or moment not in log.period:
            continue
        signed = b"".join(  # ``digitally-signed struct`` in section 3.2
            (
                struct.pack("!BBQH", 0, 0, round(moment.timestamp() * 1000), _PRECERTIFICATE),
                hashlib.sha256(issuer_spki).digest(),
                len(precertificate).to_bytes(3, "big"),
                precertificate,
                struct.pack("!H", len(sct.extension_bytes)),
                sct.extension_bytes,
            )
        )
        try:
            log.key.verify(sct.signature, signed)
        except SigstoreSignatureError:
            continue
        return
    raise _create_error("the certificate is not recorded by a trusted certificate log")


def _create_error(message: str) -> SigstoreSignatureError:
    return SigstoreSignatureError(message, problem="certificate")
