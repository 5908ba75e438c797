"""``airbundle audit --report``."""

from __future__ import annotations

import json
from importlib import resources
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from bundler.trust import keys
from tests.bundle.audit.vulnerabilities.conftest import create_record
from tests.fakes import bundles, images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "gate.yaml").write_text("rules: {not-root: error}")
    return bundles.write(tmp_path / "b")


def load_strict_schema() -> dict[str, Any]:
    """Load the schema, so that it also refuses members that it does not describe."""
    text = (resources.files("bundler") / "schemas" / "audit-report.schema.json").read_text()

    def close(value: Any) -> Any:
        if isinstance(value, list):
            return [close(item) for item in value]
        if not isinstance(value, dict):
            return value
        closed = {key: close(item) for key, item in value.items()}
        if isinstance(value.get("properties"), dict) and "type" in value:
            closed["additionalProperties"] = False
        return closed

    return close(json.loads(text))


def read_report(path: Path) -> dict[str, Any]:
    value = json.loads(path.read_text())
    jsonschema.Draft202012Validator(load_strict_schema()).validate(value)
    return value


def test_reports_are_written_beside_the_findings(
    run_airbundle: RunAirbundle, bundle: Path, tmp_path: Path
):
    result = run_airbundle(
        "audit", bundle, "--rules", "gate.yaml", "--report", "r.html", "--report", "r.json"
    )
    assert result.status == 12
    assert "not-root" in result.stdout
    assert "Does not pass" in (tmp_path / "r.html").read_text()
    report = read_report(tmp_path / "r.json")
    assert (report["conclusion"], report["passed"], len(report["findings"])) == ("fails", False, 3)
    assert [image["name"] for image in report["images"]] == list(bundles.REFERENCES)


def test_report_needs_no_rules(run_airbundle: RunAirbundle, bundle: Path, tmp_path: Path):
    result = run_airbundle("audit", bundle, "--report", "r.json", "--since", bundle)
    assert (result.status, result.stdout) == (0, "2 images, no rules\n")
    report = read_report(tmp_path / "r.json")
    assert (report["conclusion"], report["since"]["unchanged"]) == ("no-rules", 2)


def test_report_identifies_the_bundle(run_airbundle: RunAirbundle, tmp_path: Path):
    (tmp_path / "gate.yaml").write_text("rules: {bundle-authenticated: error}")
    key = keys.generate_key()
    (tmp_path / "signer.pub").write_bytes(key.public.to_pem())
    bundle = bundles.write(tmp_path / "b", keys=(key,))
    arguments = ("audit", bundle, "--rules", "gate.yaml", "--report", "r.json")
    assert run_airbundle(*arguments, "--key", "signer.pub").status == 0
    report = read_report(tmp_path / "r.json")
    assert (report["conclusion"], report["authenticated"]) == ("passes", True)
    assert report["bundle"]["signers"] == [{"key": key.public.id}]
    raw = (bundle / "bundle.json").read_bytes()
    assert report["bundle"]["inventory"] == {"digest": images.sha256(raw), "size": len(raw)}


def test_report_states_known_vulnerabilities(run_airbundle: RunAirbundle, tmp_path: Path):
    """A vulnerability that two images have is one row; packages that were not checked are gaps."""
    package = {"name": "left-pad", "version": "1.3.0"}
    shared = images.layer(
        {
            "srv/node_modules/left-pad/package.json": json.dumps(package).encode(),
            "usr/lib/python3/site-packages/x-1.dist-info/METADATA": b"Name: x\nVersion: 1\n",
        }
    )
    own = (images.layer({"own": name.encode()}) for name in ("a", "b"))
    named = {f"docker.io/library/app:{n}": images.image(shared, one) for n, one in enumerate(own)}
    bundles.write(tmp_path / "b", named)
    record = create_record(
        "GHSA-1", "npm", "left-pad", ("introduced", "0"), ("fixed", "1.4.0"), summary="<b>pads</b>"
    )
    (tmp_path / "osv.json").write_text(json.dumps(record | {"aliases": ["CVE-2026-1"]}))
    arguments = ("audit", "b", "--report", "r.json", "--report", "r.html")
    assert run_airbundle(*arguments, "--database", "osv.json").status == 0
    report = read_report(tmp_path / "r.json")
    found = [item["vulnerabilities"] for item in report["vulnerabilities"]["images"]]
    assert [[item["id"] for item in items] for items in found] == [["GHSA-1"], ["GHSA-1"]]
    assert any("PyPI" in gap["problem"] for gap in report["gaps"])
    page = (tmp_path / "r.html").read_text()
    assert page.count(">CVE-2026-1</td>") == 1
    assert report["vulnerabilities"]["database"]["digest"] in page
    assert "No check for known vulnerabilities was made." not in page
    assert run_airbundle(*arguments).status == 0
    assert "No check for known vulnerabilities was made." in (tmp_path / "r.html").read_text()
    assert "vulnerabilities" not in read_report(tmp_path / "r.json")


