"""Split a template into plain text, and the identifiers, delimiters and constants of actions.

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
    """One token; the kind ``text`` is plain text, and the kind ``end`` ends an action."""

    kind: str
    text: str
    line: int

    def ends(self, until: str) -> bool:
        """Return whether ``until`` is the kind of this token, or its text if it is a delimiter."""
        return until == (self.text if self.kind == "mark" else self.kind)


def tokenize(text: str) -> Iterator[Token]:
    """Iterate over the tokens of a template; comments and trimmed space are omitted.

    Raises:
        TemplateError: a token is invalid, or an action is not closed.
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
        action = list(_tokenize_action(text, position))
        yield from (token for token, _ in action)
        last, position = action[-1]
        trim = "-" in last.text


def _tokenize_action(text: str, position: int) -> Iterator[tuple[Token, int]]:
    """Iterate over the tokens of an action, each with the position after it."""
    line = text.count("\n", 0, position) + 1
    while True:
        found = _TOKEN.match(text, position)
        if found is None:
            wrong = text[position : position + 20]
            problem = f"unexpected {wrong!r}" if wrong else "unclosed action"
            raise TemplateError(f"line {line}: {problem}")
        kind, position = found.lastgroup or "", found.end()
        if kind == "number" and (text[position : position + 1] or " ").isalnum():
            raise TemplateError(f"line {line}: {found[0] + text[position]!r} is not a valid number")
        yield Token(kind, found[0], line), position
        line += found[0].count("\n")
        if kind == "end":
            return


def parse_constant(token: Token) -> str | float:
    """Parse a string, a number, or a character, whose value is its code point.

    Raises:
        TemplateError: the constant is invalid, or too large.
    """
    if token.kind == "number":
        return _parse_number(token)
    if token.text[0] == "`":
        return token.text[1:-1].replace("\r", "")
    value = _unescape(token)
    if token.kind == "string":
        return value
    if len(value) != 1:
        raise TemplateError(f"line {token.line}: {token.text[:80]} is not a single character")
    return ord(value)


def _parse_number(token: Token) -> float:
    text = token.text.replace("_", "")
    wrong = TemplateError(f"line {token.line}: {text[:80]} is not a valid number")
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


def _unescape(token: Token) -> str:
    def replace(found: re.Match[str]) -> str:
        simple, *codes, octal, other = found.groups()
        if simple:
            return _ESCAPED[simple]
        code = next((int(digits, 16) for digits in codes if digits), None)
        code = int(octal, 8) if octal else code
        if code is None or code > 0x10FFFF or 0xD800 <= code < 0xE000 or other:
            raise TemplateError(f"line {token.line}: invalid escape sequence {found[0][:80]!r}")
        return chr(code)

    return _ESCAPE.sub(replace, token.text[1:-1])
