"""Which tags of a repository are meant: exact names, version ranges, expressions, the newest few.

Every condition has to hold. A tag counts as a version as ``7``, ``7.2``, ``v7.2.1`` or
``7.2.1-rc1``: what is missing is zero, what follows a hyphen makes it a pre-release, and what
follows an underscore is build metadata, as Helm writes ``+`` in tags.
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
    """A regular expression, of whatever kind."""

    @property
    def pattern(self) -> str:
        """As it was written."""
        ...

    def search(self, string: str, /) -> object | None:
        """What is found in ``string``; None: nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Latest:
    """The ``count`` newest of what the other conditions leave."""

    count: int
    by: Literal["semver", "tag"] = "semver"
    """semver: versions only, and pre-releases only where nothing else is left. tag: natural
    order, in which 1.10 comes after 1.9."""


@dataclass(frozen=True, slots=True)
class Select:
    """Conditions on a repository's tags, all of which must hold; none at all means every tag."""

    tags: tuple[str, ...] = ()
    semver: str | None = None
    """A range as ``checked_range`` returns it."""
    constraint: Constraint | None = None
    """The same in another grammar."""
    include: tuple[Expression, ...] = ()
    """One of them has to be found in the tag."""
    exclude: tuple[Expression, ...] = ()
    """None of them may be found in the tag."""
    latest: Latest | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is no condition."""
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
    """A range of versions in node-semver's grammar, where a comma means what a space does.

    https://github.com/npm/node-semver/tree/v7.6.3#ranges

    Raises:
        UsageError: it is none.
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
    """The tags among ``offered`` that ``select`` means, in natural order, each once.

    Raises:
        NotFoundError: a tag that is asked for by name is not there (all such are named), or
            nothing is left.
    """
    there = {tag for tag in offered if is_tag(tag)}
    absent = [tag for tag in select.tags if tag not in there]
    if absent:
        raise NotFoundError(f"no such tag: {', '.join(absent)} ({count(len(there), 'tag')} seen)")
    chosen = [tag for tag in select.tags or there if _matches(select, tag)]
    if select.semver is not None:
        within = _tester(select.semver)
        chosen = [tag for tag in chosen if within(tag)]
    if select.constraint is not None:
        chosen = [tag for tag in chosen if select.constraint.allows(tag)]
    if select.latest is not None:
        chosen = _select_newest(chosen, select.latest)
    if not chosen:
        raise NotFoundError(f"nothing matches {select} ({count(len(there), 'tag')} seen)")
    return sorted(set(chosen), key=natural_key)


def natural_key(tag: str) -> tuple[list[tuple[int, int, str]], str]:
    """A sort key that takes runs of digits as numbers: 1.9 comes before 1.10."""
    parts = [
        (0, int(part), "") if at % 2 else (1, 0, part)
        for at, part in enumerate(_NUMBER.split(tag))
        if part
    ]
    return parts, tag


def _matches(select: Select, tag: str) -> bool:
    included = not select.include or any(pattern.search(tag) for pattern in select.include)
    return included and not any(pattern.search(tag) for pattern in select.exclude)


def _tester(text: str) -> Callable[[str], bool]:
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