def test_report_states_dates_of_the_lists_and_records_that_cannot_be_read(
    run_airbundle: RunAirbundle, bundle: Path, tmp_path: Path
):
    (tmp_path / "osv").mkdir()
    record = create_record("GHSA-1", "npm", "left-pad", ("introduced", "0"))
    (tmp_path / "osv/good.json").write_text(json.dumps(record))
    (tmp_path / "osv/bad.json").write_text("<html>")
    kev = {"dateReleased": "2026-11-02T00:00:00Z", "vulnerabilities": [{"cveID": "CVE-2026-1234"}]}
    (tmp_path / "kev.json").write_text(json.dumps(kev))
    header = "#model_version:v4,score_date:2026-11-03T00:00:00Z\ncve,epss,percentile\n"
    (tmp_path / "epss.csv").write_text(f"{header}CVE-2026-1234,0.5,0.9\n")
    files = ("--database", "osv", "--kev", "kev.json", "--epss", "epss.csv")

    result = run_airbundle("audit", bundle, *files, "--report", "r.json", "--report", "r.html")

    assert result.status == 0
    report = read_report(tmp_path / "r.json")
    released = {name: report["vulnerabilities"][name]["released"] for name in ("kev", "epss")}
    assert released == {"kev": "2026-11-02", "epss": "2026-11-03"}
    problems = [gap["problem"] for gap in report["gaps"]]
    assert [text for text in problems if "bad.json" in text and "record-malformed" in text]
    page = (tmp_path / "r.html").read_text()
    assert "kev.json, released 2026-11-02" in page
    assert "epss.csv, released 2026-11-03" in page
    assert "record of the database of vulnerabilities" in page


@pytest.mark.parametrize(
    ("options", "status"),
    [
        (("--rules", "wrong.yaml"), 2),
        (("--rules", "missing.yaml"), 9),
        (("--rules", "gate.yaml", "--waivers", "wrong.yaml"), 2),
        (("--rules", "gate.yaml", "--since", "missing"), 9),
    ],
)
def test_former_report_does_not_survive_wrong_files(
    run_airbundle: RunAirbundle, bundle: Path, tmp_path: Path, options: tuple[str, ...], status: int
):
    (tmp_path / "wrong.yaml").write_text("rules: {not-rot: error}")
    (tmp_path / "r.json").write_text('"passes"')
    result = run_airbundle("audit", bundle, *options, "--report", "r.json")
    assert result.status == status
    assert '"passes"' not in (tmp_path / "r.json").read_text()
    assert "not-verified" in (tmp_path / "r.json").read_text()


@pytest.mark.parametrize("form", ["html", "json"])
def test_former_report_does_not_survive_an_error(
    run_airbundle: RunAirbundle, bundle: Path, tmp_path: Path, form: str
):
    report = tmp_path / f"r.{form}"
    report.write_text("passes")
    bundles.find_largest_blob(bundle).write_bytes(b"damaged")
    result = run_airbundle("audit", bundle, "--rules", "gate.yaml", "--report", report)
    assert result.status == 3
    assert ("Not verified" if form == "html" else "not-verified") in report.read_text()
    assert "The audit ended with an error" in report.read_text()
    assert "\\n" not in report.read_text().partition("<script")[0]
    if form == "json":
        assert "images" not in read_report(report)


def test_images_without_a_bundle_are_reported(run_airbundle: RunAirbundle, tmp_path: Path):
    chart = images.artifact("application/vnd.cncf.helm.config.v1+json", b"chart")
    images.write_layout(tmp_path / "layout", {"app": images.image(), "chart": chart})
    result = run_airbundle("audit", "oci:layout", "--report", "r.json", "--report", "r.html")
    assert result.status == 0
    report = read_report(tmp_path / "r.json")
    assert "bundle" not in report
    assert [image["size"] > 0 for image in report["images"]] == [True, True]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--report", "r.pdf"),
        ("--report", "r.html", "--json"),
        ("--report", "r.html", "--format", "sarif"),
        ("--records", "site", "--since", "b"),
        ("--report", "r.html", "--waivers", "w.yaml"),
        ("--since", "b"),
        (),
    ],
)
def test_options_that_do_not_fit_are_refused(
    run_airbundle: RunAirbundle, bundle: Path, tmp_path: Path, arguments: tuple[str, ...]
):
    assert run_airbundle("audit", bundle, *arguments).status == 2
    report = tmp_path / "r.html"
    assert not report.exists() or "Not verified" in report.read_text()
