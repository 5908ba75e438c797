"""Quote text as Go's ``%q`` does.

https://pkg.go.dev/strconv#Quote
"""

from __future__ import annotations

_ESCAPES = {
    char: f"\\{letter}" for char, letter in zip('\a\b\f\n\r\t\v\\"', 'abfnrtv\\"', strict=True)
}


def quote(text: str) -> str:
    r"""Quote a string; a surrogate for an undecodable byte becomes ``\xff``."""
    return f'"{"".join(map(_escape, text))}"'


def quote_rune(char: str) -> str:
    """Quote one character in single quotes."""
    escaped = {"'": "\\'", '"': '"'}.get(char) or _escape(char)
    return f"'{escaped}'"


def _escape(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if char.isprintable():
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
