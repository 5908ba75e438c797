"""Identities of signers: attributes of the subject in a certificate.

An identity such as ``x509.subject: C=US, ST=WA, O=Example`` is that of every certificate whose
subject has these attributes, whatever others it has.

https://github.com/notaryproject/specifications/blob/main/specs/trust-store-trust-policy.md#trusted-identities-constraints
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import NameOID

from bundler.errors import InvalidSignatureError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SUBJECT = "x509.subject"

Identity = dict[x509.ObjectIdentifier, str]
"""The attributes of a subject, each of which it has once."""

_NAMES = {
    "C": NameOID.COUNTRY_NAME,
    "ST": NameOID.STATE_OR_PROVINCE_NAME,
    "S": NameOID.STATE_OR_PROVINCE_NAME,
    "L": NameOID.LOCALITY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CN": NameOID.COMMON_NAME,
    "STREET": NameOID.STREET_ADDRESS,
    "POSTALCODE": NameOID.POSTAL_CODE,
    "SERIALNUMBER": NameOID.SERIAL_NUMBER,
}
_REQUIRED = ("C", "ST", "O")
_MAX_TEXT = 4096
_PARTS = re.compile(r"(?P<part>(?:\\.|[^\\,;])*+)(?P<separator>[,;]?)", re.DOTALL)


def parse_identity(text: str) -> Identity:
    """Parse the name after ``x509.subject:``, in the form of RFC 4514 with optional spaces.

    As in notation, a semicolon separates attributes too.

    Raises:
        ValueError: it is malformed, has an attribute twice, or has no C, ST or O.
    """
    if len(text) > _MAX_TEXT or "=#" in text:
        raise ValueError("too long, or with a value in hexadecimal digits")
    attributes: list[x509.RelativeDistinguishedName] = []
    for match in _PARTS.finditer(text):
        name, _, value = (part.lstrip() for part in match["part"].partition("="))
        name = name.rstrip()
        if not value.endswith("\\ "):
            value = value.rstrip()
        if name not in _NAMES:
            raise ValueError(f"unknown attribute {name[:40]!r}")
        try:
            attributes += x509.Name.from_rfc4514_string(f"{name}={value}", _NAMES).rdns
        except ValueError as error:
            raise ValueError(f"malformed attribute {name}={value[:80]!r} {error}".strip()) from None
        if not match["separator"]:
            if match.end() < len(text):
                raise ValueError("ends with a backslash")
            break
    return _collect(attributes)


def read_identity(name: x509.Name) -> Identity:
    """Return the attributes of the subject of a trusted certificate.

    Raises:
        ValueError: as for ``parse_identity``.
    """
    return _collect(name.rdns)


def is_part_of(identity: Identity, other: Mapping[x509.ObjectIdentifier, str]) -> bool:
    """Return whether ``other`` has all attributes of ``identity``."""
    return identity.items() <= other.items()


def check_identity(name: x509.Name, trusted: Iterable[Identity]) -> None:
    """Check that a subject has one of the trusted identities.

    Raises:
        InvalidSignatureError: it has none.
    """
    try:
        found = read_identity(name)
    except ValueError as error:
        problem = f"the subject of the certificate cannot be compared: {error}"
    else:
        if any(is_part_of(identity, found) for identity in trusted):
            return
        problem = "the subject of the certificate is not a trusted identity"
    subject = format_subject(name)
    raise InvalidSignatureError(
        f"Notation signature: {problem} (got {subject})", problem="subject", value=subject
    )


def format_subject(name: x509.Name) -> str:
    """Return the subject of a certificate for reports, at most 1,000 characters."""
    return name.rfc4514_string()[:1000]


def _collect(rdns: Iterable[x509.RelativeDistinguishedName]) -> Identity:
    found: Identity = {}
    for rdn in rdns:
        attributes = list(rdn)
        if len(attributes) != 1 or not isinstance(attributes[0].value, str):
            raise ValueError("several attributes in one part")
        if attributes[0].oid in found:
            raise ValueError("an attribute occurs twice")
        found[attributes[0].oid] = attributes[0].value
    for required in _REQUIRED:
        if not found.get(_NAMES[required]):
            raise ValueError(f"{required} is missing (expected at least C, ST and O)")
    return found
