"""Content of a signature envelope: what JWS and COSE have in common.

An envelope contains a payload, attributes that are signed with it, and the certificates of the
signer. Nothing in it is trusted before ``verify`` has accepted it.

https://github.com/notaryproject/specifications/blob/main/specs/signature-specification.md
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bundler.errors import InvalidSignatureError, LimitError, MalformedError
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

MAX_ENVELOPE = 1024 * 1024
PAYLOAD_TYPE = "application/vnd.cncf.notary.payload.v1+json"

SCHEME = "io.cncf.notary.signingScheme"
SIGNING_TIME = "io.cncf.notary.signingTime"
AUTHENTIC_TIME = "io.cncf.notary.authenticSigningTime"
EXPIRY = "io.cncf.notary.expiry"
PLUGIN_HEADERS = (
    "io.cncf.notary.verificationPlugin",
    "io.cncf.notary.verificationPluginMinVersion",
)
TIMESTAMP = "io.cncf.notary.timestampSignature"

EnvelopePart = Literal["format", "payload", "unsupported"]
Scheme = Literal["notary.x509", "notary.x509.signingAuthority"]
_SCHEMES: dict[str, tuple[Scheme, str, str]] = {
    "notary.x509": ("notary.x509", SIGNING_TIME, AUTHENTIC_TIME),
    "notary.x509.signingAuthority": ("notary.x509.signingAuthority", AUTHENTIC_TIME, SIGNING_TIME),
}
"""For each scheme: the header with its time, and the header that it does not permit."""


@dataclass(frozen=True, slots=True)
class SignedAttributes:
    """The attributes that are signed with the payload."""

    scheme: Scheme
    signing_time: datetime
    """The time that the signer states. Only that of a signing authority may be relied on."""
    expiry: datetime | None


@dataclass(frozen=True, slots=True)
class NotationEnvelope:
    """A parsed envelope, of which nothing is verified."""

    algorithm: str
    """As JWS names it, such as ``PS256``."""
    attributes: SignedAttributes
    payload: bytes = field(repr=False)
    signed: bytes = field(repr=False)
    """The bytes that ``signature`` covers: the attributes and the payload."""
    signature: bytes = field(repr=False)
    """In ECDSA, the numbers r and s side by side."""
    certificates: tuple[bytes, ...] = field(repr=False)
    """In DER, that of the signer first, the root last."""
    timestamp: bytes = field(default=b"", repr=False)
    """The countersignature of a timestamp authority; empty if there is none."""


def read_attributes(
    headers: Mapping[object, object],
    content_type: object,
    critical: Sequence[object],
    parse_time: Callable[[object, str], datetime],
) -> SignedAttributes:
    """Read and check the protected headers of an envelope.

    Args:
        headers: the protected headers with text names.
        content_type: the media type of the payload.
        critical: the names of headers that a verifier must understand.
        parse_time: the parser of times; its second argument is the name of the header.

    Raises:
        InvalidSignatureError: a header is missing, not permitted or malformed, or a critical one is
            unknown.
    """
    if content_type != PAYLOAD_TYPE:
        raise refuse(f"the payload is of the type {str(content_type)[:80]!r}", "payload")
    if plugin := next((name for name in PLUGIN_HEADERS if name in headers), None):
        raise refuse(f"it can only be verified by a plugin of notation ({plugin})", "unsupported")
    named = headers.get(SCHEME)
    if not isinstance(named, str) or named not in _SCHEMES:
        raise refuse(f"unknown signing scheme {str(named)[:80]!r}", "unsupported")
    scheme, time_name, other_name = _SCHEMES[named]
    if other_name in headers:
        raise refuse(f"{other_name} is not permitted with the scheme {scheme}")
    if time_name not in headers:
        raise refuse(f"{time_name} is missing")
    required = {SCHEME} | ({AUTHENTIC_TIME, EXPIRY} & headers.keys())
    for name in critical:
        if not isinstance(name, str) or name not in required:
            raise refuse(f"unknown critical header {str(name)[:80]!r}", "unsupported")
    if missing := required.difference(critical):
        raise refuse(f"not marked as critical: {', '.join(sorted(missing))}")
    moment = parse_time(headers[time_name], time_name)
    expiry = parse_time(headers[EXPIRY], EXPIRY) if EXPIRY in headers else None
    if expiry is not None and expiry <= moment:
        raise refuse("it expires before it was made")
    return SignedAttributes(scheme, moment, expiry)


def parse_json(raw: bytes, subject: str, part: EnvelopePart = "format") -> Table:
    """Parse a JSON object of an envelope; the errors of its members name ``part``.

    Raises:
        InvalidSignatureError: ``raw`` is too large, or is not a strict JSON object.
    """
    try:
        table = Table.parse(raw, subject, limit=MAX_ENVELOPE)
    except (LimitError, MalformedError) as error:
        raise refuse(error.message, part) from None

    def create_error(text: str) -> InvalidSignatureError:
        return refuse(text, part)

    return Table(table.value, subject, create_error)


def refuse(problem: str, part: EnvelopePart = "format") -> InvalidSignatureError:
    """Create the error for an envelope that is not accepted; the caller raises it."""
    return InvalidSignatureError(f"Notation signature: {problem}", problem=part)
