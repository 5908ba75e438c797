"""Typed reads of members of a JSON object, with messages that name the member.

Go's parsers match member names without regard to case and take the last one; a document that
spells a known member in another case would be read differently there, so it is refused here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bundler.errors import MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterable


def refuse_other_case(value: dict[str, Any], known: Iterable[str], what: str) -> None:
    """Refuse a member whose name equals a known one but for upper and lower case."""
    folded = {name.casefold(): name for name in known}
    for key in value:
        name = folded.get(key.casefold())
        if name is not None and key != name:
            raise MalformedError(f"{what}: the member {key!r} must be spelled {name!r}")


def text(value: dict[str, Any], key: str, what: str) -> str | None:
    """The string member ``key``, or None if it is absent, null or empty."""
    item = value.get(key)
    if item is None:
        return None
    if not isinstance(item, str):
        raise MalformedError(f"{what}: {key} is not a string")
    return item or None


def integer(value: dict[str, Any], key: str, what: str) -> int:
    """The integer member ``key``, which must be there and not negative."""
    item = value.get(key)
    if not isinstance(item, int) or isinstance(item, bool) or item < 0:
        raise MalformedError(f"{what}: {key} is not a whole number of 0 or more")
    return item


def flag(value: dict[str, Any], key: str, what: str) -> bool:
    """The boolean member ``key``; False if it is absent or null."""
    item = value.get(key)
    if not isinstance(item, bool | None):
        raise MalformedError(f"{what}: {key} is neither true nor false")
    return bool(item)


def obj(value: dict[str, Any], key: str, what: str) -> dict[str, Any] | None:
    """The object member ``key``, or None if it is absent or null."""
    item = value.get(key)
    if item is not None and not isinstance(item, dict):
        raise MalformedError(f"{what}: {key} is not an object")
    return item


def objects(value: dict[str, Any], key: str, what: str) -> list[dict[str, Any]]:
    """The member ``key``, an array of objects; empty if it is absent or null."""
    items = value.get(key)
    if items is None:
        return []
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise MalformedError(f"{what}: {key} is not an array of objects")
    return items


def texts(value: dict[str, Any], key: str, what: str) -> tuple[str, ...]:
    """The member ``key``, an array of strings; empty if it is absent or null."""
    items = value.get(key)
    if items is None:
        return ()
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise MalformedError(f"{what}: {key} is not an array of strings")
    return tuple(items)


def text_map(value: dict[str, Any], key: str, what: str) -> dict[str, str]:
    """The member ``key``, an object of strings; empty if it is absent or null."""
    item = obj(value, key, what) or {}
    if not all(isinstance(entry, str) for entry in item.values()):
        raise MalformedError(f"{what}: {key} is not an object of strings")
    return item
