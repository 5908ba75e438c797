"""Envelopes in JWS (RFC 7515), in the flattened JSON serialization.

https://github.com/notaryproject/specifications/blob/main/specs/signature-envelope-jws.md
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from bundler.oci.json import base64_strict
from bundler.trust.notation import envelope
from bundler.trust.notation.envelope import NotationEnvelope, refuse

_MEMBERS = ("payload", "protected", "header", "signature")
_KNOWN = (
    *("alg", "cty", "crit"),
    *(envelope.SCHEME, envelope.SIGNING_TIME, envelope.AUTHENTIC_TIME, envelope.EXPIRY),
    *envelope.PLUGIN_HEADERS,
)
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)


def parse_jws(raw: bytes) -> NotationEnvelope:
    """Parse an envelope.

    Raises:
        InvalidSignatureError: it is malformed, or has a header that is not accepted.
    """
    document = envelope.parse_json(raw, "envelope")
    document.refuse_unknown(_MEMBERS)
    payload, protected, signature = (
        document.text(name) for name in ("payload", "protected", "signature")
    )
    headers = envelope.parse_json(_decode(protected, "protected"), "protected header")
    headers.refuse_other_case(_KNOWN)
    unprotected = document.table("header")
    unprotected.refuse_other_case(("x5c", envelope.TIMESTAMP))
    if repeated := headers.value.keys() & unprotected.value.keys():
        raise refuse(f"the header {min(repeated)[:80]!r} is both protected and unprotected")
    attributes = envelope.read_attributes(
        {name: value for name, value in headers.value.items() if value is not None},
        headers.text("cty"),
        headers.texts("crit"),
        _parse_time,
    )
    return NotationEnvelope(
        algorithm=headers.text("alg"),
        attributes=attributes,
        payload=_decode(payload, "payload"),
        signed=f"{protected}.{payload}".encode(),
        signature=_decode(signature, "signature"),
        certificates=tuple(
            base64_strict.decode(text, "x5c", error=refuse) for text in unprotected.texts("x5c")
        ),
        timestamp=unprotected.base64(envelope.TIMESTAMP),
    )


def _decode(text: str, name: str) -> bytes:
    if "=" in text:
        raise refuse(f"{name}: base64url with padding (RFC 7515 permits none)")
    return base64_strict.decode_url(text, name, error=refuse)


def _parse_time(value: object, name: str) -> datetime:
    try:
        if isinstance(value, str) and _TIME.fullmatch(value):
            return datetime.fromisoformat(value).astimezone(UTC)
    except (OverflowError, ValueError):
        pass
    raise refuse(f"{name} is not a time of RFC 3339")
