"""JSON as programs in Go write it, byte for byte: digests depend on it.

No blanks, members as they are ordered, and three characters of HTML and two that end lines in
JavaScript escaped in every string.

https://pkg.go.dev/encoding/json#Marshal
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ESCAPED = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}
_STRING_OR_BLANKS = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*")|[ \t\r\n]+', re.DOTALL)
_MARK = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]', re.DOTALL)


def dumps(value: Any) -> bytes:  # noqa: ANN401 - what json.dumps takes
    """Encode ``value``, which holds no fractions; members keep their order."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.translate(_ESCAPED).encode()


def split(raw: bytes) -> dict[str, str]:
    """The members of an object as they were written, but for blanks and the characters above.

    Numbers and escapes keep their form. ``raw`` is an object that ``strict_json`` took.
    """
    text = _STRING_OR_BLANKS.sub(lambda found: found[1] or "", raw.decode()).translate(_ESCAPED)
    members: dict[str, str] = {}
    for key, value in _pairs(text):
        members[json.loads(key)] = value
    return members


def join(members: Mapping[str, str]) -> bytes:
    """An object of members that are JSON already, sorted by name as a map is."""
    pairs = (f"{dumps(key).decode()}:{members[key]}" for key in sorted(members))
    return f"{{{','.join(pairs)}}}".encode()


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """Cut at the commas and colons that stand in no value."""
    depth, start, key = 0, 1, ""
    for found in _MARK.finditer(text):
        mark = found[0]
        depth += (mark in "{[") - (mark in "}]")
        if mark == ":" and depth == 1:
            key, start = text[start : found.start()], found.end()
        elif (mark == "," and depth == 1) or not depth:
            if key:
                yield key, text[start : found.start()]
            key, start = "", found.end()
