"""Constraints on versions in the grammar of Masterminds' semver, which Helm and Skopeo use.

``>= 1.2, < 3 || 4.x``: a comma or a space means *and*, ``||`` means *or*. ``1.2`` and ``1.x`` are
ranges. Pre-releases count only where the alternative names one itself.

https://github.com/Masterminds/semver/tree/v3.4.0#checking-version-constraints
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_LENGTH = 256
_MAX_NUMBER = 2**64 - 1

_SUFFIX = r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
_VERSION = re.compile(rf"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?{_SUFFIX}", re.ASCII)
_PART = r"\d+|[xX*]"
_BOUND = rf"v?({_PART})(?:\.({_PART}))?(?:\.({_PART}))?{_SUFFIX}"
_RANGE = re.compile(rf"\s*({_BOUND})\s+-\s+({_BOUND})\s*", re.ASCII)
_COMPARISON = re.compile(rf"\s*(=>|=<|>=|<=|!=|~>|=|>|<|~|\^|)\s*{_BOUND}", re.ASCII)
_AND = re.compile(r"\s*,\s*|\s+")
_END = re.compile(r"\s*")


@dataclass(frozen=True, slots=True)
class Version:
    """A version; what was not written is zero."""

    numbers: tuple[int, int, int]
    prerelease: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Version | None:
        """Read ``1``, ``1.2``, ``v1.2.3`` or ``1.2.3-rc.1+build``; None if it is no version."""
        match = _VERSION.fullmatch(text)
        return None if match is None else _version(match[1], match[2], match[3], match[4])

    @property
    def key(self) -> tuple[object, ...]:
        """Precedence: https://semver.org/spec/v2.0.0.html#spec-item-11."""
        identifiers = [
            (0, int(part), "") if part.isdecimal() else (1, 0, part) for part in self.prerelease
        ]
        return self.numbers, not self.prerelease, identifiers


@dataclass(frozen=True, slots=True)
class Constraint:
    """Alternatives, each a list of comparisons that all have to hold."""

    text: str
    alternatives: tuple[tuple[_Comparison, ...], ...]

    @classmethod
    def parse(cls, text: str) -> Constraint:
        """Read a constraint.

        Raises:
            UsageError: it is none.
        """
        if len(text) > MAX_LENGTH:
            raise UsageError(f"the constraint is longer than {MAX_LENGTH} characters")
        spelled = _RANGE.sub(r">= \1, <= \6 ", text)
        return cls(text, tuple(_comparisons(part, text) for part in spelled.split("||")))

    def allows(self, text: str) -> bool:
        """Whether ``text`` is a version that is meant."""
        version = Version.parse(text)
        return version is not None and any(
            _all_hold(comparisons, version) for comparisons in self.alternatives
        )

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class _Comparison:
    operator: str
    bound: Version
    given: int
    """How many of the three numbers were written; the others, or an x, mean any."""

    def holds(self, version: Version) -> bool:
        return _OPERATORS[self.operator](version, self)

    def shares(self, version: Version, count: int) -> bool:
        return self.bound.numbers[:count] == version.numbers[:count]


def _comparisons(part: str, text: str) -> tuple[_Comparison, ...]:
    found: list[_Comparison] = []
    position = 0
    while _END.fullmatch(part, position) is None or not found:
        between = _AND.match(part, position) if found else _END.match(part, position)
        match = between and _COMPARISON.match(part, between.end())
        made = match and _comparison(match)
        if not match or not made:
            raise UsageError(
                f"{text!r} is not a constraint on versions such as '>= 1.2, < 2', '^1.2' or '!=1.3'"
            )
        found.append(made)
        position = match.end()
    return tuple(found)


def _comparison(match: re.Match[str]) -> _Comparison | None:
    numbers: list[str] = []
    for part in match.groups()[1:4]:
        if part is None or not part.isdecimal():
            break
        numbers.append(part)
    given = len(numbers)
    major, minor, patch = [*numbers, "0", "0", "0"][:3]
    bound = _version(major, minor, patch, match[5])
    return None if bound is None else _Comparison(match[1], bound, given)


def _version(
    major: str, minor: str | None, patch: str | None, prerelease: str | None
) -> Version | None:
    numbers = (int(major), int(minor or 0), int(patch or 0))
    identifiers = tuple(prerelease.split(".")) if prerelease else ()
    leading_zero = any(
        part.isdecimal() and len(part) > 1 and part[0] == "0" for part in identifiers
    )
    if max(numbers) > _MAX_NUMBER or leading_zero:
        return None
    return Version(numbers, identifiers)


def _all_hold(comparisons: tuple[_Comparison, ...], version: Version) -> bool:
    if version.prerelease and not any(item.bound.prerelease for item in comparisons):
        return False
    return all(item.holds(version) for item in comparisons)


def _equal(version: Version, wanted: _Comparison) -> bool:
    if wanted.given < 3:
        return _tilde(version, wanted)
    return version.key == wanted.bound.key


def _differs(version: Version, wanted: _Comparison) -> bool:
    if wanted.given in (1, 2):
        if not wanted.shares(version, wanted.given):
            return True
        return wanted.given == 2 and version.prerelease != wanted.bound.prerelease
    return version.key != wanted.bound.key


def _greater(version: Version, wanted: _Comparison) -> bool:
    if wanted.given in (1, 2):
        return version.numbers[: wanted.given] > wanted.bound.numbers[: wanted.given]
    return version.key > wanted.bound.key


def _less(version: Version, wanted: _Comparison) -> bool:
    return version.key < wanted.bound.key


def _at_least(version: Version, wanted: _Comparison) -> bool:
    return version.key >= wanted.bound.key


def _at_most(version: Version, wanted: _Comparison) -> bool:
    if wanted.given == 3:
        return version.key <= wanted.bound.key
    count = wanted.given or 2
    return version.numbers[:count] <= wanted.bound.numbers[:count]


def _tilde(version: Version, wanted: _Comparison) -> bool:
    if version.key < wanted.bound.key:
        return False
    if wanted.bound.numbers == (0, 0, 0) and wanted.given in (0, 3):
        return True
    return wanted.shares(version, min(wanted.given, 2))


def _caret(version: Version, wanted: _Comparison) -> bool:
    if version.key < wanted.bound.key:
        return False
    major, minor, _ = wanted.bound.numbers
    if major or wanted.given == 1:
        return wanted.shares(version, 1)
    if minor or wanted.given == 2:
        return wanted.shares(version, 2)
    return wanted.shares(version, 3)


_OPERATORS: dict[str, Callable[[Version, _Comparison], bool]] = {
    "": _equal,
    "=": _equal,
    "!=": _differs,
    ">": _greater,
    "<": _less,
    ">=": _at_least,
    "=>": _at_least,
    "<=": _at_most,
    "=<": _at_most,
    "~": _tilde,
    "~>": _tilde,
    "^": _caret,
}
