"""Read a JSON object into a struct as Go's decoder does: unknown members are dropped.

https://pkg.go.dev/encoding/json#Unmarshal
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from bundler.gocompat.values import (
    NIL,
    NIL_MAP,
    NIL_SLICE,
    ZERO_TIME,
    Struct,
    StructField,
    Time,
    Value,
)
from bundler.oci.json.table import Table

Read = Callable[[Table, str], Value]
"""Reads the member with the given key."""


class Field(NamedTuple):
    """One field of a struct type."""

    name: str
    key: str
    read: Read
    omit_empty: bool = False
    """Whether the encoder leaves the field out if it is empty."""


Fields = tuple[Field, ...]


def read_struct(type_name: str, known: Fields, table: Table) -> Struct:
    """Read an object into a struct with the ``known`` fields."""
    return Struct(type_name, read_members(known, table))


def read_members(known: Fields, table: Table) -> tuple[StructField, ...]:
    """Read the ``known`` fields in their order; an absent one gets the zero value of its type."""
    table.refuse_other_case({field.key for field in known})
    return tuple(
        StructField(
            field.name, field.read(table, field.key), field.key, omit_empty=field.omit_empty
        )
        for field in known
    )


def read_string(table: Table, key: str) -> Value:
    """Read a ``string``."""
    return table.optional_text(key) or ""


def read_bool(table: Table, key: str) -> Value:
    """Read a ``bool``."""
    return table.flag(key, default=False)


def read_int(table: Table, key: str) -> Value:
    """Read an ``int64``."""
    value = table.value.get(key)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool):
        raise table.problem(f"{key} is not an integer")
    return value


def read_time(table: Table, key: str) -> Value:
    """Read a ``time.Time``."""
    value = table.value.get(key)
    if value is None:
        return ZERO_TIME
    if not isinstance(value, str):
        raise table.problem(f"{key} is not a string")
    return Time.parse(value, f"{table.subject}: {key}")


def read_time_pointer(table: Table, key: str) -> Value:
    """Read a ``*time.Time``."""
    return read_time(table, key) if key in table else NIL


def read_strings(table: Table, key: str) -> Value:
    """Read a ``[]string``."""
    return list(table.texts(key)) if key in table else NIL_SLICE


def read_string_or_strings(table: Table, key: str) -> Value:
    """Read a ``strslice.StrSlice``: a ``[]string`` that may be written as one string."""
    value = table.value.get(key)
    return [value] if isinstance(value, str) else read_strings(table, key)


def read_string_map(table: Table, key: str) -> Value:
    """Read a ``map[string]string``."""
    return dict(table.text_map(key)) if key in table else NIL_MAP


def read_string_set(table: Table, key: str) -> Value:
    """Read a ``map[string]struct{}``."""
    empty = Struct("struct {}", ())
    return dict.fromkeys(table.table(key).value, empty) if key in table else NIL_MAP
