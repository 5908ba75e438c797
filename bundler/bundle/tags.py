"""Which tags of a repository are meant: exact names, version ranges, expressions, the newest few.

Every condition has to hold. A tag counts as a version as ``7``, ``7.2``, ``v7.2.1`` or
``7.2.1-rc1``: what is missing is zero, and what follows a hyphen makes it a pre-release.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import re


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
    """A range as node-semver reads it; commas mean what spaces do."""
    include: tuple[re.Pattern[str], ...] = ()
    """One of them has to be found in the tag."""
    exclude: tuple[re.Pattern[str], ...] = ()
    """None of them may be found in the tag."""
    latest: Latest | None = None
