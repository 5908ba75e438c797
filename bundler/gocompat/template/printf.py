"""Go's ``Sprintf`` and ``Sprint``: verbs, flags, widths, and the output for wrong arguments.

https://pkg.go.dev/fmt
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bundler.errors import TemplateError, TemplateLimitError
from bundler.gocompat import quoting
from bundler.gocompat.values import Nil, Struct, Time, format_value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.gocompat.values import Value

MAX_WIDTH = 1_000

_VERB = re.compile(r"%([-+# 0]*)([0-9]*)(?:\.([0-9]*))?(.?)", re.DOTALL)
_INTEGER_FORMATS = {"d": "d", "v": "d", "x": "x", "X": "X", "o": "o", "b": "b"}
_TYPE_NAMES = {bool: "bool", int: "int", float: "float64", str: "string", Time: "*time.Time"}
_FLOAT_FORMATS = {"f": "f", "F": "f", "e": "e", "E": "E"}


def sprintf(template: str, arguments: Sequence[Value]) -> str:
    """Format ``arguments``; the output marks missing and extra arguments as Go does.

    Raises:
        TemplateLimitError: a width or a precision is larger than allowed.
        TemplateError: a verb or a flag is not supported.
    """
    left = list(arguments)

    def format_verb(found: re.Match[str]) -> str:
        flags, width, precision, verb = found.groups()
        if verb == "%":
            return "%"
        if not verb:
            return "%!(NOVERB)"
        if not left:
            return f"%!{verb}(MISSING)"
        return _Verb(verb, flags, _parse_width(width), _parse_width(precision)).print(left.pop(0))

    result = _VERB.sub(format_verb, template)
    if left:
        extra = ", ".join(f"{get_type_name(value)}={format_value(value)}" for value in left)
        result += f"%!(EXTRA {extra})"
    return result


def sprint(arguments: Sequence[Value]) -> str:
    """Concatenate ``arguments``; add a space between two arguments if neither is a string."""
    parts: list[str] = []
    for position, value in enumerate(arguments):
        both = position and not isinstance(value, str)
        if both and not isinstance(arguments[position - 1], str):
            parts.append(" ")
        parts.append(format_value(value))
    return "".join(parts)


def get_type_name(value: Value) -> str:
    """Return the Go type name of ``value``."""
    match value:
        case Struct():
            return value.type
        case list():
            return f"[]{get_type_name(value[0]) if value else 'string'}"
        case dict():
            inner = get_type_name(next(iter(value.values()))) if value else "string"
            return f"map[string]{inner}"
        case Nil():
            return {"[]": "[]string", "map[]": "map[string]string"}.get(value.text, "<nil>")
        case _:
            return next(name for kind, name in _TYPE_NAMES.items() if isinstance(value, kind))


class _Verb:
    """One formatting verb with its flags, width and precision."""

    def __init__(self, verb: str, flags: str, width: int | None, precision: int | None) -> None:
        if verb in "*[TUp" or "#" in flags or (verb in "xX" and " " in flags):
            raise TemplateError(f"printf: %{flags}{verb} is not supported")
        self._verb = verb
        self._flags = flags
        self._width = width
        self._precision = precision

    def print(self, value: Value) -> str:
        """Format ``value``, or each element of it."""
        match value:
            case list():
                return f"[{' '.join(map(self.print, value))}]"
            case dict():
                pairs = (f"{self.print(key)}:{self.print(value[key])}" for key in sorted(value))
                return f"map[{' '.join(pairs)}]"
            case Struct():
                if "+" in self._flags:
                    raise TemplateError("printf: %+v of a struct is not supported")
                return f"{{{' '.join(self.print(member.value) for member in value.members)}}}"
            case Nil() if value.text != "<nil>":
                return value.text
            case _:
                return self._format_scalar(value)

    def _format_scalar(self, value: Value) -> str:
        plain = format_value(value)
        match value, self._verb:
            case bool(), "v" | "t":
                return self._pad(plain)
            case bool(), _:
                return self._format_mismatch(value)
            case int() | float(), _:
                return self._format_number(value)
            case Nil(), "v" | "s" | "q":
                return self._pad(plain)
            case str() | Time(), "v" | "s":
                return self._pad(plain[: self._precision])
            case str() | Time(), "q":
                return self._pad(quoting.quote(plain[: self._precision]))
            case str() | Time(), "x" | "X":
                digits = plain.encode()[: self._precision].hex()
                return self._pad(digits.upper() if self._verb == "X" else digits)
            case _:
                return self._format_mismatch(value)

    def _format_number(self, value: float) -> str:
        match value, self._verb:
            case int(), "q":
                raise TemplateError("printf: %q of a number is not supported")
            case int(), "c" if 0 <= value < 0x110000 and not 0xD800 <= value < 0xE000:
                return self._pad(chr(value))
            case int(), verb if verb in _INTEGER_FORMATS:
                return self._format_integer(value, _INTEGER_FORMATS[verb])
            case float(), "v" | "g" if self._precision is None:
                return self._pad(self._add_sign(format_value(value)))
            case float(), "v" | "g" | "G":
                raise TemplateError("printf: %g with this precision is not supported")
            case float(), verb if verb in _FLOAT_FORMATS:
                digits = 6 if self._precision is None else self._precision
                return self._pad(self._add_sign(format(value, f".{digits}{_FLOAT_FORMATS[verb]}")))
            case _:
                return self._format_mismatch(value)

    def _format_mismatch(self, value: Value) -> str:
        """Format a value whose type does not fit the verb."""
        return f"%!{self._verb}({get_type_name(value)}={self._pad(format_value(value))})"

    def _format_integer(self, value: int, spelled: str) -> str:
        digits = format(abs(value), spelled)
        if self._precision is not None:
            digits = "" if not self._precision and not value else digits.rjust(self._precision, "0")
        elif "0" in self._flags and "-" not in self._flags and self._width is not None:
            signs = value < 0 or "+" in self._flags or " " in self._flags
            digits = digits.rjust(self._width - signs, "0")
        return self._pad(self._add_sign(f"-{digits}" if value < 0 else digits), zeros=False)

    def _add_sign(self, digits: str) -> str:
        if digits.startswith("-"):
            return digits
        return f"{'+' if '+' in self._flags else ' ' if ' ' in self._flags else ''}{digits}"

    def _pad(self, plain: str, *, zeros: bool = True) -> str:
        width = self._width or 0
        if "-" in self._flags:
            return plain.ljust(width)
        if not zeros or "0" not in self._flags:
            return plain.rjust(width)
        signs = plain[:1] if plain[:1] in ("+", "-") and self._verb in "eEfFgv" else ""
        return signs + plain[len(signs) :].rjust(width - len(signs), "0")


def _parse_width(digits: str | None) -> int | None:
    if digits is None:
        return None
    if len(digits) > 4 or int(digits or 0) > MAX_WIDTH:
        raise TemplateLimitError(f"printf: too wide (expected at most {MAX_WIDTH:,})")
    return int(digits or 0)
