"""Select tags of a repository by name, version range, regular expression and age.

A tag must meet all conditions. Tags such as ``7``, ``7.2``, ``v7.2.1`` and ``7.2.1-rc1`` are
versions: missing numbers are 0, a hyphen starts a pre-release, and an underscore starts build
metadata, because tags cannot contain ``+`` and Helm replaces it with an underscore.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bundler.errors import NotFoundError, UsageError, count
from bundler.gocompat.masterminds_semver import Constraint, Version
from bundler.oci.reference import is_tag

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bundler.gocompat.regexp import GoExpression

MAX_RANGE = 256

_NUMBER = re.compile(r"(\d+)", re.ASCII)

_PARTIAL = (
    r"v?(?:\d+|[xX*])(?:\.(?:\d+|[xX*])){0,2}(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?"
    r"(?:\+[0-9A-Za-z.-]+)?"
)
_COMPARATOR = rf"(?:>=|<=|>|<|=|\^|~>|~)?\s*{_PARTIAL}"
_ALTERNATIVE = re.compile(
    rf"\s*(?:{_PARTIAL}\s+-\s+{_PARTIAL}|{_COMPARATOR}(?:\s+{_COMPARATOR})*)\s*", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Latest:
    """Limit the selection to the ``count`` newest of the tags that meet the other conditions."""

    count: int
    by: Literal["semver", "tag"] = "semver"
    """``semver``: only versions count, and pre-releases only if there is no other version;
    ``tag``: the natural order, in which 1.10 follows 1.9."""


@dataclass(frozen=True, slots=True)
class TagSelection:
    """Conditions that a tag must meet; without conditions, every tag is selected."""

    tags: tuple[str, ...] = ()
    semver: str | None = None
    """A range in the form that ``parse_range`` returns."""
    constraint: Constraint | None = None
    """A range in the grammar of Masterminds' semver library."""
    include: tuple[GoExpression, ...] = ()
    """At least one of these must match part of the tag."""
    exclude: tuple[GoExpression, ...] = ()
    """None of these may match any part of the tag."""
    latest: Latest | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there are no conditions."""
        return self == TagSelection()

    def __str__(self) -> str:
        """The conditions in words, for messages."""
        words = []
        if self.tags:
            words.append(f"tags {', '.join(self.tags[:10])}")
        if self.semver is not None:
            words.append(f"semver {self.semver!r}")
        if self.constraint is not None:
            words.append(f"semver {self.constraint.text!r}")
        words += [f"regex.include {pattern.pattern!r}" for pattern in self.include[:10]]
        words += [f"regex.exclude {pattern.pattern!r}" for pattern in self.exclude[:10]]
        if self.latest:
            words.append(f"latest {self.latest.count} by {self.latest.by}")
        return " and ".join(words) or "every tag"


def parse_range(text: str) -> str:
    """Parse a version range, and return it in node-semver's grammar; a comma counts as a space.

    https://github.com/npm/node-semver/tree/v7.6.3#ranges

    Raises:
        UsageError: the range is malformed.
    """
    if len(text) > MAX_RANGE:
        raise UsageError(f"the range is longer than {MAX_RANGE} characters")
    spaced = text.replace(",", " ").replace("=>", ">=").replace("=<", "<=")
    alternatives = spaced.split("||")
    if not all(map(_ALTERNATIVE.fullmatch, alternatives)):
        hint = "; exclude versions with regex.exclude" if "!=" in text else ""
        raise UsageError(
            f"{text!r} is not a valid version range"
            f" (expected for example '>=7.0 <8', '^1.2' or '~1.2.3'){hint}"
        )
    return " || ".join(" ".join(part.split()) for part in alternatives)


def choose(select: TagSelection, offered: Iterable[str]) -> list[str]:
    """Return the selected tags among ``offered`` in natural order, without duplicates.

    Raises:
        NotFoundError: a tag in ``select.tags`` does not exist, or no tag is selected.
    """
    existing = {tag for tag in offered if is_tag(tag)}
    absent = [tag for tag in select.tags if tag not in existing]
    if absent:
        raise NotFoundError(
            f"no such tag: {', '.join(absent)} (the repository has {count(len(existing), 'tag')})"
        )
    chosen = [
        tag
        for tag in select.tags or existing
        if not select.include or any(pattern.search(tag) for pattern in select.include)
        if not any(pattern.search(tag) for pattern in select.exclude)
    ]
    if select.semver is not None:
        import nodesemver  # noqa: PLC0415 - only a manifest with ranges needs it

        accepted = nodesemver.make_range(select.semver, loose=True)
        versions = ((tag, _parse_version(tag)) for tag in chosen)
        chosen = [tag for tag, version in versions if version and accepted.test(str(version))]
    if select.constraint is not None:
        chosen = [tag for tag in chosen if select.constraint.allows(tag)]
    if select.latest is not None:
        chosen = _select_newest(chosen, select.latest)
    if not chosen:
        raise NotFoundError(
            f"no tag matches {select} (the repository has {count(len(existing), 'tag')})"
        )
    return sorted(set(chosen), key=natural_key)


def natural_key(tag: str) -> tuple[list[tuple[int, int, str]], str]:
    """Return a sort key that compares runs of digits as numbers: 1.9 comes before 1.10."""
    parts = [
        (0, int(part), "") if at % 2 else (1, 0, part)
        for at, part in enumerate(_NUMBER.split(tag))
        if part
    ]
    return parts, tag


def _select_newest(tags: list[str], latest: Latest) -> list[str]:
    if latest.by == "tag":
        return sorted(tags, key=natural_key)[-latest.count :]
    versions = [(version, tag) for tag in tags if (version := _parse_version(tag)) is not None]
    stable = [pair for pair in versions if not pair[0].prerelease]

    def key(pair: tuple[Version, str]) -> tuple[object, ...]:
        version, tag = pair
        # Of equal versions, the tag with more numbers counts as newer: 1.2.0 follows 1.2.
        return version.precedence, version.written, natural_key(tag)

    return [tag for _, tag in sorted(stable or versions, key=key)[-latest.count :]]


def _parse_version(tag: str) -> Version | None:
    """Parse a tag as a version, without build metadata; None if it is not a version."""
    return Version.parse(tag.partition("_")[0])
