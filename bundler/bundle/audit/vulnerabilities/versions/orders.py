"""The order of versions of each ecosystem of OSV."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bundler.bundle.audit.vulnerabilities.versions import apk, dpkg, gem, maven, rpm, semantic
from bundler.bundle.audit.vulnerabilities.versions.version_error import MAX_VERSION, VersionError

CreateKey = Callable[[str], Any]
"""Create a value that is ordered as a version is, or raise VersionError."""


def create_python_key(version: str) -> Any:  # noqa: ANN401 - compared only
    """Return a value that is ordered as a version of PEP 440 is.

    Raises:
        VersionError: it is not one.
    """
    from packaging.version import InvalidVersion, Version  # noqa: PLC0415 - only for Python

    try:
        if len(version) <= MAX_VERSION:
            return Version(version)
    except InvalidVersion:
        pass
    raise VersionError(version)


ORDERS: dict[str, CreateKey] = {
    "Debian": dpkg.create_key,
    "Ubuntu": dpkg.create_key,
    "Alpine": apk.create_key,
    "Wolfi": apk.create_key,
    "Chainguard": apk.create_key,
    "Red Hat": rpm.create_key,
    "Rocky Linux": rpm.create_key,
    "AlmaLinux": rpm.create_key,
    "SUSE": rpm.create_key,
    "openSUSE": rpm.create_key,
    "PyPI": create_python_key,
    "npm": semantic.create_key,
    "Go": semantic.create_go_key,
    "crates.io": semantic.create_key,
    "Maven": maven.create_key,
    "RubyGems": gem.create_key,
}
"""The orders by ecosystem, without the release that may follow a colon."""
