"""Parsers for flag values, as Go's ``strconv``, ``time`` and ``encoding/csv``.

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
_DIGITS = {
    "0x": (16, "0-9a-f"),
    "0o": (8, "0-7"),
    "0b": (2, "01"),
    "0": (8, "0-7"),
    "": (10, "0-9"),
}
_UNITS = frozenset(
    ("ns", "us", "\N{MICRO SIGN}s", "\N{GREEK SMALL LETTER MU}s", "ms", "s", "m", "h")
)
_PART = re.compile(r"([0-9]*\.?[0-9]*)([^0-9.]*)")


def parse_bool(text: str) -> bool:
    """Parse a boolean, as ``strconv.ParseBool``."""
    if text not in _TRUE | _FALSE:
        raise ValueError(f"strconv.ParseBool: parsing {quote(text)}: invalid syntax")
    return text in _TRUE


def parse_int(text: str) -> int:
    """Parse a signed 64-bit integer of any base, as ``strconv.ParseInt``."""
    return _parse_integer(text, "ParseInt", -(2**63), 2**63 - 1)


def parse_uint(text: str) -> int:
    """Parse an unsigned 64-bit integer of any base, as ``strconv.ParseUint``."""
    if text[:1] in ("+", "-"):
        raise ValueError(f"strconv.ParseUint: parsing {quote(text)}: invalid syntax")
    return _parse_integer(text, "ParseUint", 0, 2**64 - 1)


def parse_duration(text: str) -> float:
    """Parse a duration in seconds, as ``time.ParseDuration``.

    https://pkg.go.dev/time#ParseDuration
    """
    try:
        return durations.parse(text)
    except ValueError:
        raise ValueError(_describe_duration_error(text)) from None


def parse_csv(text: str) -> list[str]:
    """Parse the comma-separated fields of one line, as ``encoding/csv``."""
    if '"' not in text:
        return text.splitlines()[0].split(",") if text else []
    found: list[str] = []
    at = 0
    while True:
        if text[at : at + 1] == '"':
            field, at = _parse_quoted_field(text, at)
        else:
            end = text.find(",", at)
            field = text[at:] if end < 0 else text[at:end]
            if '"' in field:
                raise ValueError(
                    _describe_csv_error(at + field.index('"'), 'bare " in non-quoted-field')
                )
            at += len(field)
        found.append(field)
        if at >= len(text):
            return found
        at += 1


def parse_ints(text: str) -> list[str]:
    """Parse a comma-separated list of integers, each as ``strconv.Atoi``; return their texts."""
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
    "duration": parse_duration,
}
"""The parser for each type of flag."""


def _describe_duration_error(text: str) -> str:
    rest = text[1:] if text[:1] in ("+", "-") else text
    for number, unit in _PART.findall(rest):
        if number in ("", "."):
            break
        if not unit:
            return f"time: missing unit in duration {quote(text)}"
        if unit not in _UNITS:
            return f"time: unknown unit {quote(unit)} in duration {quote(text)}"
    return f"time: invalid duration {quote(text)}"


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


def _parse_quoted_field(text: str, start: int) -> tuple[str, int]:
    """Parse the field that begins with the quote at ``start``; return it and its end."""
    field, at = "", start + 1
    while True:
        end = text.find('"', at)
        if end < 0:
            raise ValueError(
                _describe_csv_error(len(text), 'extraneous or missing " in quoted-field')
            )
        field += text[at:end]
        following = text[end + 1 : end + 2]
        if following == '"':
            field, at = field + '"', end + 2
        elif following in ("", ","):
            return field, end + 1
        else:
            raise ValueError(_describe_csv_error(end, 'extraneous or missing " in quoted-field'))


def _describe_csv_error(position: int, problem: str) -> str:
    return f"parse error on line 1, column {position + 1}: {problem}"
