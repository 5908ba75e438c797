"""Minimal DER parser and encoder (tags and lengths), for what cryptography does not expose.

https://www.itu.int/rec/T-REC-X.690
"""

from __future__ import annotations

from typing import NamedTuple


class Value(NamedTuple):
    """The first byte of the tag, and the content."""

    tag: int
    content: bytes


def parse_values(data: bytes) -> list[Value]:
    """Split ``data`` into its DER values.

    Raises:
        ValueError: ``data`` is empty, truncated or not DER.
    """
    found = []
    at = 0
    while at < len(data):
        size, start = data[at + 1] if at + 1 < len(data) else 0x80, at + 2
        if size & 0x80:
            count = size & 0x7F
            if not 0 < count <= 4:
                raise ValueError("the length is not valid DER")
            size, start = int.from_bytes(data[start : start + count], "big"), start + count
        if start + size > len(data):
            raise ValueError("truncated")
        found.append(Value(data[at], data[start : start + size]))
        at = start + size
    if not found:
        raise ValueError("empty")
    return found


def encode(value: Value) -> bytes:
    """Encode a value, with the shortest length as DER requires."""
    size = len(value.content)
    length = size.to_bytes((size.bit_length() + 7) // 8 or 1, "big")
    prefix = b"" if size < 0x80 else bytes([0x80 | len(length)])
    return bytes([value.tag]) + prefix + length + value.content
