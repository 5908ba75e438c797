"""Envelopes in COSE (RFC 9052), with a single signer: ``COSE_Sign1_Tagged``.

https://github.com/notaryproject/specifications/blob/main/specs/signature-envelope-cose.md
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

import cbor2

from bundler.trust.notation import envelope
from bundler.trust.notation.envelope import NotationEnvelope, refuse

_SIGN1, _TIME = 18, 1  # tags
_ALGORITHM, _CRITICAL, _CONTENT_TYPE, _CHAIN = 1, 2, 3, 33  # labels of headers
_ALGORITHMS = {-37: "PS256", -38: "PS384", -39: "PS512", -7: "ES256", -35: "ES384", -36: "ES512"}
_MAX_DEPTH = 8
_MAX_TIME = 2**34  # about the year 2500
_OTHER_TAGS = (
    *(0, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54),
    *(100, 256, 258, 260, 261, 1004, 43000, 55799),
)
"""The tags that cbor2 would convert, such as cyclic references and regular expressions."""


def parse_cose(raw: bytes) -> NotationEnvelope:
    """Parse an envelope.

    Raises:
        InvalidSignatureError: it is malformed, or has a header that is not accepted.
    """
    message = _decode(raw, "envelope")
    if not isinstance(message, cbor2.CBORTag) or message.tag != _SIGN1:
        raise refuse("not a COSE_Sign1 message with its tag")
    match message.value:
        case bytes(protected), Mapping() as unprotected, bytes(payload), bytes(signature):
            pass
        case _:
            raise refuse("not a COSE_Sign1 message with a payload")
    headers = _decode(protected, "protected header")
    if not isinstance(headers, Mapping):
        raise refuse("the protected header is not a map")
    if not {*map(type, headers), *map(type, unprotected)} <= {int, str}:
        raise refuse("a header is named neither by a number nor by text")
    if repeated := headers.keys() & unprotected.keys():
        raise refuse(
            f"the header {str(min(repeated, key=str))[:80]!r} is protected and unprotected"
        )
    critical = headers.get(_CRITICAL)
    if not isinstance(critical, list | tuple):
        raise refuse("the list of critical headers is missing")
    attributes = envelope.read_attributes(
        headers, headers.get(_CONTENT_TYPE), critical, _parse_time
    )
    algorithm = headers.get(_ALGORITHM)
    if type(algorithm) is not int or algorithm not in _ALGORITHMS:
        raise refuse(f"unknown algorithm {str(algorithm)[:40]}", "unsupported")
    timestamp = unprotected.get(envelope.TIMESTAMP, b"")
    if not isinstance(timestamp, bytes):
        raise refuse(f"{envelope.TIMESTAMP} is not a byte string")
    return NotationEnvelope(
        algorithm=_ALGORITHMS[algorithm],
        attributes=attributes,
        payload=payload,
        signed=cbor2.dumps(["Signature1", protected, b"", payload]),
        signature=signature,
        certificates=_read_certificates(unprotected),
        timestamp=timestamp,
    )


def _decode(raw: bytes, subject: str) -> Any:  # noqa: ANN401 - any CBOR value
    """Decode one data item of definite length, without duplicate keys or tags of other meaning."""
    if len(raw) > envelope.MAX_ENVELOPE:
        raise refuse(f"{subject}: too large (expected at most {envelope.MAX_ENVELOPE:,} bytes)")

    def refuse_tag(_: object, __: bool) -> NoReturn:
        raise ValueError("a tag that no envelope has")

    stream = io.BytesIO(raw)
    decoder = cbor2.CBORDecoder(
        stream,
        semantic_decoders={_TIME: lambda value, _: cbor2.CBORTag(_TIME, value)}
        | dict.fromkeys(_OTHER_TAGS, refuse_tag),
        max_depth=_MAX_DEPTH,
        allow_indefinite=False,
        allow_duplicate_keys=False,
    )
    try:
        value = decoder.decode()
    except (cbor2.CBORDecodeError, TypeError, ValueError, OverflowError):
        raise refuse(f"{subject}: not CBOR of definite length without duplicate keys") from None
    if stream.read(1):
        raise refuse(f"{subject}: bytes after the CBOR data item")
    return value


def _read_certificates(unprotected: Mapping[object, object]) -> tuple[bytes, ...]:
    found = unprotected.get(_CHAIN, ())
    if not isinstance(found, list | tuple) or not all(isinstance(item, bytes) for item in found):
        raise refuse("the chain of certificates is not an array of byte strings")
    return tuple(found)


def _parse_time(value: object, name: str) -> datetime:
    if isinstance(value, cbor2.CBORTag) and value.tag == _TIME:
        seconds = value.value
        if type(seconds) is int and 0 <= seconds <= _MAX_TIME:
            return datetime.fromtimestamp(seconds, UTC)
    raise refuse(f"{name} is not a time in whole seconds, with its tag")
