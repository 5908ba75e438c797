"""Certificates of signing keys: those of Fulcio for OIDC identities, and those of a private PKI.

Every certificate of a chain, including the root, must be valid at the same trusted time. That time
never comes from the certificate. The identity is compared exactly, without patterns.

https://github.com/sigstore/fulcio/blob/main/docs/oid-info.md
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    Policy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from bundler.errors import BundlerError, ConfigError, SigstoreSignatureError
from bundler.oci.json.timestamps import format_utc
from bundler.trust import der
from bundler.trust.sigstore.keys import VerificationKey, accept_public_key
from bundler.trust.sigstore.pem import split_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

MAX_CERTIFICATES = 16
"""Maximum number of certificates in one signature."""
MAX_CHAIN = 8
"""Maximum number of intermediate certificates between a signing certificate and its root."""

MALFORMED = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""The errors that cryptography raises for malformed certificates."""

_BEGIN = b"-----BEGIN "
_ISSUER_V1 = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_ISSUER_V2 = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_STRINGS = (0x0C, 0x13, 0x16)  # UTF8String; Go also accepts PrintableString and IA5String
_USAGES = frozenset({ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})


@dataclass(frozen=True, slots=True)
class Authority:
    """Trusted certificates: roots, and intermediate certificates that chains may use."""

    roots: tuple[x509.Certificate, ...] = field(repr=False)
    intermediates: tuple[x509.Certificate, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class OidcIdentity:
    """An identity of Fulcio: the OIDC provider, and the subject that it authenticated."""

    issuer: str
    subject: str
    """An email address; in sigstore bundles also a URI, such as that of a workflow."""


@dataclass(frozen=True, slots=True)
class PkiIdentity:
    """An identity of a private PKI; an empty member is not checked, but one must be set."""

    hostname: str = ""
    email: str = ""


def verify_fulcio(
    certificate: x509.Certificate,
    untrusted: Sequence[x509.Certificate],
    authority: Authority,
    identity: OidcIdentity,
    moment: datetime,
) -> VerificationKey:
    """Verify a certificate of Fulcio for an email address; return its key.

    Args:
        certificate: the signing certificate.
        untrusted: intermediate certificates that came with the signature.
        authority: the certificates of Fulcio.
        identity: the expected identity.
        moment: the trusted time of the signature.

    Raises:
        SigstoreSignatureError: the chain, a validity period or the identity is not as expected.
    """
    verify_chain(certificate, untrusted, authority, moment)
    check_issuer(certificate, identity.issuer)
    _check_email(certificate, identity.subject)
    return get_key(certificate)


def verify_pki(
    certificate: x509.Certificate,
    untrusted: Sequence[x509.Certificate],
    authority: Authority,
    identity: PkiIdentity,
    moment: datetime,
) -> VerificationKey:
    """Verify a certificate of a private PKI; return its key. The arguments are as above.

    Raises:
        SigstoreSignatureError: the chain, a validity period or the identity is not as expected.
    """
    verify_chain(certificate, untrusted, authority, moment)
    if not identity.hostname and not identity.email:
        raise SigstoreSignatureError("no expected identity is set", problem="subject")
    if identity.email:
        _check_email(certificate, identity.email)
    if identity.hostname:
        _check_hostname(certificate, identity.hostname)
    return get_key(certificate)


def verify_chain(
    certificate: x509.Certificate,
    untrusted: Sequence[x509.Certificate],
    authority: Authority,
    moment: datetime,
) -> tuple[x509.Certificate, ...]:
    """Verify that a root issued the code signing certificate; return the chain, root last.

    Raises:
        SigstoreSignatureError: there is no chain of certificates that are valid at ``moment``.
    """
    issuer_policy, signer_policy = _create_policies()
    try:
        verifier = (
            PolicyBuilder()
            .store(Store(list(authority.roots)))
            .time(moment)
            .max_chain_depth(MAX_CHAIN)
            .extension_policies(ca_policy=issuer_policy, ee_policy=signer_policy)
            .build_client_verifier()
        )
        return tuple(verifier.verify(certificate, [*authority.intermediates, *untrusted]).chain)
    except (VerificationError, *MALFORMED):
        start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        when = format_utc(moment)
        problem = f"no chain of certificates valid at {when} ends at a trusted root"
        if not start <= moment <= end:
            valid = f"{format_utc(start)} to {format_utc(end)}"
            problem = f"the certificate was not valid at {when} (expected {valid})"
        raise SigstoreSignatureError(problem, problem="certificate") from None


def get_key(certificate: x509.Certificate) -> VerificationKey:
    """Return the key of a certificate.

    Raises:
        SigstoreSignatureError: the key is not accepted.
    """
    try:
        return accept_public_key(certificate.public_key(), "certificate")
    except BundlerError as error:
        raise SigstoreSignatureError(error.message, problem="certificate") from None
    except MALFORMED:
        raise SigstoreSignatureError(
            "the key of the certificate is malformed or unknown", problem="certificate"
        ) from None


def check_issuer(certificate: x509.Certificate, expected: str) -> None:
    """Check that Fulcio recorded the OIDC provider ``expected`` in a certificate.

    Raises:
        SigstoreSignatureError: no provider is recorded, or another one, or two different ones.
    """
    found = find_issuer(certificate)
    if found != expected or not expected:
        raise SigstoreSignatureError(
            f"the OIDC issuer is {found[:200]!r} (expected {expected!r})",
            problem="issuer",
            value=found,
        )


def find_issuer(certificate: x509.Certificate) -> str:
    """Return the OIDC provider that Fulcio recorded in a certificate.

    Raises:
        SigstoreSignatureError: there is none, or the two extensions for it differ.
    """
    issuers: set[str] = set()
    try:
        for extension in _get_extensions(certificate):
            if extension.oid == _ISSUER_V1:
                issuers.add(extension.value.public_bytes().decode())
            elif extension.oid == _ISSUER_V2:
                (value,) = der.parse_values(extension.value.public_bytes())
                if value.tag not in _STRINGS:
                    raise ValueError("not a string")  # noqa: TRY301 - reported below
                issuers.add(value.content.decode())
    except ValueError:
        raise SigstoreSignatureError(
            "the OIDC issuer in the certificate is malformed", problem="issuer"
        ) from None
    if len(issuers) != 1:
        problem = "no OIDC issuer" if not issuers else "two different OIDC issuers"
        raise SigstoreSignatureError(f"{problem} in the certificate", problem="issuer")
    return issuers.pop()


def find_subjects(certificate: x509.Certificate) -> tuple[list[str], list[str]]:
    """Return the email addresses and the URIs of a certificate.

    Raises:
        SigstoreSignatureError: the extensions are malformed.
    """
    names = _get_alternative_names(certificate)
    return (
        names.get_values_for_type(x509.RFC822Name),
        names.get_values_for_type(x509.UniformResourceIdentifier),
    )


def parse_certificate(pem: bytes, subject: str) -> x509.Certificate:
    """Parse the single certificate in an untrusted PEM; ``subject`` is its name in messages.

    Raises:
        SigstoreSignatureError: there is no certificate, or more than one.
    """
    found = parse_certificates(pem, subject)
    if len(found) != 1:
        raise SigstoreSignatureError(
            f"{subject}: wrong number of certificates (expected 1, got {len(found)})",
            problem="certificate",
        )
    return found[0]


def parse_certificates(pem: bytes, subject: str) -> list[x509.Certificate]:
    """Parse the certificates in an untrusted PEM, of which there may be none.

    Raises:
        SigstoreSignatureError: there are too many, or one is malformed.
    """
    if pem.count(_BEGIN) > MAX_CERTIFICATES:
        raise SigstoreSignatureError(
            f"{subject}: too many certificates (expected at most {MAX_CERTIFICATES})",
            problem="certificate",
        )
    try:
        return [x509.load_der_x509_certificate(block) for block in split_blocks(pem)]
    except MALFORMED:
        raise SigstoreSignatureError(
            f"{subject}: not certificates in PEM", problem="certificate"
        ) from None


def parse_der_certificate(data: bytes, subject: str) -> x509.Certificate:
    """Parse an untrusted certificate in DER.

    Raises:
        SigstoreSignatureError: it is malformed.
    """
    try:
        return x509.load_der_x509_certificate(data)
    except MALFORMED:
        raise SigstoreSignatureError(
            f"{subject}: not a certificate in DER", problem="certificate"
        ) from None


def load_trusted_certificates(pem: bytes, subject: str) -> tuple[x509.Certificate, ...]:
    """Parse the certificates of an authority; ``subject`` is their file, for messages.

    Raises:
        ConfigError: there are none, or one is malformed.
    """
    try:
        return tuple(x509.load_pem_x509_certificates(pem))
    except MALFORMED:
        raise ConfigError(f"{subject}: not certificates in PEM", path=subject) from None


def get_der(certificate: x509.Certificate) -> bytes:
    """Return a certificate in DER."""
    return certificate.public_bytes(Encoding.DER)


def get_pem(certificate: x509.Certificate) -> bytes:
    """Return a certificate in PEM."""
    return certificate.public_bytes(Encoding.PEM)


def _check_email(certificate: x509.Certificate, expected: str) -> None:
    emails, _ = find_subjects(certificate)
    if expected not in emails:
        found = ", ".join(emails)[:200]
        raise SigstoreSignatureError(
            f"the certificate is for {found or 'no email address'} (expected {expected})",
            problem="subject",
            value=found,
        )


def _check_hostname(certificate: x509.Certificate, expected: str) -> None:
    """Compare the host name, or an IP address in any form, as TLS clients do (RFC 9525)."""
    names = _get_alternative_names(certificate)
    patterns = names.get_values_for_type(x509.DNSName)
    try:
        address = ipaddress.ip_address(expected.removeprefix("[").removesuffix("]"))
    except ValueError:
        matches = any(_matches_host(pattern, expected) for pattern in patterns)
    else:
        matches = address in names.get_values_for_type(x509.IPAddress)
    if not matches:
        found = ", ".join(patterns)[:200]
        raise SigstoreSignatureError(
            f"the certificate is for {found or 'no host name'} (expected {expected})",
            problem="subject",
            value=found,
        )


def _matches_host(pattern: str, host: str) -> bool:
    """Return whether a DNS name matches; ``*`` may replace the first label."""
    pattern, host = pattern.lower(), host.lower()
    if pattern.endswith("."):  # not a valid pattern
        return pattern == host
    labels, expected = pattern.split("."), host.removesuffix(".").split(".")
    if len(labels) != len(expected) or not all(labels) or not all(expected):
        return False
    if labels[0] == "*" and len(labels) > 1:
        labels, expected = labels[1:], expected[1:]
    return labels == expected


def _get_alternative_names(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    for extension in _get_extensions(certificate):
        if isinstance(extension.value, x509.SubjectAlternativeName):
            return extension.value
    return x509.SubjectAlternativeName([])


def _get_extensions(certificate: x509.Certificate) -> x509.Extensions:
    try:
        return certificate.extensions
    except MALFORMED:
        raise SigstoreSignatureError(
            "the certificate has malformed or duplicate extensions", problem="certificate"
        ) from None


def _create_policies() -> tuple[ExtensionPolicy, ExtensionPolicy]:
    """Return the conditions for the extensions of issuers, and of the signing certificate."""

    def check_constraints(_: Policy, __: x509.Certificate, found: x509.BasicConstraints) -> None:
        if not found.ca:
            raise ValueError("an issuer is not an authority")

    def check_usage(_: Policy, __: x509.Certificate, found: x509.KeyUsage | None) -> None:
        if found is not None and not found.key_cert_sign:
            raise ValueError("the key of an issuer must not sign certificates")

    def check_extended(
        _: Policy, __: x509.Certificate, found: x509.ExtendedKeyUsage | None
    ) -> None:
        if found is not None and _USAGES.isdisjoint(found):
            raise ValueError("a certificate is not for code signing")

    issuer_policy = (
        ExtensionPolicy.permit_all()
        .require_present(x509.BasicConstraints, Criticality.AGNOSTIC, check_constraints)
        .may_be_present(x509.KeyUsage, Criticality.AGNOSTIC, check_usage)
        .may_be_present(x509.ExtendedKeyUsage, Criticality.AGNOSTIC, check_extended)
    )
    signer_policy = ExtensionPolicy.permit_all().may_be_present(
        x509.ExtendedKeyUsage, Criticality.AGNOSTIC, check_extended
    )
    return issuer_policy, signer_policy
