"""Versions are ordered as by the programs of their ecosystems.

The interop tests compare generated versions with these programs.
"""

from __future__ import annotations

from itertools import combinations

import pytest

from bundler.bundle.audit.vulnerabilities.versions.orders import ECOSYSTEMS, find_order
from bundler.bundle.audit.vulnerabilities.versions.version_error import VersionError

SORTED = {
    "Debian": "0.9~~ 0.9~rc1 0.9 0.9-0+a 0.9-1 0.9a 0.9+b1 0.9.1 1.0~bpo1 1.0 1.0-1~deb12u1"
    " 1.0-1 1.0-1+deb12u1 1.0-1.1 1.0-10 9.9 10.0 1:0.1 2:0.1",
    "Alpine": "0.1 1.01 1.02 1.2_alpha 1.2_alpha2 1.2_beta 1.2_pre1 1.2_rc1 1.2 1.2-r1 1.2-r10"
    " 1.2_git20240101 1.2_p1 1.2a 1.2b 1.2.1 1.10 2",
    "Red Hat": "1.0~rc1-1 1.0-1 1.0^git1-1 1.0a-1 1.0.1-1.el9 1.0.1-2.el9 1.0.1-10.el9 1.0.10-1"
    " 10-1 1:0.1-1",
    "PyPI": "1.0.dev1 1.0a1 1.0b1 1.0rc1 1.0 1.0.post1 1.1 1.10 1!0.1",
    "npm": "1.0.0-0 1.0.0-alpha 1.0.0-alpha.1 1.0.0-alpha.beta 1.0.0-beta.2 1.0.0-beta.11"
    " 1.0.0-rc.1 1.0.0 1.0.1 1.10.0 2.0.0",
    "Go": "v0.0.0-20240101000000-abcdef123456 1.20 1.21rc2 1.21.0 v1.21.1 1.21.10",
    "Maven": "1-alpha 1-beta 1-milestone 1-rc1 1-snapshot 1 1-sp 1-jre 1-1 1.1-M1 1.1.Final 1.1.1"
    " 1.10 2",
    "RubyGems": "1.a 1.b 1 1.0.1 1.2.b1 1.2 1.10",
}


@pytest.mark.parametrize("ecosystem", SORTED)
def test_order(ecosystem: str) -> None:
    versions = SORTED[ecosystem].split()
    create_key = find_order(ecosystem)
    wrong = [
        (low, high)
        for low, high in combinations(versions, 2)
        if not create_key(low) < create_key(high)
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("ecosystem", "one", "other"),
    [
        ("Debian", "0:1.0", "1.0"),
        ("Debian", "1.0", "1.00"),
        ("Debian", "1.0a", "1.0a0"),
        ("Red Hat", "1.0.1-1", "0:1.0_1-1"),
        ("PyPI", "1.0", "1.0.0"),
        ("npm", "1.0.0+a", "1.0.0+b"),
        ("Go", "1.21", "v1.21.0"),
        ("Maven", "1.0.ga", "1"),
        ("RubyGems", "1.0", "1"),
    ],
)
def test_equal_versions(ecosystem: str, one: str, other: str) -> None:
    assert find_order(ecosystem)(one) == find_order(ecosystem)(other)


@pytest.mark.parametrize("ecosystem", ECOSYSTEMS)
@pytest.mark.parametrize("version", ["", " ", "1 2", "é", "1." * 5000, "9" * 10_000])
def test_version_that_is_not_valid(ecosystem: str, version: str) -> None:
    with pytest.raises(VersionError):
        find_order(ecosystem)(version)
