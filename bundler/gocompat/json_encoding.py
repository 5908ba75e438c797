"""Encode JSON exactly as Go programs do, because digests depend on the bytes.

The output has no spaces, members keep their order, and strings escape the special characters of
HTML and two line separators.

https://pkg.go.dev/encoding/json#Marshal
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_ESCAPED = {ord(char): f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"}
_STRING_OR_BLANKS = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*")|[ \t\r\n]+', re.DOTALL)
_MARK = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{},:]', re.DOTALL)


def dumps(value: Any) -> bytes:  # noqa: ANN401 - any value that json.dumps accepts
    """Encode ``value``, which must not contain floats."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.translate(_ESCAPED).encode()


def split(raw: bytes) -> dict[str, str]:
    """Split an object into its members, whose values remain encoded, without spaces.

    Numbers and escapes keep their form. ``raw`` must be an object that ``oci.json.strict`` accepts.
    """
    text = _STRING_OR_BLANKS.sub(lambda found: found[1] or "", raw.decode()).translate(_ESCAPED)
    members: dict[str, str] = {}
    depth, start, key = 0, 1, ""
    for found in _MARK.finditer(text):
        mark = found[0]
        depth += (mark in "{[") - (mark in "}]")
        if mark == ":" and depth == 1:
            key, start = text[start : found.start()], found.end()
        elif (mark == "," and depth == 1) or not depth:
            if key:
                members[json.loads(key)] = text[start : found.start()]
            key, start = "", found.end()
    return members


def join(members: Mapping[str, str]) -> bytes:
    """Join encoded members into an object, sorted by name as Go sorts maps."""
    pairs = (f"{dumps(key).decode()}:{members[key]}" for key in sorted(members))
    return f"{{{','.join(pairs)}}}".encode()
