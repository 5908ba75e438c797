"""Values of Go programs, formatted and encoded as Go does.

A struct field has a name for templates and a key for JSON. A nil map is formatted as
``map[]``, a nil slice as ``[]``, and every nil is ``null`` in JSON.

https://pkg.go.dev/fmt and https://pkg.go.dev/encoding/json
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Union

from bundler.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_RFC_3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)
_LARGEST_PLAIN_POWER = 5
_MARKUP = {ord(char): f"\\u{ord(char):04x}" for char in "<>&"}


@dataclass(frozen=True, slots=True)
class Nil:
    """A nil pointer, slice or map; ``text`` is its form in text output."""

    text: str


NIL = Nil("<nil>")
NIL_SLICE = Nil("[]")
NIL_MAP = Nil("map[]")


@dataclass(frozen=True, slots=True)
class Time:
    """A time; ``fraction`` contains the decimal digits, ``offset`` the minutes east of UTC."""

    day: str
    clock: str
    fraction: str = ""
    offset: int = 0

    @classmethod
    def parse(cls, text: str, subject: str) -> Time:
        """Parse a time in RFC 3339 format.

        Raises:
            MalformedError: the text has another format.
        """
        found = _RFC_3339.fullmatch(text)
        wrong = MalformedError(f"{subject}: {text[:80]!r} is not a valid time in RFC 3339 format")
        if found is None:
            raise wrong
        year, month, day, hour, minute, second = map(int, found.groups()[:6])
        try:
            date(year or 4, month, day)  # the year 0 is a leap year, and invalid in Python
        except ValueError:
            raise wrong from None
        if hour > 23 or minute > 59 or second > 59:
            raise wrong
        hours, minutes = int(found[9] or 0), int(found[10] or 0)
        if hours > 24 or minutes > 59:
            raise MalformedError(f"{subject}: {text[:80]!r} has an invalid time zone")
        offset = (hours * 60 + minutes) * (-1 if found[8] == "-" else 1)
        return cls(text[:10], text[11:19], (found[7] or "")[:9].rstrip("0"), offset)

    @property
    def rfc3339(self) -> str:
        """The time in RFC 3339 format, as in JSON."""
        zone = f"{self._zone[:3]}:{self._zone[3:]}" if self.offset else "Z"
        return f"{self.day}T{self.clock}{self._fraction}{zone}"

    def __str__(self) -> str:
        name = self._zone if self.offset else "UTC"
        return f"{self.day} {self.clock}{self._fraction} {self._zone} {name}"

    @property
    def _fraction(self) -> str:
        return f".{self.fraction}" if self.fraction else ""

    @property
    def _zone(self) -> str:
        hours, minutes = divmod(abs(self.offset), 60)
        return f"{'-' if self.offset < 0 else '+'}{hours:02}{minutes:02}"


ZERO_TIME = Time("0001-01-01", "00:00:00")


@dataclass(frozen=True, slots=True)
class StructField:
    """One field of a struct."""

    name: str
    value: Value
    key: str = ""
    """The key in JSON; if empty, the name is the key."""
    omit_empty: bool = False
    omit_zero: bool = False
    """Whether JSON omits a struct whose fields are all zero."""
    embedded: bool = False
    """Whether the value is a struct whose fields also belong to the outer struct."""


@dataclass(frozen=True, slots=True)
class Struct:
    """A struct; ``type`` is its name in messages."""

    type: str
    members: tuple[StructField, ...]

    def get(self, name: str) -> Value | None:
        """Return the value of a field; None if the field does not exist."""
        for member in self.members:
            if member.name == name:
                return member.value
        for member in self.members:
            if member.embedded and isinstance(member.value, Struct):
                found = member.value.get(name)
                if found is not None:
                    return found
        return None


Value = Union[bool, int, float, str, Time, Nil, Struct, "list[Value]", "dict[str, Value]"]


def format_value(value: Value) -> str:
    """Format a value as ``%v`` does."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case float():  # the fewest digits, with an exponent if it is below -4 or above 5
            decimal = Decimal(repr(value)).normalize()
            digits, _, exponent = f"{decimal:e}".partition("e")
            if -4 <= int(exponent) <= _LARGEST_PLAIN_POWER:
                return f"{decimal:f}"
            return f"{digits}e{int(exponent):+03d}"
        case int() | Time():
            return str(value)
        case Nil():
            return value.text
        case list():
            return f"[{' '.join(map(format_value, value))}]"
        case dict():
            return f"map[{' '.join(f'{key}:{format_value(value[key])}' for key in sorted(value))}]"
        case Struct():
            return f"{{{' '.join(format_value(member.value) for member in value.members)}}}"


def is_empty(value: Value) -> bool:
    """Return whether ``if`` in a template and ``omitempty`` treat a value as empty."""
    return not isinstance(value, Struct | Time) and (isinstance(value, Nil) or not value)


def is_zero(value: Value) -> bool:
    """Return whether a value is the zero value of its type, which an empty map is not."""
    if isinstance(value, Struct):
        return all(is_zero(member.value) for member in value.members)
    return not isinstance(value, Time | list | dict) and is_empty(value)


def encode_json(value: Value, *, indent: int | None = None, escape_markup: bool = True) -> str:
    """Encode a value in JSON; characters that could control a terminal are escaped.

    Args:
        value: the value.
        indent: the number of spaces for each level; None: one line without spaces.
        escape_markup: whether to escape ``<``, ``>`` and ``&`` too.
    """
    separators = (",", ":") if indent is None else (",", ": ")
    raw = json.dumps(to_plain(value), indent=indent, separators=separators, ensure_ascii=False)
    if escape_markup:
        raw = raw.translate(_MARKUP)
    if raw.isprintable():
        return raw
    return "".join(
        char if char.isprintable() or char == "\n" else json.dumps(char)[1:-1] for char in raw
    )


def to_plain(value: Value) -> Any:  # noqa: ANN401 - any value that json.dumps accepts
    """Convert a value for ``json.dumps``, without the fields that Go's encoder omits."""
    match value:
        case Nil():
            return None
        case Time():
            return value.rfc3339
        case float() if value.is_integer():
            return int(value)
        case list():
            return [to_plain(item) for item in value]
        case dict():
            return {key: to_plain(value[key]) for key in sorted(value)}
        case Struct():
            result: dict[str, Any] = {}
            for member in value.members:
                if member.embedded:
                    result |= to_plain(member.value)
                elif not (member.omit_empty and is_empty(member.value)) and not (
                    member.omit_zero and is_zero(member.value)
                ):
                    result[member.key or member.name] = to_plain(member.value)
            return result
        case _:
            return value


def to_slice(items: Sequence[str]) -> list[Value]:
    """Convert strings to a slice."""
    return list(items)


def to_map(items: Mapping[str, str]) -> Value:
    """Convert strings to a map, which is nil if it is empty."""
    return dict(items) if items else NIL_MAP
