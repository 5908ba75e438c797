"""Strict parser of untrusted JSON (RFC 8259, with the ban on duplicate names of RFC 7493).

It refuses documents that are too large or nested too deeply, text that is not UTF-8 or begins with
a byte order mark, duplicate keys, NaN and infinities, numbers that other parsers may read
differently, and unpaired surrogates. Values need up to a hundred times more memory than their text,
so their number is limited before they are created.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from bundler.errors import LimitError, MalformedError

MAX_DEPTH = 64
MAX_INTEGER = 2**63 - 1
MAX_DOCUMENT = 4 * 1024 * 1024  # the limit of containers/image and of registries
MAX_TOKENS = 500_000
"""Maximum number of strings, brackets, colons, commas and backslashes in a document."""

# An unterminated string extends to the end of the document.
# Without possessive quantifiers, the match would need memory for each escaped character.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[\]{}:,]', re.DOTALL)
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
_SURROGATE = re.compile("[\ud800-\udfff]")

JSON = dict[str, Any] | list[Any] | str | int | float | bool | None


def loads(
    raw: bytes,
    *,
    subject: str = "JSON document",
    limit: int = MAX_DOCUMENT,
    max_tokens: int = MAX_TOKENS,
    tolerant: bool = False,
) -> JSON:
    """Parse a JSON document.

    Args:
        raw: the document's bytes.
        subject: the document's name in messages.
        limit: the maximum size in bytes.
        max_tokens: the maximum number of strings, brackets, colons, commas and backslashes.
        tolerant: accept two deviations that do not change the meaning of a document: members that
            are repeated with an equal value, and bytes that are not UTF-8, which are replaced by
            U+FFFD, as Go's parser does.

    Raises:
        LimitError: the document is larger or deeper than allowed.
        MalformedError: it is not strict JSON.
    """
    if len(raw) > limit:
        raise LimitError(
            f"{subject}: too large (expected at most {limit:,} bytes, got {len(raw):,})"
        )
    _check_tokens(raw, subject, max_tokens)
    try:
        text = raw.decode("utf-8", "replace" if tolerant else "strict")
    except UnicodeDecodeError as error:
        raise MalformedError(f"{subject}: not UTF-8 at byte {error.start}") from None
    try:
        value: JSON = json.loads(
            text,
            object_pairs_hook=_build_tolerant_object if tolerant else _build_object,
            parse_constant=_refuse_constant,
            parse_int=_parse_integer,
            parse_float=_parse_float,
        )
    except _RefusedError as error:
        raise MalformedError(f"{subject}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"{subject}: not JSON: {error}") from None
    if "\\u" in text and _has_surrogate(value):
        raise MalformedError(f"{subject}: a string has an unpaired surrogate")
    return value


def load_object(
    raw: bytes,
    *,
    subject: str = "JSON document",
    limit: int = MAX_DOCUMENT,
    tolerant: bool = False,
) -> dict[str, Any]:
    """Parse a document whose top level must be an object, as ``loads`` does."""
    value = loads(raw, subject=subject, limit=limit, tolerant=tolerant)
    if not isinstance(value, dict):
        names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
        got = names.get(type(value), "a number")
        raise MalformedError(f"{subject}: expected a JSON object, got {got}")
    return value


def load_canonical(raw: bytes, *, subject: str, limit: int = MAX_DOCUMENT) -> dict[str, Any]:
    """Parse an object in the form that ``dumps`` writes; no other form is accepted.

    This is faster than ``load_object``: a document that is equal to its canonical form has no
    duplicate keys and no text that parsers read differently.

    Raises:
        LimitError: the document is larger or deeper than allowed.
        MalformedError: it is not an object in canonical form.
    """
    if len(raw) > limit:
        raise LimitError(f"{subject}: too large (expected at most {limit:,} bytes)")
    _check_tokens(raw, subject, MAX_TOKENS)
    try:
        value = json.loads(raw, parse_int=_parse_integer, parse_float=_refuse_constant)
        if isinstance(value, dict) and _encode(value) == raw:
            return value
    except (ValueError, RecursionError):
        pass
    raise MalformedError(f"{subject}: not a JSON object in canonical form")


def dumps(value: JSON) -> bytes:
    """Encode canonical JSON: sorted keys, no spaces, ASCII only, integers as the only numbers."""
    _refuse_floats(value)
    return _encode(value)


def _encode(value: JSON) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


class _RefusedError(ValueError):
    """Raised by the hooks of ``json``, to distinguish it from errors of ``json`` itself."""


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _RefusedError(f"duplicate key {key[:80]!r}")
            seen.add(key)
    return result


def _build_tolerant_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        for key, value in pairs:
            # Compared as JSON, since 1 and true are equal in Python.
            if value is not result[key] and json.dumps(value) != json.dumps(result[key]):
                raise _RefusedError(f"duplicate key {key[:80]!r} with different values")
    return result


def _refuse_constant(name: str) -> None:
    raise _RefusedError(f"{name} is not a JSON number")


def _parse_integer(text: str) -> int:
    if len(text) > 20 or not -MAX_INTEGER - 1 <= (value := int(text)) <= MAX_INTEGER:
        raise _RefusedError(f"the number {text[:40]} does not fit in 64 bits")
    return value


def _parse_float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise _RefusedError(f"the number {text[:40]} is out of range")
    return value


def _check_tokens(raw: bytes, subject: str, limit: int) -> None:
    """Check the nesting depth, because the parser is recursive, and the number of tokens."""
    if len(raw) <= limit and raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    escapes = raw.count(b"\\")  # the parser creates a string for each of them
    for number, token in enumerate(_TOKEN.finditer(raw), 1 + escapes):
        depth += _STEPS.get(raw[token.start()], 0)
        if depth > MAX_DEPTH:
            raise LimitError(f"{subject}: nested too deeply (expected at most {MAX_DEPTH} levels)")
        if number > limit:
            raise LimitError(f"{subject}: too many tokens (expected at most {limit:,})")


def _has_surrogate(value: JSON) -> bool:
    """Return whether a string in ``value`` contains a surrogate, which UTF-8 cannot represent."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            if _SURROGATE.search(item):
                return True
        elif isinstance(item, dict):
            pending += item
            pending += item.values()
        elif isinstance(item, list):
            pending += item
    return False


def _refuse_floats(value: JSON) -> None:
    if isinstance(value, float):
        raise TypeError("canonical JSON has no fractions")
    for item in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        _refuse_floats(item)
