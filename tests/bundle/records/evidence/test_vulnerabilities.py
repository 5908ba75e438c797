"""The result of a check for vulnerabilities is kept, and found by the ID of a vulnerability."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from bundler.bundle.audit.images import open_images
from bundler.bundle.audit.location import Location
from bundler.bundle.audit.rules.reading.read_images import read_location
from bundler.bundle.audit.vulnerabilities.check import check_packages
from bundler.bundle.records import site
from bundler.bundle.records.evidence.answer import Answer, Query
from bundler.bundle.records.evidence.draft import EvidenceDraft
from bundler.bundle.records.evidence.package_query import PackageQuery
from bundler.bundle.records.evidence.search import search
from bundler.cancel import Cancellation
from bundler.config.settings import Settings
from bundler.events import discard
from bundler.ports import OpenOptions
from tests.bundle.audit.vulnerabilities.conftest import create_record
from tests.fakes import bundles, images, tars

if TYPE_CHECKING:
    from pathlib import Path

NOW = datetime(2026, 12, 1, tzinfo=UTC)
NAME = "docker.io/library/app:1"
RELEASE = tars.member("etc/os-release", b"ID=alpine\nVERSION_ID=3.19.1\n")
APK = tars.member("lib/apk/db/installed", b"P:libssl3\nV:3.1.0-r0\no:openssl\n\n")
RECORD = create_record(
    "ALPINE-CVE-2026-1234",
    "Alpine:v3.19",
    "openssl",
    ("introduced", "0"),
    ("fixed", "3.1.0-r1"),
    upstream=["CVE-2026-1234"],
)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "osv.json"
    path.write_text(json.dumps(RECORD))
    return path


def record(records: Path, bundle: Path, database: Path | None) -> None:
    """Record an audit of a bundle, with a check for vulnerabilities if there is a database."""
    with (
        open_images(Location((str(bundle),)), OpenOptions(Settings)) as opened,
        ThreadPoolExecutor(2) as executor,
    ):
        audited = read_location(opened, "contents", executor, Cancellation(), emit=discard, now=NOW)
        if database is not None:
            (image,) = audited.images
            (platform,) = image.platforms
            assert platform.contents is not None
            report = check_packages([platform.contents.packages], database, Cancellation())
            contents = replace(platform.contents, vulnerabilities=report.images[0])
            image = replace(image, platforms=(replace(platform, contents=contents),))
            audited = replace(audited, vulnerabilities=report, images=(image,))
        draft = EvidenceDraft(records)
        draft.add_location(audited)
        members = {"location": str(bundle), "evidence": draft.finish().text}
    site.append(records, "audit", NOW, members)


def find(records: Path, vulnerability: str, package: str | None = None) -> Answer:
    parsed = PackageQuery.parse(package) if package else None
    query = Query(vulnerability=vulnerability, package=parsed)
    return search(site.read(records), query, {})


@pytest.fixture
def records(tmp_path: Path) -> Path:
    path = tmp_path / "records"
    site.prepare(path)
    return path


def write(path: Path, *members: tuple[object, bytes]) -> Path:
    return bundles.write(path, {NAME: images.image(tars.layer(*members))})


@pytest.mark.parametrize("text", ["alpine-cve-2026-1234", "cve-2026-1234"])
def test_vulnerability_is_found_by_its_id_and_its_aliases(
    records: Path, tmp_path: Path, database: Path, text: str
):
    record(records, write(tmp_path / "b", RELEASE, APK), database)
    answer = find(records, text)
    (match,) = answer.matches
    assert (match.kind, match.platform) == ("vulnerability", "linux/amd64")
    assert match.text == "ALPINE-CVE-2026-1234: libssl3@3.1.0-r0, unknown"
    assert answer.gaps == []
    assert find(records, "cve-2026-123").matches == []
    assert [item.kind for item in find(records, text, "openssl").matches] == [
        "package",
        "vulnerability",
    ]


def test_image_that_was_not_checked_is_a_gap_until_another_entry_checks_it(
    records: Path, tmp_path: Path, database: Path
):
    bundle = write(tmp_path / "b", RELEASE, APK)
    record(records, bundle, None)
    answer = find(records, "cve-2026-1234")
    assert ([gap.code for gap in answer.gaps], answer.matches) == (["no-vulnerability-result"], [])
    record(records, bundle, database)
    answer = find(records, "cve-2026-1234")
    assert ([item.entry.value["number"] for item in answer.matches], answer.gaps) == ([1, 2], [])


def test_packages_that_were_not_compared_are_a_gap(records: Path, tmp_path: Path, database: Path):
    """The image states no distribution, so that no record applies to its packages."""
    record(records, write(tmp_path / "b", APK), database)
    answer = find(records, "cve-2026-1234")
    assert [gap.code for gap in answer.gaps] == ["vulnerability-result-incomplete"]
