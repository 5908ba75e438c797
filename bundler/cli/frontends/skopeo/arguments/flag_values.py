"""Parsers for flag values, equivalent to Go's ``strconv``, ``time`` and ``encoding/csv``.

Each raises ``ValueError`` with Go's message.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bundler.gocompat import durations
from bundler.gocompat.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.cli.frontends.skopeo.arguments.flag_tables import FlagType

FlagValue = bool | int | str | float | list[str]

_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))
_FALSE = frozenset(("0", "f", "F", "FALSE", "false", "False"))
_OCTAL = (8, "0-7")
_DIGITS = {"0x": (16, "0-9a-f"), "0o": _OCTAL, "0b": (2, "01"), "0": _OCTAL, "": (10, "0-9")}
_QUOTED_FIELD = re.compile(r'"((?:[^"]|"")*)')


def parse_bool(text: str) -> bool:
    """Parse a boolean as ``strconv.ParseBool`` does."""
    if text not in _TRUE | _FALSE:
        raise ValueError(f"strconv.ParseBool: parsing {quote(text)}: invalid syntax")
    return text in _TRUE


def parse_int(text: str) -> int:
    """Parse a signed 64-bit integer of any base as ``strconv.ParseInt`` does."""
    return _parse_integer(text, "ParseInt", -(2**63), 2**63 - 1)


def parse_uint(text: str) -> int:
    """Parse an unsigned 64-bit integer of any base as ``strconv.ParseUint`` does."""
    if text[:1] in ("+", "-"):
        raise ValueError(f"strconv.ParseUint: parsing {quote(text)}: invalid syntax")
    return _parse_integer(text, "ParseUint", 0, 2**64 - 1)


def parse_csv(text: str) -> list[str]:
    """Parse the comma-separated fields of one line as ``encoding/csv`` does."""
    if '"' not in text:
        return text.splitlines()[0].split(",") if text else []
    fields: list[str] = []
    start = 0
    while True:
        if quoted := _QUOTED_FIELD.match(text, start):
            end = quoted.end()
            if text[end : end + 2] not in ('"', '",'):
                problem = 'extraneous or missing " in quoted-field'
                raise ValueError(f"parse error on line 1, column {end + 1}: {problem}")
            fields.append(quoted[1].replace('""', '"'))
            end += 1
        else:
            field = text[start:].partition(",")[0]
            if '"' in field:
                column, problem = start + field.index('"') + 1, 'bare " in non-quoted-field'
                raise ValueError(f"parse error on line 1, column {column}: {problem}")
            fields.append(field)
            end = start + len(field)
        if end >= len(text):
            return fields
        start = end + 1


def parse_ints(text: str) -> list[str]:
    """Parse comma-separated integers as ``strconv.Atoi`` does; return them as strings."""
    for number in text.split(","):
        if not re.fullmatch(r"[+-]?[0-9]+", number):
            raise ValueError(f"strconv.Atoi: parsing {quote(number)}: invalid syntax")
    return text.split(",")


PARSERS: dict[FlagType, Callable[[str], FlagValue]] = {
    "bool": parse_bool,
    "string": str,
    "strings": parse_csv,
    "int": parse_int,
    "uint": parse_uint,
    "ints": parse_ints,
    "duration": durations.parse,
}
"""The parser for each type of flag."""


def _parse_integer(text: str, function: str, least: int, most: int) -> int:
    negative = text.startswith("-")
    body = (text[1:] if text[:1] in ("+", "-") else text).lower()
    prefix = next((key for key in _DIGITS if body.startswith(key) and body != key), "")
    base, digits = _DIGITS[prefix]
    # Underscores may separate digits only after a prefix.
    pattern = f"_?[{digits}]+(_[{digits}]+)*" if prefix else f"[{digits}]+"
    if not re.fullmatch(pattern, body[len(prefix) :]):
        raise ValueError(f"strconv.{function}: parsing {quote(text)}: invalid syntax")
    number = int(body[len(prefix) :].replace("_", ""), base)
    number = -number if negative else number
    if not least <= number <= most:
        raise ValueError(f"strconv.{function}: parsing {quote(text)}: value out of range")
    return number
