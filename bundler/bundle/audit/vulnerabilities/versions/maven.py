"""The order of the versions of Maven.

https://maven.apache.org/pom.html#version-order-specification
"""

from __future__ import annotations

import re
from functools import cmp_to_key
from itertools import zip_longest
from typing import Any

from bundler.bundle.audit.vulnerabilities.versions.version_error import MAX_VERSION, VersionError

_VERSION = re.compile(r"[0-9A-Za-z._+-]+")
_PART = re.compile(r"[0-9]+|[^0-9.-]+|[.-]")
_DOT = re.compile(r"(?<=[0-9])\.(?=[a-z])")  # before a qualifier, dot and hyphen are the same
_QUALIFIERS = ("alpha", "beta", "milestone", "rc", "snapshot", "", "sp")
_RELEASE = _QUALIFIERS.index("")
_ALIASES = {"ga": "", "final": "", "cr": "rc"}
_SHORT = {"a": "alpha", "b": "beta", "m": "milestone"}

Item = int | str | list[Any]
"""A number, a qualifier, or the list of items after a hyphen or a change of kind."""


def create_key(version: str) -> Any:  # noqa: ANN401 - compared only
    """Return a value that is ordered as the version is.

    Raises:
        VersionError: it is not a version of Maven.
    """
    if len(version) > MAX_VERSION or not _VERSION.fullmatch(version):
        raise VersionError(version)
    return cmp_to_key(_compare_items)(_parse(_DOT.sub("-", version.lower())))


def _parse(version: str) -> list[Item]:
    root: list[Item] = []
    items, stack = root, [root]
    previous = "."

    def descend() -> list[Item]:
        inner: list[Item] = []
        items.append(inner)
        stack.append(inner)
        return inner

    for match in _PART.finditer(version):
        part = match[0]
        if part in ".-":
            if previous in ".-":
                items.append(0)
            if part == "-":
                items = descend()
        else:
            if previous not in ".-":
                items = descend()
            following = version[match.end() : match.end() + 1]
            if part.isdecimal():
                items.append(int(part))
            else:
                name = _SHORT.get(part, part) if following.isdecimal() else part
                items.append(_ALIASES.get(name, name))
        previous = part
    for items in reversed(stack):
        for position in range(len(items) - 1, -1, -1):
            if items[position] in (0, "", []):
                del items[position]
            elif not isinstance(items[position], list):
                break
    return root


def _compare_items(one: Item | None, other: Item | None) -> int:
    if one is None:
        return 0 if other is None else -_compare_items(other, None)
    if isinstance(one, list):
        if other is None:
            return _compare_items(one[0], None) if one else 0
        if isinstance(other, list):
            for pair in zip_longest(one, other):
                if result := _compare_items(*pair):
                    return result
            return 0
        return -1 if isinstance(other, int) else 1
    if isinstance(one, int):
        if isinstance(other, str | list):
            return 1
        number = other or 0
        return (one > number) - (one < number)
    if isinstance(other, str) or other is None:
        left, right = _rank(one), _rank(other or "")
        return (left > right) - (left < right)
    return -1


def _rank(qualifier: str) -> tuple[int, str]:
    if qualifier in _QUALIFIERS:
        return _QUALIFIERS.index(qualifier), ""
    return len(_QUALIFIERS), qualifier
