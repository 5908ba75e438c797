"""The order of the versions of RubyGems.

https://docs.ruby-lang.org/en/3.3/Gem/Version.html
"""

from __future__ import annotations

import re
from functools import cmp_to_key
from itertools import zip_longest
from typing import Any

from bundler.bundle.audit.vulnerabilities.versions.version_error import MAX_VERSION, VersionError

_VERSION = re.compile(r"\d+(?:\.[0-9a-zA-Z]+)*(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?", re.ASCII)
_SEGMENT = re.compile(r"[0-9]+|[a-zA-Z]+")
Segment = tuple[int, str, int]


def create_key(version: str) -> Any:  # noqa: ANN401 - compared only
    """Return a value that is ordered as the version is.

    Raises:
        VersionError: it is not a version of RubyGems.
    """
    if len(version) > MAX_VERSION or not _VERSION.fullmatch(version):
        raise VersionError(version)
    segments = _SEGMENT.findall(version.replace("-", ".pre."))
    letters = next((at for at, item in enumerate(segments) if item.isalpha()), len(segments))
    return _compare(_trim(segments[:letters]) + _trim(segments[letters:]))


def _trim(segments: list[str]) -> list[Segment]:
    """Return segments without the zeros at their end; letters sort before numbers."""
    found = [(0, item, 0) if item.isalpha() else (1, "", int(item)) for item in segments]
    while found and found[-1] == _ZERO:
        found.pop()
    return found


@cmp_to_key
def _compare(first: list[Segment], second: list[Segment]) -> int:
    for one, other in zip_longest(first, second, fillvalue=_ZERO):
        if one != other:
            return -1 if one < other else 1
    return 0


_ZERO: Segment = (1, "", 0)
