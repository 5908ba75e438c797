"""Timestamps of Notation signatures (RFC 3161), which prove that a signature existed at a time.

The optional library rfc3161-client verifies the token and the chain of its authority at the time
that it states. Without it, signatures that need a timestamp are refused.

https://github.com/notaryproject/specifications/blob/main/specs/trust-store-trust-policy.md#steps
"""

from __future__ import annotations

import hashlib
import importlib.util
from datetime import UTC, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from bundler.errors import InvalidSignatureError
from bundler.trust import der
from bundler.trust.der import Value
from bundler.trust.notation.chain import check_signer
from bundler.trust.sigstore.certificates import MALFORMED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rfc3161_client import TimeStampResponse

_MAX_TOKEN = 64 * 1024
_MAX_CERTIFICATES = 16
_MAX_ACCURACY = timedelta(days=1)
_GRANTED = bytes.fromhex("3003020100")  # PKIStatusInfo
_BASELINE_POLICY = x509.ObjectIdentifier("0.4.0.2023.1.1")
_SIGNING_CERTIFICATE = bytes.fromhex("2a864886f70d010910022f")  # 1.2.840.113549.1.9.16.2.47
_HASHES = {
    bytes.fromhex("608648016503040201"): "sha256",
    bytes.fromhex("608648016503040202"): "sha384",
    bytes.fromhex("608648016503040203"): "sha512",
}
_OCTETS, _OID, _SEQUENCE = 0x04, 0x06, 0x30  # tags
_EXPLICIT = _CERTIFICATES = _ATTRIBUTES = 0xA0


def verify_timestamp(
    token: bytes, signature: bytes, roots: Sequence[x509.Certificate]
) -> tuple[datetime, datetime]:
    """Verify a timestamp of ``signature`` by an authority below one of the roots.

    Returns:
        The earliest and the latest time at which it may have been made.

    Raises:
        InvalidSignatureError: it is malformed, is about something else, or is not by one of them.
    """
    if importlib.util.find_spec("rfc3161_client") is None:
        raise InvalidSignatureError(
            "Notation signature: its timestamp needs the Python package rfc3161-client",
            problem="unsupported",
        )
    if not 0 < len(token) <= _MAX_TOKEN:
        raise _refuse("there is no timestamp" if not token else "the timestamp is too large")
    try:
        response = _parse_token(token)
        # One root at a time, because OpenSSL tries only one of several with the same name.
        if not any(_is_below(root, response, signature) for root in roots):
            raise _refuse("the timestamp is not by a trusted authority for this signature")
        (info,) = response.signed_data.signer_infos
        for block in response.signed_data.certificates:
            signer = x509.load_der_x509_certificate(block)
            if (signer.issuer, signer.serial_number) == (info.issuer, info.serial_number):
                break
        else:
            raise _refuse("the timestamp does not contain the certificate of its signer")
        _check_signing_certificate(token, signer)
        purposes = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        if list(purposes.value) != [ExtendedKeyUsageOID.TIME_STAMPING]:
            raise _refuse("the certificate of the timestamp is for other purposes too")
        check_signer(signer, critical=False)
        return _read_range(response)
    except (x509.ExtensionNotFound, IndexError, OverflowError, TypeError, *MALFORMED):
        raise _refuse("the timestamp is malformed") from None


def _is_below(root: x509.Certificate, response: TimeStampResponse, signature: bytes) -> bool:
    """Return whether an authority below ``root`` made the timestamp, for ``signature``."""
    from rfc3161_client import VerificationError, VerifierBuilder  # noqa: PLC0415 - optional

    verifier = VerifierBuilder().add_root_certificate(root).build()
    try:
        return verifier.verify_message(response, signature)
    except VerificationError:
        return False


def _parse_token(token: bytes) -> TimeStampResponse:
    """Parse a token, which the library expects in a response and with its certificates in order.

    The certificates are not signed, and many authorities do not sort them as DER requires.
    """
    from rfc3161_client import decode_timestamp_response  # noqa: PLC0415 - optional

    kind, members = _split_token(token)
    for number, member in enumerate(members):
        if member.tag == _CERTIFICATES:
            blocks = [der.encode(item) for item in der.parse_values(member.content)]
            if len(blocks) > _MAX_CERTIFICATES:
                raise _refuse("too many certificates in the timestamp")
            members[number] = Value(_CERTIFICATES, b"".join(sorted(blocks)))
    signed_data = Value(_SEQUENCE, b"".join(map(der.encode, members)))
    explicit = Value(_EXPLICIT, der.encode(signed_data))
    content_info = Value(_SEQUENCE, der.encode(kind) + der.encode(explicit))
    response = Value(_SEQUENCE, _GRANTED + der.encode(content_info))
    return decode_timestamp_response(der.encode(response))


def _split_token(token: bytes) -> tuple[Value, list[Value]]:
    """Return the type and the members of the ``SignedData`` in a ``ContentInfo`` (RFC 5652)."""
    (content_info,) = der.parse_values(token)
    kind, explicit = der.parse_values(content_info.content)
    (signed_data,) = der.parse_values(explicit.content)
    return kind, der.parse_values(signed_data.content)


def _check_signing_certificate(token: bytes, signer: x509.Certificate) -> None:
    """Check the signed hash of the signer's certificate (RFC 5035), which must be present."""
    _, members = _split_token(token)
    (signer_info,) = der.parse_values(members[-1].content)
    (attributes,) = (
        value for value in der.parse_values(signer_info.content) if value.tag == _ATTRIBUTES
    )
    for attribute in der.parse_values(attributes.content):
        kind, values = der.parse_values(attribute.content)
        if (kind.tag, kind.content) != (_OID, _SIGNING_CERTIFICATE):
            continue
        (value,) = der.parse_values(values.content)
        certificates = der.parse_values(value.content)[0]
        first = der.parse_values(der.parse_values(certificates.content)[0].content)
        algorithm = "sha256"
        if first[0].tag == _SEQUENCE:
            identifier = der.parse_values(first.pop(0).content)[0]
            algorithm = _HASHES.get(identifier.content, "")
        data = signer.public_bytes(Encoding.DER)
        if algorithm and first[0] == (_OCTETS, hashlib.new(algorithm, data).digest()):
            return
        raise _refuse("the timestamp names another certificate than that of its signer")
    raise _refuse("the timestamp does not name the certificate of its signer")


def _read_range(response: TimeStampResponse) -> tuple[datetime, datetime]:
    info = response.tst_info
    moment = info.gen_time
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    accuracy = timedelta()
    if info.accuracy is not None:
        accuracy = timedelta(
            seconds=info.accuracy.seconds or 0,
            milliseconds=info.accuracy.millis or 0,
            microseconds=info.accuracy.micros or 0,
        )
    if not accuracy and info.policy == _BASELINE_POLICY:
        accuracy = timedelta(seconds=1)
    if not timedelta() <= accuracy <= _MAX_ACCURACY:
        raise _refuse("the timestamp is too inaccurate")
    return moment - accuracy, moment + accuracy


def _refuse(problem: str) -> InvalidSignatureError:
    return InvalidSignatureError(f"Notation signature: {problem}", problem="timestamp")
