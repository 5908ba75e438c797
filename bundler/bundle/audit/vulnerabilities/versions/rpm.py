"""The order of the versions of rpm.

https://rpm-software-management.github.io/rpm/manual/dependencies.html#versioning
"""

from __future__ import annotations

import re
from typing import Any

from bundler.bundle.audit.vulnerabilities.versions.version_error import MAX_VERSION, VersionError

_VERSION = re.compile(r"(?:(\d{1,9}):)?([A-Za-z0-9._+~^]+)(?:-([A-Za-z0-9._+~^]+))?", re.ASCII)
_SEGMENT = re.compile(r"[0-9]+|[A-Za-z]+|~|\^")
_MARKS = {"~": (0,), "^": (2,)}
_END = (1,)


def create_key(version: str) -> Any:  # noqa: ANN401 - compared only
    """Return a value that is ordered as ``[epoch:]version[-release]`` is.

    Raises:
        VersionError: it is not a version of rpm.
    """
    match = _VERSION.fullmatch(version)
    if match is None or len(version) > MAX_VERSION:
        raise VersionError(version)
    return int(match[1] or 0), _create_segments(match[2]), _create_segments(match[3] or "")


def _create_segments(text: str) -> list[tuple[Any, ...]]:
    """Return the segments: ``~`` sorts before the end, then ``^``, letters, and numbers."""
    found: list[tuple[Any, ...]] = [
        _MARKS.get(segment) or ((4, int(segment)) if segment.isdecimal() else (3, segment))
        for segment in _SEGMENT.findall(text)
    ]
    return [*found, _END]
