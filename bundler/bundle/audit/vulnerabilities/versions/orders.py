"""The order of versions of each type of package, and of each ecosystem of OSV."""

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
    "apk": apk.create_key,
    "cargo": semantic.create_key,
    "deb": dpkg.create_key,
    "gem": gem.create_key,
    "golang": semantic.create_go_key,
    "maven": maven.create_key,
    "npm": semantic.create_key,
    "pypi": create_python_key,
    "rpm": rpm.create_key,
}
"""The orders by type of package."""

ECOSYSTEMS = {
    "Debian": "deb",
    "Ubuntu": "deb",
    "Alpine": "apk",
    "Wolfi": "apk",
    "Chainguard": "apk",
    "Red Hat": "rpm",
    "Rocky Linux": "rpm",
    "AlmaLinux": "rpm",
    "SUSE": "rpm",
    "openSUSE": "rpm",
    "PyPI": "pypi",
    "npm": "npm",
    "Go": "golang",
    "crates.io": "cargo",
    "Maven": "maven",
    "RubyGems": "gem",
}
"""The types of packages by ecosystem of OSV, without the release that may follow a colon."""


def find_order(ecosystem: str) -> CreateKey:
    """Return the order of an ecosystem of ``ECOSYSTEMS``."""
    return ORDERS[ECOSYSTEMS[ecosystem]]
