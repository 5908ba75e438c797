"""Packages are compared with the records of a database."""

from __future__ import annotations

import pytest

from bundler.bundle.audit.packages.claims.claims import Claim
from bundler.bundle.audit.packages.claims.documents import Document
from bundler.bundle.audit.packages.claims.vex import VexStatement
from bundler.bundle.audit.packages.package import Distribution
from bundler.bundle.audit.vulnerabilities.claims import MAX_CLAIMS
from bundler.errors import UnexpectedFileError
from bundler.oci.digest import Digest
from tests.bundle.audit.vulnerabilities.conftest import create_package, create_record

DEBIAN = Distribution("debian", "12", "Debian 12")
FROM_START = ("introduced", "0")


def find_ids(report) -> list[str]:
    return [item.id for item in report.images[0].vulnerabilities]


def test_source_package_of_debian_is_searched(check) -> None:
    package = create_package(
        "deb", "libssl3", "3.0.11+b1", source_name="openssl", source_version="3.0.11"
    )
    report = check(
        [package],
        create_record("A-1", "Debian:12", "openssl", FROM_START, ("fixed", "3.0.13")),
        create_record("A-2", "Debian:12", "openssl", FROM_START, ("fixed", "3.0.11")),
        create_record("A-3", "Debian:11", "openssl", FROM_START, ("fixed", "3.0.13")),
        create_record("A-4", "Debian:12", "libssl3", FROM_START, ("fixed", "3.0.13")),
        distribution=DEBIAN,
    )
    assert find_ids(report) == ["A-1"]
    assert report.images[0].vulnerabilities[0].fixed == ("3.0.13",)
    assert report.images[0].is_complete


@pytest.mark.parametrize(
    ("events", "affected"),
    [
        ([FROM_START], True),
        ([("introduced", "2.0")], True),
        ([("introduced", "2.0.1")], False),
        ([FROM_START, ("fixed", "2.0")], False),
        ([FROM_START, ("fixed", "2.1")], True),
        ([FROM_START, ("last_affected", "2.0")], True),
        ([FROM_START, ("last_affected", "1.9")], False),
        ([FROM_START, ("fixed", "1.0"), ("introduced", "1.5"), ("fixed", "3.0")], True),
        ([("fixed", "3.0"), ("introduced", "1.5"), ("fixed", "1.0"), FROM_START], True),
        ([FROM_START, ("fixed", "1.0"), ("introduced", "2.5"), ("fixed", "3.0")], False),
        ([FROM_START, ("limit", "2.0")], False),
        ([FROM_START, ("limit", "1.0"), ("limit", "2.1")], True),
        ([FROM_START, ("limit", "*")], True),
    ],
)
def test_events_of_a_range(check, events, affected) -> None:
    package = create_package("pypi", "django", "2.0")
    report = check([package], create_record("A-1", "PyPI", "Django", *events))
    assert find_ids(report) == (["A-1"] if affected else [])


def test_listed_versions_count_in_any_spelling(check) -> None:
    record = create_record("A-1", "PyPI", "Django", entry={"ranges": [], "versions": ["1", "2"]})
    assert find_ids(check([create_package("pypi", "django", "2.0")], record)) == ["A-1"]
    assert find_ids(check([create_package("pypi", "django", "2.1")], record)) == []


def test_withdrawn_record_counts_only_as_withdrawn(check) -> None:
    record = create_record("A-1", "npm", "left-pad", FROM_START, withdrawn="2026-01-01T00:00:00Z")
    report = check([create_package("npm", "left-pad", "1.0.0")], record)
    assert find_ids(report) == []
    assert (report.database.records, report.database.withdrawn) == (0, 1)


def test_records_with_the_same_alias_are_one_vulnerability(check) -> None:
    vector = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
    report = check(
        [create_package("pypi", "django", "2.0")],
        create_record("PYSEC-1", "PyPI", "django", FROM_START, aliases=["CVE-2026-1234"]),
        create_record(
            "GHSA-1",
            "PyPI",
            "Django",
            FROM_START,
            ("fixed", "3.0"),
            aliases=["CVE-2026-1234", "PYSEC-1"],
            severity=[{"type": "CVSS_V3", "score": vector}],
        ),
    )
    (item,) = report.images[0].vulnerabilities
    assert set(item.ids) == {"GHSA-1", "PYSEC-1", "CVE-2026-1234"}
    assert (item.severity.level, item.severity.score) == ("critical", 9.8)
    assert item.fixed == ("3.0",)


def test_ecosystem_without_records_is_not_checked(check) -> None:
    report = check(
        [create_package("deb", "zlib1g", "1.2")],
        create_record("A-1", "Debian:11", "zlib1g", FROM_START),
        distribution=DEBIAN,
    )
    (coverage,) = report.images[0].coverage
    assert (coverage.ecosystem, coverage.checked, coverage.unchecked) == ("Debian:12", 0, 1)
    assert not report.images[0].is_complete


@pytest.mark.parametrize(
    "distribution",
    [None, Distribution("fedora", "41", "Fedora"), Distribution("debian", "", "Debian testing")],
)
def test_distribution_without_records_is_not_checked(check, distribution) -> None:
    record = create_record("A-1", "Debian", "bash", FROM_START)
    report = check([create_package("deb", "bash", "5")], record, distribution=distribution)
    assert find_ids(report) == []
    assert [item.unchecked for item in report.images[0].coverage] == [1]


@pytest.mark.parametrize(
    ("version", "events"),
    [
        ("2004d", [FROM_START, ("fixed", "3.0")]),
        ("2.0", [FROM_START, ("fixed", "next release")]),
    ],
)
def test_version_without_a_place_in_the_order_is_not_checked(check, version, events) -> None:
    report = check(
        [create_package("pypi", "pytz", version)], create_record("A-1", "PyPI", "pytz", *events)
    )
    assert find_ids(report) == []
    assert [item.id for item in report.images[0].unchecked] == ["A-1"]
    assert not report.images[0].is_complete


def test_claims_about_one_vulnerability_are_bounded(check) -> None:
    """The sender determines how many there are."""
    statements = tuple(
        VexStatement(("CVE-2026-1",), "not_affected", f"reason {number}", ())
        for number in range(2 * MAX_CLAIMS)
    )
    document = Document("openvex", None, None, statements)
    claim = Claim(Digest.of(b"vex"), "application/json", document, "", True, (), ())
    report = check(
        [create_package("pypi", "a", "1.0")],
        create_record("CVE-2026-1", "PyPI", "a", FROM_START),
        claims=(claim,),
    )
    (found,) = report.images[0].vulnerabilities
    assert [item.justification for item in (claim.statement for claim in found.claims)] == [
        f"reason {number}" for number in range(MAX_CLAIMS)
    ]


@pytest.mark.parametrize("records", [(), ({"name": "not a record"},)], ids=["none", "other"])
def test_database_without_records_is_refused(check, records) -> None:
    """Nothing is compared with a directory in which there is nothing to compare with."""
    with pytest.raises(UnexpectedFileError):
        check([create_package("pypi", "six", "1.0")], *records)
