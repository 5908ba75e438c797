"""Strict parser of untrusted JSON (RFC 8259, with the ban on duplicate names of RFC 7493).

It refuses documents that are too large or nested too deeply, text that is not UTF-8 or begins with
a byte order mark, duplicate keys, NaN and infinities, numbers that other parsers may read
differently, and unpaired surrogates.
"""

from __future__ import annotations

import json
import math
import re
from itertools import accumulate
from typing import Any

from bundler.errors import LimitError, MalformedError

MAX_DEPTH = 64
MAX_INTEGER = 2**63 - 1
MAX_DOCUMENT = 4 * 1024 * 1024  # the limit of containers/image and of registries

# An unterminated string extends to the end of the text.
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_BRACKET = re.compile(r"[\[\]{}]")
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}

JSON = dict[str, Any] | list[Any] | str | int | float | bool | None


def loads(raw: bytes, *, subject: str = "JSON document", limit: int = MAX_DOCUMENT) -> JSON:
    """Parse a JSON document.

    Args:
        raw: the document's bytes.
        subject: the document's name in messages.
        limit: the maximum size in bytes.

    Raises:
        LimitError: the document is larger or deeper than allowed.
        MalformedError: it is not strict JSON.
    """
    if len(raw) > limit:
        raise LimitError(
            f"{subject}: too large (expected at most {limit:,} bytes, got {len(raw):,})"
        )
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError(f"{subject}: not UTF-8 at byte {error.start}") from None
    _check_depth(text, subject)
    try:
        value: JSON = json.loads(
            text,
            object_pairs_hook=_build_object,
            parse_constant=_refuse_constant,
            parse_int=_parse_integer,
            parse_float=_parse_float,
        )
    except _RefusedError as error:
        raise MalformedError(f"{subject}: {error}") from None
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"{subject}: not JSON: {error}") from None
    if "\\u" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise MalformedError(f"{subject}: a string has an unpaired surrogate") from None
    return value


def load_object(
    raw: bytes, *, subject: str = "JSON document", limit: int = MAX_DOCUMENT
) -> dict[str, Any]:
    """Parse a document whose top level must be an object, as ``loads`` does."""
    value = loads(raw, subject=subject, limit=limit)
    if not isinstance(value, dict):
        names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
        got = names.get(type(value), "a number")
        raise MalformedError(f"{subject}: expected a JSON object, got {got}")
    return value


def dumps(value: JSON) -> bytes:
    """Encode canonical JSON: sorted keys, no spaces, ASCII only, integers as the only numbers."""
    _refuse_floats(value)
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


def _check_depth(text: str, subject: str) -> None:
    """Check the nesting depth by counting brackets, because the parser itself is recursive."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    brackets = _BRACKET.findall(_STRING.sub("", text))
    if max(accumulate(map(_STEPS.__getitem__, brackets), initial=0)) > MAX_DEPTH:
        raise LimitError(f"{subject}: nested too deeply (expected at most {MAX_DEPTH} levels)")


def _refuse_floats(value: JSON) -> None:
    if isinstance(value, float):
        raise TypeError("canonical JSON has no fractions")
    for item in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        _refuse_floats(item)
