"""``airbundle vulns``."""

from __future__ import annotations

import gzip
import json
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest

from tests.bundle.audit.vulnerabilities.conftest import create_record
from tests.fakes import bundles, images, tars

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

APK = b"P:libssl3\nV:3.1.0-r0\no:openssl\n\n"
LAYER = tars.layer(
    tars.member("lib/apk/db/installed", APK),
    tars.member("etc/os-release", b"ID=alpine\nVERSION_ID=3.19.1\n"),
)
VECTOR = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
RECORD = create_record(
    "ALPINE-CVE-2026-1234",
    "Alpine:v3.19",
    "openssl",
    ("introduced", "0"),
    ("fixed", "3.1.0-r1"),
    upstream=["CVE-2026-1234"],
    summary="Overflow \x1b[2Jin\nTLS",
    severity=[{"type": "CVSS_V3", "score": VECTOR}],
)


@pytest.fixture(autouse=True)
def _files(tmp_path: Path) -> None:
    named = {bundles.REFERENCES[0]: images.image(LAYER), bundles.REFERENCES[1]: images.image()}
    bundles.write(tmp_path / "b", named)
    (tmp_path / "osv").mkdir()
    (tmp_path / "osv" / "one.json").write_text(json.dumps(RECORD))


def test_vulnerabilities_are_listed(run_airbundle: RunAirbundle):
    result = run_airbundle("vulns", "b", "nginx:1.27", "--database", "osv")
    assert result.status == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("database osv: 1 record, last changed 2026-11-01, sha256:")
    assert "Alpine:v3.19: 1 package checked" in lines[3]
    assert lines[-1].split(maxsplit=6) == [
        "critical",
        "9.8",
        "CVE-2026-1234",
        "libssl3",
        "3.1.0-r0",
        "3.1.0-r1",
        r"Overflow \x1b[2Jin TLS",
    ]


def test_json_states_place_and_coverage(run_airbundle: RunAirbundle, tmp_path: Path):
    result = run_airbundle("vulns", "b", "--database", "osv", "--json")
    one, other = json.loads(result.stdout)["images"]
    (found,) = one["vulnerabilities"]
    assert found["layer"] == LAYER.blob.digest
    assert found["path"] == "lib/apk/db/installed"
    assert found["fixed"] == ["3.1.0-r1"]
    assert one["coverage"][0] | {"records": 1} == {
        "ecosystem": "Alpine:v3.19",
        "checked": 1,
        "unchecked": 0,
        "records": 1,
        "modified": "2026-11-01T00:00:00Z",
    }
    assert other["vulnerabilities"] == []
    assert (one["complete"], other["complete"]) == (True, False)


