"""Entries of records are compared with packages, whatever types their members have."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, strategies

from bundler.bundle.audit.packages.package import Distribution
from bundler.bundle.audit.vulnerabilities.affected import compare
from bundler.bundle.audit.vulnerabilities.database.osv import RecordError
from bundler.bundle.audit.vulnerabilities.severity import read_severity
from bundler.bundle.audit.vulnerabilities.targets import find_target
from tests.bundle.audit.vulnerabilities.conftest import create_package

ALMA = Distribution("almalinux", "9.3", "AlmaLinux 9")
values = strategies.recursive(
    strategies.none() | strategies.integers() | strategies.text(max_size=4),
    lambda inner: (
        strategies.lists(inner, max_size=3)
        | strategies.dictionaries(
            strategies.sampled_from(["events", "type", "introduced", "fixed", "limit", "score"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(versions=values, ranges=values, severity=values, specific=values)
def test_members_of_any_type(versions, ranges, severity, specific) -> None:
    target = find_target(create_package("pypi", "django", "2.0"), None)
    entry = {"versions": versions, "ranges": ranges}
    with contextlib.suppress(RecordError):
        compare(target, entry)
    read_severity({"severity": severity, "database_specific": specific}, entry)


@pytest.mark.parametrize(
    ("version", "fixed", "affected", "is_certain"),
    [
        ("1:3.0.1-4.el9", "1:3.0.7-1.el9", True, True),
        ("1:3.0.7-2.el9", "1:3.0.7-1.el9", False, True),
        ("3.0.1-4.el9", "1:3.0.7-1.el9", True, True),
        ("1:3.0.1-4.el9", "3.0.7-1.el9", False, False),
        ("3.0.1-4.el9", "3.0.7-1.el9", True, True),
        ("16.1-1.module+el9+1", "18.1-1.module+el9+2", False, False),
    ],
)
def test_versions_of_rpm(version: str, fixed: str, affected: bool, is_certain: bool) -> None:
    """A version without the epoch that the package has, or of another module, is not certain."""
    target = find_target(create_package("rpm", "openssl", version), ALMA)
    events = [{"introduced": "0"}, {"fixed": fixed}]
    compared = compare(target, {"ranges": [{"type": "ECOSYSTEM", "events": events}]})
    assert (compared.is_affected, not compared.uncertain) == (affected, is_certain)


@pytest.mark.parametrize(
    ("package_type", "distribution", "release", "included", "excluded"),
    [
        ("deb", "debian", "12", "Debian:12", "Debian:11"),
        ("deb", "ubuntu", "22.04", "Ubuntu:22.04:LTS", "Ubuntu:22.10"),
        ("apk", "alpine", "3.19.1", "Alpine:v3.19", "Alpine:v3.1"),
        ("apk", "wolfi", "20230201", "Wolfi", "Alpine"),
        ("rpm", "rhel", "9.3", "Red Hat:enterprise_linux:9::baseos", "Red Hat:enterprise_linux:8"),
        ("rpm", "rocky", "8.9", "Rocky Linux:8", "Rocky Linux:9"),
        ("rpm", "almalinux", "9.3", "AlmaLinux:9", "AlmaLinux:8"),
        ("rpm", "sles", "15.5", "SUSE:Linux Enterprise Server 15 SP5-LTSS", "SUSE:Linux 15 SP4"),
        ("rpm", "opensuse-leap", "15.5", "openSUSE:Leap 15.5", "openSUSE:Leap 15.50"),
    ],
)
def test_ecosystem_of_a_distribution(
    package_type: str, distribution: str, release: str, included: str, excluded: str
) -> None:
    stated = Distribution(distribution, release, distribution)
    ecosystem = find_target(create_package(package_type, "bash", "1"), stated).ecosystem
    assert ecosystem.base == included.partition(":")[0]
    assert ecosystem.includes(included)
    assert not ecosystem.includes(excluded)


@pytest.mark.parametrize(
    ("vectors", "level", "score"),
    [
        (["CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"], "critical", 9.8),
        (["CVSS:3.0/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"], "low", 1.8),
        (["CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N"], "critical", 9.3),
        (
            [
                "CVSS:3.1/AV:L/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N",
                "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
            ],
            "critical",
            9.8,
        ),
        (["CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N"], "none", 0.0),
        (["CVSS:3.1/AV:X"], "unknown", None),
        (["CVSS:3.1/" + "AV:N/" * 60], "unknown", None),
        (["medium"], "medium", None),
        ([], "unknown", None),
    ],
    ids=range(9),
)
def test_severity(vectors: list[str], level: str, score: float | None) -> None:
    found = read_severity({"severity": [{"type": "T", "score": item} for item in vectors]}, {})
    assert (found.level, found.score) == (level, score)


def test_word_of_debian_is_used_without_a_vector() -> None:
    assert read_severity({}, {"ecosystem_specific": {"urgency": "high"}}).level == "high"
    assert read_severity({}, {"ecosystem_specific": {"urgency": "unimportant"}}).level == "none"
    assert read_severity({}, {"ecosystem_specific": {"urgency": "end-of-life"}}).level == "unknown"
