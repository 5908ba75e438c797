"""The order of the versions of dpkg.

https://manpages.debian.org/bookworm/dpkg-dev/deb-version.7.en.html
"""

from __future__ import annotations

import re
from typing import Any

from bundler.bundle.audit.vulnerabilities.versions.version_error import MAX_VERSION, VersionError

_VERSION = re.compile(
    r"(?:(\d{1,9}):)?(\d[A-Za-z0-9.+~-]*?)(?:-([A-Za-z0-9.+~]+))?(?<!-)", re.ASCII
)
_PART = re.compile(r"(\D*)(\d*)", re.ASCII)


def create_key(version: str) -> Any:  # noqa: ANN401 - compared only
    """Return a value that is ordered as the version is.

    Raises:
        VersionError: it is not a version of dpkg.
    """
    match = _VERSION.fullmatch(version)
    if match is None or len(version) > MAX_VERSION:
        raise VersionError(version)
    return int(match[1] or 0), _create_parts(match[2]), _create_parts(match[3] or "")


def _create_parts(text: str) -> list[tuple[list[int], int]]:
    """Return the pairs of other characters and numbers; the last match is empty, as the end."""
    return [
        ([*map(_rank, characters), 0], int(number or 0))
        for characters, number in _PART.findall(text)
    ]


def _rank(character: str) -> int:
    """Rank a tilde before the end (0), letters after it, and all others after letters."""
    if character == "~":
        return -1
    return ord(character) if character.isalpha() else ord(character) + 256
