"""The order of semantic versions, which npm, Go and Cargo use.

https://semver.org/spec/v2.0.0.html#spec-item-11
"""

from __future__ import annotations

import re
from typing import Any

from bundler.bundle.audit.vulnerabilities.versions.version_error import MAX_VERSION, VersionError

_VERSION = re.compile(
    r"(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?", re.ASCII
)
_GO_VERSION = re.compile(r"(\d+\.\d+)(\.\d+)?(?:(beta|rc)(\d+))?(?:-.*)?", re.ASCII)


def create_key(version: str) -> Any:  # noqa: ANN401 - compared only
    """Return a value that is ordered as the version is.

    Raises:
        VersionError: it is not a semantic version.
    """
    match = _VERSION.fullmatch(version)
    if match is None or len(version) > MAX_VERSION:
        raise VersionError(version)
    numbers = tuple(map(int, match.groups()[:3]))
    if match[4] is None:
        return *numbers, (1,)
    identifiers = [
        (0, int(item)) if item.isdecimal() else (1, item) for item in match[4].split(".")
    ]
    return *numbers, (0, identifiers)


def create_go_key(version: str) -> Any:  # noqa: ANN401 - as above
    """Return a value that is ordered as the version of a Go module, or of Go itself: ``1.21rc2``.

    Raises:
        VersionError: it is neither.
    """
    text = version.removeprefix("v")
    if match := _GO_VERSION.fullmatch(text):
        prerelease = f"-{match[3]}.{match[4]}" if match[3] else ""
        if match[2] is None or prerelease:
            text = f"{match[1]}{match[2] or '.0'}{prerelease}"
    return create_key(text)
