"""Timestamps of signatures by a trusted authority (RFC 3161).

The optional library rfc3161-client verifies the token and the chain of the authority at the time
that the token states. Without it, bundles with timestamps are refused.

https://www.rfc-editor.org/rfc/rfc3161
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from cryptography import x509

from bundler.errors import SigstoreSignatureError
from bundler.trust.sigstore.certificates import MALFORMED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from rfc3161_client import Verifier

    from bundler.trust.sigstore.trusted_root import TrustedAuthority

MAX_TIMESTAMP = 64 * 1024


def verify_timestamp(
    token: bytes, signature: bytes, authorities: Sequence[TrustedAuthority]
) -> datetime:
    """Verify a timestamp of ``signature`` by one of the authorities; return its time.

    Raises:
        SigstoreSignatureError: it is malformed, is about something else, or is not by one of them.
    """
    try:
        from rfc3161_client import (  # noqa: PLC0415 - optional
            VerificationError,
            decode_timestamp_response,
        )
    except ImportError:
        raise SigstoreSignatureError(
            "timestamps (RFC 3161) are not supported here",
            problem="unsupported",
            hint="install the Python package rfc3161-client",
        ) from None
    if len(token) > MAX_TIMESTAMP:
        raise _create_error("the timestamp is too large")
    try:
        response = decode_timestamp_response(token)
        moment = response.tst_info.gen_time
    except ValueError:
        raise _create_error("the timestamp is malformed") from None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    for authority in authorities:
        if moment not in authority.period:
            continue
        try:
            _create_verifier(authority).verify_message(response, signature)
        except (VerificationError, *MALFORMED):
            continue
        return moment
    raise _create_error("the timestamp is not by a trusted authority for this signature")


def _create_verifier(authority: TrustedAuthority) -> Verifier:
    from rfc3161_client import VerifierBuilder  # noqa: PLC0415 - as above

    *others, root = authority.chain
    builder = VerifierBuilder().add_root_certificate(root)
    for number, certificate in enumerate(others):
        try:
            constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
            is_issuer = constraints.value.ca
        except (x509.ExtensionNotFound, *MALFORMED):
            is_issuer = False
        if number == 0 and not is_issuer:
            builder = builder.tsa_certificate(certificate)
        else:
            builder = builder.add_intermediate_certificate(certificate)
    return builder.build()


def _create_error(message: str) -> SigstoreSignatureError:
    return SigstoreSignatureError(message, problem="timestamp")
