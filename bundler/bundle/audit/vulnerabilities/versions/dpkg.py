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
    parts = []
    for characters, number in _PART.findall(text):
        # A tilde is before the end (0), letters are after it, and all others after letters.
        ranks = [
            -1 if char == "~" else ord(char) + 256 * (not char.isalpha()) for char in characters
        ]
        parts.append(([*ranks, 0], int(number or 0)))
    return parts
