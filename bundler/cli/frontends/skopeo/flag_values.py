"""Values of flags as Go's ``strconv``, ``time`` and ``encoding/csv`` read them.

Each function raises ``ValueError`` with Go's own words.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bundler.gocompat import durations
from bundler.gocompat.quoting import quote

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.cli.frontends.skopeo.flag_tables import Kind

Value = bool | int | str | float | list[str]

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


def boolean(text: str) -> bool:
    """As ``strconv.ParseBool``."""
    if text not in _TRUE | _FALSE:
        raise ValueError(f"strconv.ParseBool: parsing {quote(text)}: invalid syntax")
    return text in _TRUE


def integer(text: str) -> int:
    """As ``strconv.ParseInt`` of any base into 64 bits."""
    return _whole(text, "ParseInt", -(2**63), 2**63 - 1)


def unsigned(text: str) -> int:
    """As ``strconv.ParseUint`` of any base into 64 bits."""
    if text[:1] in ("+", "-"):
        raise ValueError(f"strconv.ParseUint: parsing {quote(text)}: invalid syntax")
    return _whole(text, "ParseUint", 0, 2**64 - 1)


def duration(text: str) -> float:
    """As ``time.ParseDuration``, in seconds.

    https://pkg.go.dev/time#ParseDuration
    """
    try:
        return durations.parse(text)
    except ValueError:
        raise ValueError(_why_no_duration(text)) from None


def fields(text: str) -> list[str]:
    """The comma separated fields of one line, as ``encoding/csv`` finds them."""
    if '"' not in text:
        return text.splitlines()[0].split(",") if text else []
    found: list[str] = []
    at = 0
    while True:
        if text[at : at + 1] == '"':
            field, at = _quoted_field(text, at)
        else:
            end = text.find(",", at)
            field = text[at:] if end < 0 else text[at:end]
            if '"' in field:
                raise ValueError(_csv(at + field.index('"'), 'bare " in non-quote-field'))
            at += len(field)
        found.append(field)
        if at >= len(text):
            return found
        at += 1


def integers(text: str) -> list[str]:
    """A comma separated list of numbers, each as ``strconv.Atoi`` reads it."""
    for number in text.split(","):
        if not re.fullmatch(r"[+-]?[0-9]+", number):
            raise ValueError(f"strconv.Atoi: parsing {quote(number)}: invalid syntax")
    return text.split(",")


def _as_it_is(text: str) -> str:
    return text


PARSERS: dict[Kind, Callable[[str], Value]] = {
    "bool": boolean,
    "string": _as_it_is,
    "strings": fields,
    "int": integer,
    "uint": unsigned,
    "ints": integers,
    "duration": duration,
}
"""How each kind of flag reads its value."""


def _why_no_duration(text: str) -> str:
    rest = text[1:] if text[:1] in ("+", "-") else text
    for number, unit in _PART.findall(rest):
        if number in ("", "."):
            break
        if not unit:
            return f"time: missing unit in duration {quote(text)}"
        if unit not in _UNITS:
            return f"time: unknown unit {quote(unit)} in duration {quote(text)}"
    return f"time: invalid duration {quote(text)}"


def _whole(text: str, function: str, least: int, most: int) -> int:
    negative = text.startswith("-")
    body = (text[1:] if text[:1] in ("+", "-") else text).lower()
    prefix = next((key for key in _DIGITS if body.startswith(key) and body != key), "")
    base, digits = _DIGITS[prefix]
    # A digit may follow an underscore only where the base is told by a prefix.
    pattern = f"_?[{digits}]+(_[{digits}]+)*" if prefix else f"[{digits}]+"
    if not re.fullmatch(pattern, body[len(prefix) :]):
        raise ValueError(f"strconv.{function}: parsing {quote(text)}: invalid syntax")
    number = int(body[len(prefix) :].replace("_", ""), base)
    number = -number if negative else number
    if not least <= number <= most:
        raise ValueError(f"strconv.{function}: parsing {quote(text)}: value out of range")
    return number


def _quoted_field(text: str, start: int) -> tuple[str, int]:
    """The field that begins with the quote at ``start``, and where it ends."""
    field, at = "", start + 1
    while True:
        end = text.find('"', at)
        if end < 0:
            raise ValueError(_csv(len(text), 'extraneous or missing " in quote-field'))
        field += text[at:end]
        following = text[end + 1 : end + 2]
        if following == '"':
            field, at = field + '"', end + 2
        elif following in ("", ","):
            return field, end + 1
        else:
            raise ValueError(_csv(end, 'extraneous or missing " in quote-field'))


def _csv(position: int, what: str) -> str:
    return f"parse error on line 1, column {position + 1}: {what}"
