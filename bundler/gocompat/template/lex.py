"""The parts of a template: plain text, and within actions names, marks and constants.

https://pkg.go.dev/text/template
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.errors import TemplateError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SPACE = " \t\r\n"
_TOKEN = re.compile(
    r"""(?P<end>(?:[ \t\r\n]+-)?\}\})
    |(?P<space>[ \t\r\n]+)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|`[^`]*`)
    |(?P<char>'(?:[^'\\\n]|\\[^\n][^'\n]*)')
    |(?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+
        |(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?))
    |(?P<field>\.[^\W\d]\w*)
    |(?P<dot>\.)
    |(?P<variable>\$\w*)
    |(?P<word>[^\W\d]\w*)
    |(?P<set>:?=)
    |(?P<mark>[|,()])""",
    re.VERBOSE,
)
_TRIM = re.compile(r"-[ \t\r\n]")
_COMMENT = re.compile(r"/\*.*?\*/((?:[ \t\r\n]+-)?\}\})", re.DOTALL)
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.?))",
    re.DOTALL,
)
_ESCAPED = dict(zip("abfnrtv\\'\"", "\a\b\f\n\r\t\v\\'\"", strict=True))


@dataclass(frozen=True, slots=True)
class Token:
    """One part; ``text`` of kind ``text`` is printed as it is, ``end`` is an action's end."""

    kind: str
    text: str
    line: int

    def ends(self, until: str) -> bool:
        """Whether this is the end of an action, or the closing bracket that is waited for."""
        return until == (self.text if self.kind == "mark" else self.kind)


def tokenize(text: str) -> Iterator[Token]:
    """Plain text, and the parts of each action up to its ``end``.

    Raises:
        TemplateError: something that is no part, or an action without its end.
    """
    position, trim = 0, False
    while position < len(text):
        start = text.find("{{", position)
        plain = text[position:] if start < 0 else text[position:start]
        inside = len(text) if start < 0 else start + 2
        trims_before = _TRIM.match(text, inside) is not None
        plain = plain.lstrip(_SPACE) if trim else plain
        plain = plain.rstrip(_SPACE) if trims_before else plain
        if plain:
            yield Token("text", plain, text.count("\n", 0, position) + 1)
        if start < 0:
            return
        position, trim = inside + trims_before, False
        comment = _COMMENT.match(text, position + trims_before)
        if comment is not None:
            position, trim = comment.end(), "-" in comment[1]
            continue
        action = list(_inside(text, position))
        yield from (token for token, _ in action)
        last, position = action[-1]
        trim = "-" in last.text


def _inside(text: str, position: int) -> Iterator[tuple[Token, int]]:
    """The parts of one action, each with the position after it."""
    line = text.count("\n", 0, position) + 1
    while True:
        found = _TOKEN.match(text, position)
        if found is None:
            wrong = text[position : position + 20]
            what = f"unexpected {wrong!r}" if wrong else "an action without its }}"
            raise TemplateError(f"line {line}: {what}")
        kind, position = found.lastgroup or "", found.end()
        if kind == "number" and (text[position : position + 1] or " ").isalnum():
            raise TemplateError(f"line {line}: {found[0] + text[position]!r} is no number")
        yield Token(kind, found[0], line), position
        line += found[0].count("\n")
        if kind == "end":
            return


def parse_constant(token: Token) -> str | float:
    """The value of a string, a character (its number) or a number.

    Raises:
        TemplateError: it is none, or too large.
    """
    if token.kind == "number":
        return _number(token)
    if token.text[0] == "`":
        return token.text[1:-1].replace("\r", "")
    value = _unescaped(token)
    if token.kind == "string":
        return value
    if len(value) != 1:
        raise TemplateError(f"line {token.line}: {token.text[:80]} is not one character")
    return ord(value)


def _number(token: Token) -> float:
    text = token.text.replace("_", "")
    wrong = TemplateError(f"line {token.line}: {text[:80]} is no number")
    if len(text) > 40:
        raise wrong
    is_octal = re.fullmatch(r"[+-]?0[0-7]+", text) is not None
    is_float = re.search(r"[.eE]", text) is not None and not re.match(r"[+-]?0[xX]", text)
    try:
        if is_float:
            return float(text)
        value = int(text, 8 if is_octal else 0)
    except ValueError:
        raise wrong from None
    if not -(2**63) <= value < 2**63:
        raise TemplateError(f"line {token.line}: {text[:80]} is too large")
    return value


def _unescaped(token: Token) -> str:
    def replaced(found: re.Match[str]) -> str:
        simple, *codes, octal, other = found.groups()
        if simple:
            return _ESCAPED[simple]
        code = next((int(digits, 16) for digits in codes if digits), None)
        code = int(octal, 8) if octal else code
        if code is None or code > 0x10FFFF or 0xD800 <= code < 0xE000 or other:
            raise TemplateError(f"line {token.line}: no such escape: {found[0][:80]!r}")
        return chr(code)

    return _ESCAPE.sub(replaced, token.text[1:-1])
