"""Certificates of a signer: the conditions that a chain must meet, apart from who trusts it.

Only the basic constraints, the key usage and the extended key usage are evaluated, as the
specification requires.

https://github.com/notaryproject/specifications/blob/main/specs/signature-specification.md#certificate-requirements
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from bundler.errors import InvalidSignatureError
from bundler.trust.keys import MIN_RSA_BITS
from bundler.trust.notation.algorithms import find_algorithm
from bundler.trust.sigstore.certificates import MALFORMED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

MAX_CERTIFICATES = 16
"""Maximum number of certificates in a chain."""
_MAX_CERTIFICATE = 64 * 1024
_HASHES = frozenset({"sha256", "sha384", "sha512"})
_OTHER_PURPOSES = frozenset(
    {
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.EMAIL_PROTECTION,
        ExtendedKeyUsageOID.OCSP_SIGNING,
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.TIME_STAMPING,
    }
)

ExtensionT = TypeVar("ExtensionT", bound=x509.ExtensionType)


def parse_chain(blocks: Sequence[bytes]) -> tuple[x509.Certificate, ...]:
    """Parse the certificates of an envelope, that of the signer first.

    Raises:
        InvalidSignatureError: there are none or too many, or one is malformed.
    """
    if not 0 < len(blocks) <= MAX_CERTIFICATES:
        raise refuse(
            f"wrong number of certificates (expected 1 to {MAX_CERTIFICATES}, got {len(blocks):,})"
        )
    if max(map(len, blocks)) > _MAX_CERTIFICATE:
        raise refuse("a certificate is too large")
    try:
        return tuple(x509.load_der_x509_certificate(block) for block in blocks)
    except MALFORMED:
        raise refuse("a certificate is malformed") from None


def check_chain(chain: Sequence[x509.Certificate]) -> None:
    """Check that each certificate issued the one before it, for signing code, up to a root.

    Raises:
        InvalidSignatureError: it is no such chain.
    """
    try:
        if not is_issued_by(chain[-1], chain[-1]):
            raise refuse("the last certificate is not a root")
        # From the root down, so that no work is done for a chain that the root did not issue.
        for certificate, issuer in reversed([*pairwise(chain)]):
            if not is_issued_by(certificate, issuer):
                raise refuse("the certificates are not one chain in order")
            if is_issued_by(certificate, certificate):
                raise refuse("more than one certificate is a root")
        check_signer(chain[0])
        purposes = _find(chain[0], x509.ExtendedKeyUsage)
        if purposes is not None and not _OTHER_PURPOSES.isdisjoint(purposes.value):
            raise refuse("the certificate of the signer is for another purpose than signing code")
        # ``below`` authorities are between a certificate and the signer.
        for below, certificate in enumerate(chain[1:]):
            constraints = _find(certificate, x509.BasicConstraints)
            if constraints is None or not constraints.critical or not constraints.value.ca:
                raise refuse("a certificate of the chain is not that of an authority")
            length = constraints.value.path_length
            if length is not None and length < below:
                raise refuse("the chain is longer than a certificate permits")
            if not _find_usage(certificate, critical=True).key_cert_sign:
                raise refuse("the key of an authority is not for signing certificates")
            _check_hash(certificate)
            key = certificate.public_key()
            if isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS:
                raise refuse(f"the key of an authority is too short (expected {MIN_RSA_BITS} bits)")
    except MALFORMED:
        raise refuse("a certificate has malformed or duplicate extensions") from None


def check_signer(certificate: x509.Certificate, *, critical: bool = True) -> None:
    """Check that a certificate is for signatures only, with an accepted key.

    ``critical``: the key usage must be marked critical.

    Raises:
        InvalidSignatureError: it is for something else.
    """
    constraints = _find(certificate, x509.BasicConstraints)
    if constraints is not None and constraints.value.ca:
        raise refuse("the certificate of the signer is that of an authority")
    usage = _find_usage(certificate, critical=critical)
    others = ("key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign")
    if not usage.digital_signature or any(getattr(usage, name) for name in others):
        raise refuse("the key of the signer is not for digital signatures only")
    _check_hash(certificate)
    if find_algorithm(certificate.public_key()) is None:
        raise refuse("the key of the signer has another algorithm or size than permitted")


def check_validity(chain: Sequence[x509.Certificate], start: datetime, end: datetime) -> None:
    """Check that every certificate was valid at a time, which is between ``start`` and ``end``.

    Raises:
        InvalidSignatureError: one was not.
    """
    for certificate in chain:
        if start < certificate.not_valid_before_utc or end > certificate.not_valid_after_utc:
            raise refuse(
                f"a certificate was not valid at {end:%Y-%m-%d} (expected"
                f" {certificate.not_valid_before_utc:%Y-%m-%d} to"
                f" {certificate.not_valid_after_utc:%Y-%m-%d})"
            )


def read_subject(certificate: x509.Certificate) -> x509.Name:
    """Return the subject of a certificate.

    Raises:
        InvalidSignatureError: it is malformed.
    """
    try:
        return certificate.subject
    except (TypeError, *MALFORMED):  # TypeError: a bit string where the name has text
        raise refuse("the subject of a certificate is malformed") from None


def is_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Return whether ``issuer`` has the name of the issuer, and its key made the signature."""
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, TypeError, UnsupportedAlgorithm, ValueError):
        return False
    return True


def refuse(problem: str) -> InvalidSignatureError:
    """Create the error for a chain that is not accepted; the caller raises it."""
    return InvalidSignatureError(f"Notation signature: {problem}", problem="certificate")


def _check_hash(certificate: x509.Certificate) -> None:
    algorithm = certificate.signature_hash_algorithm  # None for Ed25519
    if algorithm is not None and algorithm.name not in _HASHES:
        raise refuse(f"a certificate is signed with {algorithm.name}")


def _find_usage(certificate: x509.Certificate, *, critical: bool) -> x509.KeyUsage:
    usage = _find(certificate, x509.KeyUsage)
    if usage is None or (critical and not usage.critical):
        raise refuse("a certificate has no critical key usage")
    return usage.value


def _find(
    certificate: x509.Certificate, kind: type[ExtensionT]
) -> x509.Extension[ExtensionT] | None:
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None
