"""The functions of Go's templates, and those that container tools add to them.

https://pkg.go.dev/text/template#hdr-Functions
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.errors import TemplateError, TemplateLimitError
from bundler.gocompat.template.printf import MAX_WIDTH, get_type_name, sprint, sprintf
from bundler.gocompat.values import (
    NIL_MAP,
    NIL_SLICE,
    Nil,
    Struct,
    Time,
    encode_json,
    format_value,
    is_empty,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bundler.gocompat.values import Value

    Implementation = Callable[..., Value]

MAX_TEXT = 4 * 1024 * 1024


class _ArgumentError(Exception):
    """Raised by the functions for an invalid argument."""


def call(name: str, arguments: Sequence[Value]) -> Value:
    """Check the arguments of a function in ``FUNCTIONS``, and call it.

    Raises:
        TemplateLimitError: the arguments or the result are too long.
        TemplateError: the number or the type of the arguments is wrong.
    """
    function, minimum, maximum = FUNCTIONS[name]
    if not minimum <= len(arguments) <= (maximum or len(arguments)):
        expected = f"{minimum}" if maximum == minimum else f"{minimum} or more"
        raise TemplateError(
            f"{name}: wrong number of arguments (expected {expected}, got {len(arguments)})"
        )
    if sum(len(value) for value in arguments if isinstance(value, str)) > MAX_TEXT:
        raise TemplateLimitError(f"{name}: too long (expected at most {MAX_TEXT:,} characters)")
    try:
        result = function(*arguments)
    except _ArgumentError as error:
        raise TemplateError(f"error calling {name}: {error}") from None
    if isinstance(result, str) and len(result) > MAX_TEXT:
        raise TemplateLimitError(f"{name}: too long (expected at most {MAX_TEXT:,} characters)")
    return result


def _require_text(value: Value) -> str:
    if not isinstance(value, str):
        raise _ArgumentError(f"wrong type; expected string; got {get_type_name(value)}")
    return value


def _require_int(value: Value) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _ArgumentError(f"wrong type; expected int; got {get_type_name(value)}")
    return value


def _require_items(value: Value, verb: str) -> bytes | list[Value]:
    if value is NIL_SLICE:
        return []
    if not isinstance(value, str | list):
        raise _ArgumentError(f"can't {verb} item of type {get_type_name(value)}")
    return value.encode() if isinstance(value, str) else value


def _join(items: Value, separator: Value) -> Value:
    mark = _require_text(separator)
    if items is NIL_SLICE:
        return ""
    if not isinstance(items, list):
        raise _ArgumentError(f"wrong type; expected []string; got {get_type_name(items)}")
    texts = [_require_text(item) for item in items]
    if sum(map(len, texts)) + len(texts) * len(mark) > MAX_TEXT:
        raise TemplateLimitError(f"join: too long (expected at most {MAX_TEXT:,} characters)")
    return mark.join(texts)


def _split(value: Value, separator: Value) -> Value:
    text, mark = _require_text(value), _require_text(separator)
    return [*(text.split(mark) if mark else text)]


def _pad(value: Value, before: Value, after: Value) -> Value:
    counts = _require_int(before), _require_int(after)
    if min(counts) < 0:
        raise _ArgumentError("negative count")
    if max(counts) > MAX_WIDTH:
        raise TemplateLimitError(f"pad: too wide (expected at most {MAX_WIDTH:,})")
    return f"{' ' * counts[0]}{value}{' ' * counts[1]}" if _require_text(value) else ""


def _truncate(value: Value, length: Value) -> Value:
    """Truncate to a number of bytes, without splitting a character."""
    if _require_int(length) < 0:
        raise _ArgumentError("negative length")
    return _require_text(value).encode()[: _require_int(length)].decode(errors="ignore")


def _title(value: Value) -> Value:
    previous = " "
    result = []
    for char in _require_text(value):
        starts = not (previous.isalnum() or previous == "_")
        result.append(char.upper() if starts else char)
        previous = char
    return "".join(result)


def _len(value: Value) -> Value:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, list | dict):
        return len(value)
    if isinstance(value, Nil) and value.text in ("[]", "map[]"):
        return 0
    raise _ArgumentError(f"len of type {get_type_name(value)}")


def _index(value: Value, *keys: Value) -> Value:
    for key in keys:
        if isinstance(value, dict) or (isinstance(value, Nil) and value.text == "map[]"):
            zero = Struct("struct {}", ()) if "struct" in get_type_name(value) else ""
            value = (value if isinstance(value, dict) else {}).get(_require_text(key), zero)
            continue
        items = _require_items(value, "index")
        if not 0 <= _require_int(key) < len(items):
            raise _ArgumentError(f"index out of range: {key}")
        value = items[_require_int(key)]
    return value


def _slice(value: Value, *bounds: Value) -> Value:
    items = _require_items(value, "slice")
    if isinstance(value, str) and len(bounds) > 2:
        raise _ArgumentError("cannot 3-index slice a string")
    indexes = [_require_int(bound) for bound in bounds]
    for index in indexes:
        if not 0 <= index <= len(items):
            raise _ArgumentError(f"index out of range: {index}")
    if indexes != sorted(indexes):
        raise _ArgumentError(f"invalid slice index: {indexes[0]} > {indexes[1]}")
    part = items[indexes[0] if indexes else 0 : indexes[1] if len(indexes) > 1 else None]
    return part.decode(errors="replace") if isinstance(part, bytes) else part


def _equals(first: Value, second: Value) -> bool:
    for value in (first, second):
        if isinstance(value, list | dict | Struct) or value in (NIL_SLICE, NIL_MAP):
            raise _ArgumentError(f"non-comparable type {get_type_name(value)}")
    if isinstance(first, Nil) or isinstance(second, Nil):
        return isinstance(first, Nil) and isinstance(second, Nil)
    if isinstance(first, Time) and isinstance(second, Time):
        return first == second
    _check_comparable(first, second)
    return first == second


def _is_less(first: Value, second: Value) -> bool:
    _check_comparable(first, second)
    match first, second:
        case bool(), _:
            raise _ArgumentError("invalid type for comparison")
        case str(), str():
            return first.encode() < second.encode()
        case int() | float(), int() | float():
            return first < second
        case _:
            raise _ArgumentError("invalid type for comparison")


def _check_comparable(first: Value, second: Value) -> None:
    if type(first) is not type(second):
        raise _ArgumentError("incompatible types for comparison")


FUNCTIONS: dict[str, tuple[Implementation, int, int | None]] = {
    "eq": (lambda first, *others: any(_equals(first, other) for other in others), 2, None),
    "ge": (lambda first, second: not _is_less(first, second), 2, 2),
    "gt": (lambda first, second: not (_is_less(first, second) or _equals(first, second)), 2, 2),
    "index": (_index, 1, None),
    "join": (_join, 2, 2),
    "json": (lambda value: encode_json(value, escape_markup=False), 1, 1),
    "le": (lambda first, second: _is_less(first, second) or _equals(first, second), 2, 2),
    "len": (_len, 1, 1),
    "lower": (lambda value: _require_text(value).lower(), 1, 1),
    "lt": (_is_less, 2, 2),
    "ne": (lambda first, second: not _equals(first, second), 2, 2),
    "not": (is_empty, 1, 1),
    "pad": (_pad, 3, 3),
    "print": (lambda *values: sprint(values), 0, None),
    "printf": (lambda template, *values: sprintf(_require_text(template), values), 1, None),
    "println": (lambda *values: " ".join(map(format_value, values)) + "\n", 0, None),
    "slice": (_slice, 1, 4),
    "split": (_split, 2, 2),
    "title": (_title, 1, 1),
    "truncate": (_truncate, 2, 2),
    "upper": (lambda value: _require_text(value).upper(), 1, 1),
}
"""All functions except ``and`` and ``or``, which do not evaluate all arguments: the implementation,
and the minimum and maximum number of arguments; None: no maximum."""
