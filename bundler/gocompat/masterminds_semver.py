"""Version constraints in the grammar of Masterminds' semver library, which Helm and Skopeo use.

In ``>= 1.2, < 3 || 4.x``, a comma or a space means *and*, and ``||`` means *or*. ``1.2`` and
``1.x`` are ranges. A pre-release matches only an alternative that contains a pre-release itself.

https://github.com/Masterminds/semver/tree/v3.4.0#checking-version-constraints
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bundler.errors import UsageError

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
    """A version; omitted numbers are 0."""

    numbers: tuple[int, int, int]
    prerelease: tuple[str, ...] = ()
    written: int = 3
    """The number of numeric components in the text; omitted ones are 0."""

    @classmethod
    def parse(cls, text: str) -> Version | None:
        """Parse ``1``, ``1.2``, ``v1.2.3`` or ``1.2.3-rc.1+build``; None if it is not a version.

        Numbers of any size and leading zeros are accepted.
        """
        match = _VERSION.fullmatch(text)
        if match is None:
            return None
        written = [int(number) for number in match.groups()[:3] if number is not None]
        major, minor, patch = [*written, 0, 0][:3]
        prerelease = tuple(match[4].split(".")) if match[4] else ()
        return cls((major, minor, patch), prerelease, len(written))

    @property
    def is_strict(self) -> bool:
        """Whether Masterminds' library accepts the version: no overflow, no leading zeros."""
        leading_zero = any(
            part.isdecimal() and len(part) > 1 and part[0] == "0" for part in self.prerelease
        )
        return max(self.numbers) <= _MAX_NUMBER and not leading_zero

    @property
    def precedence(self) -> tuple[object, ...]:
        """The sort key of https://semver.org/spec/v2.0.0.html#spec-item-11."""
        identifiers = [
            (0, int(part), "") if part.isdecimal() else (1, 0, part) for part in self.prerelease
        ]
        return self.numbers, not self.prerelease, identifiers

    def __str__(self) -> str:
        suffix = "-" + ".".join(self.prerelease) if self.prerelease else ""
        return ".".join(map(str, self.numbers)) + suffix


@dataclass(frozen=True, slots=True)
class Constraint:
    """Alternatives, each a list of comparisons that must all hold."""

    text: str
    alternatives: tuple[tuple[_Comparison, ...], ...]

    @classmethod
    def parse(cls, text: str) -> Constraint:
        """Parse a constraint.

        Raises:
            UsageError: the constraint is malformed.
        """
        if len(text) > MAX_LENGTH:
            raise UsageError(f"the constraint is longer than {MAX_LENGTH} characters")
        alternatives: list[tuple[_Comparison, ...]] = []
        for part in _RANGE.sub(r">= \1, <= \6 ", text).split("||"):
            comparisons: list[_Comparison] = []
            position = 0
            while _END.fullmatch(part, position) is None or not comparisons:
                separator = (_AND if comparisons else _END).match(part, position)
                match = separator and _COMPARISON.match(part, separator.end())
                comparison = match and _Comparison.parse(match)
                if not match or not comparison:
                    raise UsageError(
                        f"{text!r} is not a valid version constraint"
                        " (expected for example '>= 1.2, < 2', '^1.2' or '!=1.3')"
                    )
                comparisons.append(comparison)
                position = match.end()
            alternatives.append(tuple(comparisons))
        return cls(text, tuple(alternatives))

    def allows(self, text: str) -> bool:
        """Return whether ``text`` is a version that meets the constraint."""
        version = Version.parse(text)
        if version is None or not version.is_strict:
            return False
        return any(
            all(item.holds(version) for item in comparisons)
            for comparisons in self.alternatives
            if not version.prerelease or any(item.bound.prerelease for item in comparisons)
        )

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class _Comparison:
    operator: str
    bound: Version
    """A number that is omitted or ``x`` matches any number."""

    @classmethod
    def parse(cls, match: re.Match[str]) -> _Comparison | None:
        numbers: list[int] = []
        for part in match.groups()[1:4]:
            if part is None or not part.isdecimal():
                break
            numbers.append(int(part))
        major, minor, patch = [*numbers, 0, 0, 0][:3]
        prerelease = tuple(match[5].split(".")) if match[5] else ()
        bound = Version((major, minor, patch), prerelease, len(numbers))
        return cls(match[1], bound) if bound.is_strict else None

    def holds(self, version: Version) -> bool:
        bound, written = self.bound, self.bound.written
        is_at_least = version.precedence >= bound.precedence
        match self.operator:
            case ">" if written in (1, 2):
                return version.numbers[:written] > bound.numbers[:written]
            case ">":
                return version.precedence > bound.precedence
            case ">=" | "=>":
                return is_at_least
            case "<":
                return not is_at_least
            case "<=" | "=<" if written == 3:
                return version.precedence <= bound.precedence
            case "<=" | "=<":
                return version.numbers[: written or 2] <= bound.numbers[: written or 2]
            case "!=" if written in (1, 2):
                differs = written == 2 and version.prerelease != bound.prerelease
                return differs or not self._shares(version, written)
            case "!=":
                return version.precedence != bound.precedence
            case "=" | "" if written == 3:
                return version.precedence == bound.precedence
            case "^":  # equal up to the first number that is not 0
                first = next((at for at, number in enumerate(bound.numbers) if number), 2)
                return is_at_least and self._shares(version, min(first + 1, written or 3))
            case _:  # "~" and "~>", and "=" with omitted numbers: equal up to the minor number
                is_any = bound.numbers == (0, 0, 0) and written in (0, 3)
                return is_at_least and (is_any or self._shares(version, min(written, 2)))

    def _shares(self, version: Version, count: int) -> bool:
        """Return whether the first ``count`` numbers are equal."""
        return version.numbers[:count] == self.bound.numbers[:count]
