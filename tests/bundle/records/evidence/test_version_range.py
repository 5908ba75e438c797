"""Ranges contain versions in the order of each package manager, and state what is not certain."""

from __future__ import annotations

import pytest

from bundler.bundle.records.evidence.version_range import VersionRange


@pytest.mark.parametrize(
    ("package_type", "version", "text", "contained"),
    [
        ("maven", "2.14.1", ">=2.0-beta9,<2.15.0", True),
        ("maven", "2.0-beta8", ">=2.0-beta9", False),
        ("maven", "2.15.0-rc1", "<2.15.0", True),
        ("deb", "1:1.0-1", "<2.0", False),
        ("deb", "2.0~rc1-1", "<2.0", True),
        ("rpm", "1.10-1", ">1.9-1", True),
        ("apk", "1.2.4-r10", ">1.2.4-r9", True),
        ("npm", "1.2.3-alpha", "<1.2.3", True),
        ("golang", "v1.10.0", ">v1.9.0", True),
        ("pypi", "1.0rc1", "<1.0", True),
        ("pypi", "1.0.0", "=1.0", True),
        ("gem", "1.10", ">1.9", True),
        ("cargo", "1.10.0", ">1.9.0", True),
        ("npm", "latest", "<1.2.3", None),
        ("pypi", "1.0", "<one", None),
        ("generic", "1.0", "<2.0", None),
        ("deb", "", ">1", None),
    ],
)
def test_order_is_that_of_the_package_manager(
    package_type: str, version: str, text: str, contained: bool | None
):
    assert VersionRange.parse(text).contains(package_type, version) is contained