@pytest.mark.parametrize(
    ("severity", "status"), [("low", 12), ("medium", 12), ("high", 12), ("critical", 0)]
)
def test_fail_on_severity(run_airbundle: RunAirbundle, tmp_path: Path, severity, status):
    lower = [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N"}]
    (tmp_path / "osv" / "one.json").write_text(json.dumps(RECORD | {"severity": lower}))
    result = run_airbundle("vulns", "b", "nginx:1.27", "--database", "osv", "--fail-on", severity)
    assert result.status == status


def test_fail_on_unknown_severity(run_airbundle: RunAirbundle, tmp_path: Path):
    (tmp_path / "osv" / "one.json").write_text(json.dumps(RECORD | {"severity": []}))
    result = run_airbundle("vulns", "b", "--database", "osv", "--fail-on", "critical")
    assert result.status == 12


def test_image_without_packages_is_not_checked(run_airbundle: RunAirbundle):
    arguments = ("vulns", "b", "app:v2.1", "--database", "osv")
    result = run_airbundle(*arguments)
    assert result.status == 0
    assert "NOT CHECKED: no packages were found" in result.stdout
    assert run_airbundle(*arguments, "--fail-on", "critical").status == 12


def test_fail_on_packages_that_are_not_checked(run_airbundle: RunAirbundle, tmp_path: Path):
    (tmp_path / "osv" / "one.json").write_text(json.dumps(RECORD | {"affected": []}))
    arguments = ("vulns", "b", "--database", "osv")
    result = run_airbundle(*arguments)
    assert result.status == 0
    assert "Alpine:v3.19: 1 NOT CHECKED: the database has no records" in result.stdout
    assert run_airbundle(*arguments, "--fail-on", "critical").status == 12


def test_record_that_cannot_be_read_does_not_hide_others(
    run_airbundle: RunAirbundle, tmp_path: Path
):
    (tmp_path / "osv" / "bad.json").write_text("{")
    result = run_airbundle("vulns", "b", "nginx:1.27", "--database", "osv")
    assert result.status == 12
    assert "CVE-2026-1234" in result.stdout
    assert "osv/bad.json" in result.stderr
    assert "record-malformed" in result.stderr


def test_exploits_are_marked(run_airbundle: RunAirbundle, tmp_path: Path):
    item = {"cveID": "CVE-2026-1234", "dateAdded": "2026-10-01"}
    (tmp_path / "kev.json").write_text(json.dumps({"vulnerabilities": [item]}))
    scores = b"#model_version:v1,score_date:2026-11-01T00:00:00Z\ncve,epss,percentile\n"
    scores += b"CVE-2026-1,0.1,0.2\nCVE-2026-1234,0.875,0.99\n"
    (tmp_path / "epss.csv.gz").write_bytes(gzip.compress(scores))
    arguments = ("vulns", "b", "nginx:1.27", "--database", "osv")
    arguments += ("--kev", "kev.json", "--epss", "epss.csv.gz")
    assert " KNOWN 87.5% " in run_airbundle(*arguments).stdout
    document = json.loads(run_airbundle(*arguments, "--json").stdout)
    (found,) = document["images"][0]["vulnerabilities"]
    assert found["exploited"]["added"] == "2026-10-01"
    assert found["probability"] == 0.875
    assert document["epss"]["released"] == "2026-11-01"


def test_database_is_required(run_airbundle: RunAirbundle):
    assert run_airbundle("vulns", "b").status == 2
    result = run_airbundle("vulns", "oci:absent", "--database", "missing")
    assert result.status == 9
    assert "missing" in result.stderr


def test_claims_are_shown_and_change_nothing(run_airbundle: RunAirbundle, tmp_path: Path):
    image = images.image(LAYER)
    statement = {"vulnerability": {"name": "CVE-2026-1234"}, "status": "not_affected"}
    vex = {"@context": "https://openvex.dev/ns/v0.2.0", "statements": [statement]}
    kind = "application/vnd.openvex+json"
    data = json.dumps(vex).encode()
    attached = images.artifact(kind, data, media_type=kind, subject=image)
    images.write_layout(tmp_path / "layout", {"a": image, "vex": attached})
    arguments = ("vulns", "oci:layout:a", "--database", "osv")
    result = run_airbundle(*arguments, "--claims", "--fail-on", "high")
    assert result.status == 12
    assert " not_affected " in result.stdout
    assert "not_affected" not in run_airbundle(*arguments).stdout
    document = json.loads(run_airbundle(*arguments, "--claims", "--json").stdout)
    (found,) = document["images"][0]["vulnerabilities"]
    assert found["claims"][0] == {
        "status": "not_affected",
        "justification": "",
        "document": f"sha256:{sha256(data).hexdigest()}",
    }


def test_records_and_files_that_cannot_be_read_are_stated(
    run_airbundle: RunAirbundle, tmp_path: Path
):
    broken = tars.layer(tars.member("var/lib/dpkg/status", b"\xff"))
    images.write_layout(tmp_path / "layout", {"a": images.image(LAYER, broken)})
    (tmp_path / "osv" / "two.json").write_text("{}")
    result = run_airbundle("vulns", "oci:layout:a", "--database", "osv")
    assert result.status == 12
    for text in ("osv/two.json: id is missing", "var/lib/dpkg/status: "):
        (line,) = [line for line in result.stdout.splitlines() if text in line]
        assert "NOT READ" in line
    packages = run_airbundle("packages", "oci:layout:a")
    assert "NOT READ, packages may be missing: var/lib/dpkg/status" in packages.stdout
    listed = json.loads(run_airbundle("packages", "oci:layout:a", "--json").stdout)
    assert listed["images"][0]["complete"] is False
