"""Typed reads of the members of ``bundle.json``, with messages that name the member."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

from bundler.errors import LimitError, MalformedError
from bundler.oci import media_types
from bundler.oci.digest import Digest
from bundler.oci.json import fields

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

MAX_ITEMS = 100_000
MAX_TEXT = 4096

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def many(
    value: dict[str, Any], key: str, what: str, read: Callable[[dict[str, Any], str], T]
) -> tuple[T, ...]:
    """The member ``key``, an array of objects, each as ``read`` makes it."""
    items = fields.objects(value, key, what)
    if len(items) > MAX_ITEMS:
        raise LimitError(f"{what}: {len(items):,} {key}, more than the {MAX_ITEMS:,} allowed")
    return tuple(read(item, f"{what}: {key}[{at}]") for at, item in enumerate(items))


def obj(value: dict[str, Any], key: str, what: str) -> dict[str, Any]:
    """The object member ``key``, which must be there."""
    item = fields.obj(value, key, what)
    if item is None:
        raise MalformedError(f"{what}: {key} is missing")
    return item


def text(value: dict[str, Any], key: str, what: str) -> str:
    """The member ``key``, text that must be there."""
    item = optional_text(value, key, what)
    if item is None:
        raise MalformedError(f"{what}: {key} is missing or empty")
    return item


def optional_text(value: dict[str, Any], key: str, what: str) -> str | None:
    """The member ``key``, text to be shown; None if it is absent or empty."""
    item = fields.text(value, key, what)
    return None if item is None else shown(item, f"{what}: {key}")


def shown(text: str, what: str) -> str:
    """Text from outside that a terminal will show: short, and nothing that moves its cursor."""
    if len(text) > MAX_TEXT or not text.isprintable():
        raise MalformedError(f"{what}: not printable text of at most {MAX_TEXT:,} characters")
    return text


def flag(value: dict[str, Any], key: str, what: str) -> bool:
    """The member ``key``, true or false."""
    item = value.get(key)
    if not isinstance(item, bool):
        raise MalformedError(f"{what}: {key} is neither true nor false")
    return item


def one_of(value: dict[str, Any], key: str, allowed: tuple[str, ...], what: str) -> str:
    """The member ``key``, one of a few words."""
    item = value.get(key)
    if item not in allowed:
        raise MalformedError(f"{what}: {key} is not one of {', '.join(allowed)}")
    return cast("str", item)


def manifest_type(value: dict[str, Any], what: str) -> str:
    """The member ``mediaType``, that of a manifest or an index."""
    media_type = text(value, "mediaType", what)
    if media_type not in media_types.IMAGE_MANIFESTS | media_types.INDEXES:
        raise MalformedError(f"{what}: {media_type[:80]!r} is not a manifest's media type")
    return media_type


def digest(value: dict[str, Any], key: str, what: str) -> Digest:
    """The member ``key``, a digest that must be there."""
    try:
        return Digest(text(value, key, what))
    except MalformedError as error:
        raise MalformedError(f"{what}: {key}: {error.message}") from None


def optional_digest(value: dict[str, Any], key: str, what: str) -> Digest | None:
    """The member ``key``, a digest; None if it is absent."""
    return None if value.get(key) is None else digest(value, key, what)


def time(value: object, what: str) -> datetime:
    """A time in UTC, whole seconds."""
    if isinstance(value, str) and _TIME.fullmatch(value):
        try:
            return datetime.strptime(value, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:
            pass
    raise MalformedError(f"{what}: {str(value)[:40]!r} is not a time like 2026-11-23T07:00:00Z")
