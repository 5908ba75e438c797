"""Read a JSON object into a struct, as programs in Go do; what is unknown is dropped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bundler.errors import MalformedError
from bundler.gocompat.values import NIL, NIL_MAP, NIL_SLICE, ZERO_TIME, Member, Struct, Time, Value
from bundler.oci.json import fields

Read = Callable[[dict[str, Any], str, str], Value]
"""Reads the member of an object that has this key; the third parameter is for messages."""
Fields = tuple[tuple[str, str, Read, bool], ...]
"""Each member's name, its key, how it is read, and whether it is left out when it is empty."""


def struct(type_name: str, known: Fields, value: dict[str, Any], what: str) -> Struct:
    """An object as a struct of the members that are known."""
    return Struct(type_name, members(known, value, what))


def members(known: Fields, value: dict[str, Any], what: str) -> tuple[Member, ...]:
    """The members that are known, in their order; one that is absent is its type's zero."""
    fields.refuse_other_case(value, [key for _, key, _, _ in known], what)
    return tuple(
        Member(name, read(value, key, what), key, omit_empty=omit)
        for name, key, read, omit in known
    )


def text(value: dict[str, Any], key: str, what: str) -> Value:
    """A string."""
    return fields.text(value, key, what) or ""


def time(value: dict[str, Any], key: str, what: str) -> Value:
    """A pointer to a point in time."""
    item = value.get(key)
    if item is None:
        return NIL
    if not isinstance(item, str):
        raise MalformedError(f"{what}: {key} is not a string")
    return Time.parse(item, f"{what}: {key}")


def texts(value: dict[str, Any], key: str, what: str) -> Value:
    """A slice of strings."""
    found = fields.texts(value, key, what)
    return NIL_SLICE if value.get(key) is None else list(found)


def text_map(value: dict[str, Any], key: str, what: str) -> Value:
    """A map of strings."""
    found = fields.text_map(value, key, what)
    return NIL_MAP if value.get(key) is None else dict(found)


def keys(value: dict[str, Any], key: str, what: str) -> Value:
    """A map whose values are empty structs."""
    item = fields.obj(value, key, what)
    return NIL_MAP if item is None else dict.fromkeys(item, Struct("struct {}", ()))


def moment(value: dict[str, Any], key: str, what: str) -> Value:
    """A point in time that is always there."""
    found = time(value, key, what)
    return ZERO_TIME if found is NIL else found


def number(value: dict[str, Any], key: str, what: str) -> Value:
    """An integer."""
    item = value.get(key)
    if item is None:
        return 0
    if not isinstance(item, int) or isinstance(item, bool):
        raise MalformedError(f"{what}: {key} is not a whole number")
    return item


def words(value: dict[str, Any], key: str, what: str) -> Value:
    """A slice of strings, of which a single one may be written without brackets."""
    item = value.get(key)
    return [item] if isinstance(item, str) else texts(value, key, what)
