"""Select tags of a repository by names, version ranges, expressions, and as the newest few.

All conditions must hold. A tag is a version if it looks like ``7``, ``7.2``, ``v7.2.1`` or
``7.2.1-rc1``: missing numbers are 0, a hyphen starts a pre-release, and an underscore starts build
metadata, as Helm writes ``+`` in tags.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from bundler.errors import NotFoundError, UsageError
from bundler.errors.counts import count
from bundler.gocompat.masterminds_semver import Constraint, Version
from bundler.oci.reference import is_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


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


class Expression(Protocol):
    """A regular expression of any syntax."""

    @property
    def pattern(self) -> str:
        """The text of the expression."""
        ...

    def search(self, string: str, /) -> object | None:
        """Return a match in ``string``, or None."""
        ...


@dataclass(frozen=True, slots=True)
class Latest:
    """The ``count`` newest of the tags that fulfil the other conditions."""

    count: int
    by: Literal["semver", "tag"] = "semver"
    """semver: versions only, and pre-releases only if there are no others. tag: natural order, in
    which 1.10 follows 1.9."""


@dataclass(frozen=True, slots=True)
class Select:
    """Conditions that the tags must all fulfil; without conditions every tag is selected."""

    tags: tuple[str, ...] = ()
    semver: str | None = None
    """A range in the form that ``parse_range`` returns."""
    constraint: Constraint | None = None
    """A range in the grammar of Masterminds."""
    include: tuple[Expression, ...] = ()
    """One of them must match in the tag."""
    exclude: tuple[Expression, ...] = ()
    """None of them may match in the tag."""
    latest: Latest | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there are no conditions."""
        return self == Select()

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
    """Return a version range in node-semver's grammar; a comma in ``text`` means a space.

    https://github.com/npm/node-semver/tree/v7.6.3#ranges

    Raises:
        UsageError: the text is not a range.
    """
    if len(text) > MAX_RANGE:
        raise UsageError(f"the range is longer than {MAX_RANGE} characters")
    spaced = text.replace(",", " ").replace("=>", ">=").replace("=<", "<=")
    alternatives = spaced.split("||")
    if not all(map(_ALTERNATIVE.fullmatch, alternatives)):
        hint = "; leave versions out by regex.exclude" if "!=" in text else ""
        raise UsageError(
            f"{text!r} is not a range of versions such as '>=7.0 <8', '^1.2' or '~1.2.3'{hint}"
        )
    return " || ".join(" ".join(part.split()) for part in alternatives)


def choose(select: Select, offered: Iterable[str]) -> list[str]:
    """Return the tags among ``offered`` that ``select`` selects, in natural order, each once.

    Raises:
        NotFoundError: a tag that is selected by name does not exist, or no tag is selected.
    """
    existing = {tag for tag in offered if is_tag(tag)}
    absent = [tag for tag in select.tags if tag not in existing]
    if absent:
        raise NotFoundError(
            f"no such tag: {', '.join(absent)} ({count(len(existing), 'tag')} seen)"
        )
    chosen = [tag for tag in select.tags or existing if _matches(select, tag)]
    if select.semver is not None:
        within = _create_test(select.semver)
        chosen = [tag for tag in chosen if within(tag)]
    if select.constraint is not None:
        chosen = [tag for tag in chosen if select.constraint.allows(tag)]
    if select.latest is not None:
        chosen = _select_newest(chosen, select.latest)
    if not chosen:
        raise NotFoundError(f"nothing matches {select} ({count(len(existing), 'tag')} seen)")
    return sorted(set(chosen), key=natural_key)


def natural_key(tag: str) -> tuple[list[tuple[int, int, str]], str]:
    """Return a sort key that compares digits as numbers: 1.9 comes before 1.10."""
    parts = [
        (0, int(part), "") if at % 2 else (1, 0, part)
        for at, part in enumerate(_NUMBER.split(tag))
        if part
    ]
    return parts, tag


def _matches(select: Select, tag: str) -> bool:
    included = not select.include or any(pattern.search(tag) for pattern in select.include)
    return included and not any(pattern.search(tag) for pattern in select.exclude)


def _create_test(text: str) -> Callable[[str], bool]:
    import nodesemver  # noqa: PLC0415 - only a manifest with ranges needs it

    wanted = nodesemver.make_range(text, loose=True)

    def within(tag: str) -> bool:
        version = _parse_version(tag)
        return version is not None and bool(wanted.test(str(version)))

    return within


def _select_newest(tags: list[str], latest: Latest) -> list[str]:
    if latest.by == "tag":
        return sorted(tags, key=natural_key)[-latest.count :]
    versions = [(version, tag) for tag in tags if (version := _parse_version(tag)) is not None]
    stable = [pair for pair in versions if not pair[0].prerelease]

    def key(pair: tuple[Version, str]) -> tuple[object, ...]:
        version, tag = pair
        # Among equal versions the tag with more numbers is the newest: 1.2.0 after 1.2.
        return version.precedence, version.written, natural_key(tag)

    return [tag for _, tag in sorted(stable or versions, key=key)[-latest.count :]]


def _parse_version(tag: str) -> Version | None:
    """Parse a tag as a version; build metadata follows an underscore."""
    return Version.parse(tag.partition("_")[0])
