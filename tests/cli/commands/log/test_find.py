"""``airbundle log find``: which import brought something in, long after its medium is gone."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from bundler.bundle.records.site import append
from tests.bundle.records.evidence.test_vulnerabilities import RECORD
from tests.cli.commands.log.test_evidence import APK, NAME, claimed_image, read_object
from tests.cli.commands.records.test_records import KEY, SERIAL, Site
from tests.fakes import bundles, images, tars

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import CommandResult, RunAirbundle

JAR = tars.layer(
    tars.member(
        "lib/apk/db/installed",
        b"P:libssl3\nV:3.1.4-r5\no:openssl\nA:x86_64\n\nP:Mixed\nV:1\n",
    )
)
OTHER = "registry.corp:5000/infra/web:2"


@pytest.fixture
def site(tmp_path: Path, run_airbundle: RunAirbundle) -> Site:
    """A site that imported a bundle with packages, whose medium is gone."""
    site = Site(tmp_path, run_airbundle)
    named = {NAME: claimed_image(), OTHER: images.image(JAR)}
    bundles.write(tmp_path / "bundle", named, keys=(KEY,), serial=SERIAL)
    assert site.import_("bundle", "--keep-packages").status == 0
    shutil.rmtree(tmp_path / "inside")
    return site


def find(site: Site, *options: str) -> tuple[int, dict[str, Any]]:
    result = site.run("log", "find", "--json", *options)
    return result.status, json.loads(result.stdout) if result.stdout else {}


def list_texts(answer: dict[str, Any]) -> list[str]:
    return [match.get("text", "") for match in answer["matches"]]


@pytest.mark.parametrize(
    ("package", "text"),
    [
        ("musl", "musl@1.2.4-r2 (apk, lib/apk/db/installed)"),
        ("MUSL@1.2*", "musl@1.2.4-r2 (apk, lib/apk/db/installed)"),
        ("m?s[kl]@1.2.4-r2", "musl@1.2.4-r2 (apk, lib/apk/db/installed)"),
        ("mixed", "Mixed@1 (apk, lib/apk/db/installed)"),
        ("openssl@3.1.*", "libssl3@3.1.4-r5 (apk, lib/apk/db/installed) of openssl"),
        ("musl@>=1.2.4-r0,<1.2.4-r10", "musl@1.2.4-r2 (apk, lib/apk/db/installed)"),
        ("openssl@=3.1.4-r5", "libssl3@3.1.4-r5 (apk, lib/apk/db/installed) of openssl"),
        (
            "mixed@>!",
            "Mixed@1 (apk, lib/apk/db/installed), whose version cannot be compared",
        ),
        ("libssl*", "libssl3@3.1.4-r5 (apk, lib/apk/db/installed)"),
    ],
)
def test_package_is_found_by_name_and_version(site: Site, package: str, text: str):
    shutil.rmtree(site.path / "bundle")
    status, answer = find(site, "--package", package)
    (match,) = answer["matches"]
    assert (status, match["text"], match["number"], match["event"]) == (0, text, 1, "import")
    assert (match["stream"], match["serial"], match["action"]) == ("plant-7", SERIAL, "new")
    assert match["platform"] == "linux/amd64"
    assert match["target"] == "oci:inside"
    assert answer["gaps"] == []


@pytest.mark.parametrize(
    "package", ["musl@1.3*", "musl@>1.2.4-r2", "musl@<1.2.4-r2", "mus", "usl", "", "alpine"]
)
def test_other_packages_are_not_found(site: Site, package: str):
    assert find(site, "--package", package or "nothing")[0] == 9


def test_package_of_an_sbom_is_marked_as_claimed(site: Site):
    status, answer = find(site, "--package", "busybox")
    (match,) = answer["matches"]
    assert (status, match["claimed"]) == (0, True)
    assert "claimed by the sender" in site.run("log", "find", "--package", "busybox").stdout


def test_import_without_packages_is_a_gap_until_an_audit_reads_them(site: Site):
    fresh = images.image(images.layer({"a": b"b"}), APK)
    bundles.write(site.path / "next", {NAME: fresh}, keys=(KEY,), serial=SERIAL + 1)
    assert site.import_("next", "--existing", "overwrite").status == 0
    status, answer = find(site, "--package", "absent")
    assert (status, answer["matches"]) == (11, [])
    (gap,) = answer["gaps"]
    assert (gap["code"], gap["number"], gap["images"]) == ("no-package-list", 2, [NAME])
    assert find(site, "--package", "musl")[0] == 11
    shown = site.run("log", "find", "--package", "musl")
    assert (shown.stdout.count("musl@"), "[no-package-list]" in shown.stderr) == (1, True)
    assert "audit the bundle again with --records" in shown.stderr
    (site.path / "rules.yaml").write_text("rules: {not-root: note}")
    audit = ("audit", "next", "--rules", "rules.yaml", "--records", site.records)
    assert site.run(*audit).status == 0
    status, answer = find(site, "--package", "musl")
    assert (status, answer["gaps"]) == (0, [])
    found = [(match["number"], match["event"]) for match in answer["matches"]]
    assert found == [(1, "import"), (2, "import"), (3, "audit")]
    assert find(site, "--package", "absent")[0] == 9


def test_file_that_cannot_be_read_is_a_gap(site: Site):
    layer = tars.layer(tars.member("lib/apk/db/installed", b"P:a\nV\n\xff" * 10))
    bundles.write(site.path / "bad", {NAME: images.image(layer)}, keys=(KEY,), serial=SERIAL + 1)
    options = ("--keep-packages", "--existing", "overwrite")
    assert site.import_("bad", *options).status == 0
    status, answer = find(site, "--package", "absent")
    assert (status, [gap["code"] for gap in answer["gaps"]]) == (11, ["package-list-incomplete"])


def test_content_is_found_by_digest(site: Site):
    (layer,) = (blob for blob in images.image(JAR).blobs[1:])
    status, answer = find(site, "--digest", layer.digest)
    assert (status, list_texts(answer)) == (0, [f"layer {layer.digest}"])
    assert find(site, "--digest", layer.digest[7:19])[1] == answer
    inventory = site.read_log()[0]["inventory"]
    found = find(site, "--digest", inventory)[1]["matches"]
    assert [match["reference"] for match in found] == [NAME, OTHER]
    assert find(site, "--digest", "ab" * 32)[0] == 9
    assert find(site, "--digest", "sha256:abc")[0] == 2


def test_image_is_found_by_reference_and_by_target_name(site: Site):
    for pattern in ("infra/web", "^oci:inside:infra/web:2$"):
        status, answer = find(site, "--image", pattern)
        (match,) = answer["matches"]
        assert (status, match["reference"], match["kind"]) == (0, OTHER, "image")
    status, answer = find(site, "--image", "infra", "--package", "musl")
    assert (status, answer["matches"]) == (9, [])
    assert find(site, "--image", "(")[0] == 2


def test_import_is_found_by_its_signer_and_its_operator(site: Site):
    for person in (
        KEY.public.id[:8],
        KEY.public.id.upper(),
        site.read_log()[0]["operator"]["user"],
    ):
        status, answer = find(site, "--person", person)
        (match,) = answer["matches"]
        assert (status, match["kind"], match["signedBy"]) == (0, "entry", [KEY.public.id])
    for person in ("nobody else", KEY.public.id[:7], "ab" * 32):
        assert find(site, "--person", person)[0] == 9


def test_period_is_whole_days_in_utc(site: Site):
    today = datetime.now(UTC).date()
    before, after = (f"{today + timedelta(days=days)}" for days in (-1, 1))
    assert len(find(site, "--since", f"{today}", "--until", f"{today}")[1]["matches"]) == 1
    for period in (("--since", after), ("--until", before)):
        assert find(site, *period)[0] == 9
        assert json.loads(site.run("log", "show", "--json", *period).stdout) == {"entries": []}
    assert find(site, "--since", "yesterday")[0] == 2


@pytest.mark.parametrize("text", [">", ">=1,", "=1 2", ">1,2"])
def test_malformed_range_is_refused(site: Site, text: str):
    assert find(site, "--package", f"musl@{text}")[0] == 2


def test_condition_is_needed(site: Site):
    assert find(site)[0] == 2


def test_refused_bundle_is_found_and_is_no_gap(site: Site):
    (site.path / "rules.yaml").write_text("rules: {not-root: error}")
    assert site.import_("bundle", "--rules", "rules.yaml").status == 12
    status, answer = find(site, "--image", "infra")
    assert (status, [match["event"] for match in answer["matches"]]) == (0, ["import", "refused"])
    assert find(site, "--package", "absent")[0] == 9


@pytest.mark.parametrize("event", ["audit", "import"])
def test_vulnerability_is_found_if_a_database_was_given(site: Site, event: str):
    layer = tars.layer(
        tars.member("etc/os-release", b"ID=alpine\nVERSION_ID=3.19.1\n"),
        tars.member("lib/apk/db/installed", b"P:libssl3\nV:3.1.0-r0\no:openssl\n\n"),
    )
    bundles.write(site.path / "ssl", {NAME: images.image(layer)}, keys=(KEY,), serial=SERIAL + 1)
    (site.path / "rules.yaml").write_text("rules: {not-root: note}")
    (site.path / "osv.json").write_text(json.dumps(RECORD))
    options = ("--rules", "rules.yaml", "--database", "osv.json")
    if event == "audit":
        assert site.run("audit", "ssl", *options, "--records", site.records).status == 0
    else:
        options = (*options, "--keep-packages", "--existing", "overwrite")
        assert site.import_("ssl", *options).status == 0
    status, answer = find(site, "--vulnerability", "CVE-2026-1234")
    (match,) = answer["matches"]
    assert (match["event"], match["kind"]) == (event, "vulnerability")
    assert match["text"].startswith("ALPINE-CVE-2026-1234: libssl3@3.1.0-r0")
    assert (status, {gap["code"] for gap in answer["gaps"]}) == (11, {"no-vulnerability-result"})


def damage(site: Site, digest: str) -> None:
    (site.records / "evidence" / f"{digest[7:]}.zst").write_bytes(zstandard.compress(b"{}"))


def remove(site: Site, digest: str) -> None:
    (site.records / "evidence" / f"{digest[7:]}.zst").unlink()


@pytest.mark.parametrize("change", [damage, remove])
@pytest.mark.parametrize("part", ["document", "packages"])
def test_damage_is_a_gap_and_no_absence(site: Site, change: Any, part: str):
    digest = site.read_log()[0]["evidence"]
    if part == "packages":
        first = read_object(site.records, digest)["images"][0]
        digest = first["platforms"][0]["packages"]
    change(site, digest)
    status, answer = find(site, "--package", "musl")
    code = "evidence-damaged" if change is damage else "evidence-missing"
    assert (status, [gap["code"] for gap in answer["gaps"]]) == (11, [code])
    assert find(site, "--person", "somebody")[0] == (11 if part == "document" else 9)


def test_entry_of_an_older_version_is_a_gap(site: Site):
    (entry,) = site.read_log()
    names = ("stream", "serial", "inventory", "authenticated", "seen", "signedBy", "target")
    append(site.records, "import", datetime.now(UTC), {name: entry[name] for name in names})
    status, answer = find(site, "--package", "musl")
    assert (status, len(answer["matches"])) == (11, 1)
    assert [(gap["code"], gap["number"]) for gap in answer["gaps"]] == [("no-evidence", 2)]
    assert find(site, "--person", KEY.public.id)[0] == 0


def restore(site: Site, name: str) -> None:
    """Lose a file of the records, and begin a new log."""
    (site.records / name).unlink()
    assert find(site, "--package", "musl")[0] == 4
    assert site.run("stream", "restore", "--reason", "test").status == 0


def test_log_before_a_restoration_is_searched(site: Site):
    restore(site, "state.json")
    assert site.import_("bundle", "--keep-packages").status == 0
    restore(site, "state.json")
    status, answer = find(site, "--package", "musl")
    assert (status, answer["gaps"]) == (0, [])
    assert [match["number"] for match in answer["matches"]] == [1, 2]
    verified = json.loads(site.run("log", "verify", "--json").stdout)["evidence"]
    assert (verified["entries"], verified["unnamed"]) == (2, 0)


def test_damaged_log_before_a_restoration_is_a_gap(site: Site):
    assert site.import_("bundle", "--keep-packages").status == 0
    log = site.records / "log.jsonl"
    log.write_bytes(log.read_bytes()[:-20] + b"\n")
    assert site.run("stream", "restore", "--reason", "test").status == 0
    status, answer = find(site, "--package", "musl")
    assert (status, len(answer["matches"])) == (11, 1)
    assert [gap["code"] for gap in answer["gaps"]] == ["log-restored"]
    tomorrow = f"{datetime.now(UTC).date() + timedelta(days=1)}"
    assert find(site, "--package", "musl", "--since", tomorrow)[0] == 9
    (former,) = site.records.glob("log.jsonl.*.former")
    former.write_bytes(former.read_bytes().replace(b"plant-7", b"plant-8"))
    status, answer = find(site, "--package", "musl")
    assert (status, answer["matches"]) == (11, [])


def test_lost_log_is_a_gap(site: Site):
    restore(site, "log.jsonl")
    status, answer = find(site, "--package", "musl")
    assert (status, [gap["code"] for gap in answer["gaps"]]) == (11, ["log-restored"])


def test_changed_line_of_the_log_is_not_searched(site: Site):
    log = site.records / "log.jsonl"
    log.write_bytes(log.read_bytes().replace(b"plant-7", b"plant-8"))
    assert find(site, "--package", "musl")[0] == 4


def test_failed_image_is_no_gap(site: Site):
    good = images.image(APK)
    bad = images.image(images.layer({"a": b"b" * 5000}))
    named = {NAME: good, "docker.io/library/bad:1": bad}
    bundles.write(site.path / "two", named, keys=(KEY,), serial=SERIAL + 1)
    layer = site.path / "two/blobs/sha256" / bad.blobs[1].digest[7:]
    layer.write_bytes(b"!" * layer.stat().st_size)
    options = ("--keep-going", "--existing", "overwrite")
    assert site.import_("two", *options).status == 11
    (match,) = find(site, "--image", "bad")[1]["matches"]
    assert match["action"] == "failed"
    gaps = find(site, "--package", "absent")[1]["gaps"]
    assert all("docker.io/library/bad:1" not in gap["images"] for gap in gaps)


def test_misspelt_records_are_not_empty(site: Site) -> None:
    result: CommandResult = site.run("log", "find", "--package", "a", "--records", "misspelt")
    assert result.status == 9
    assert "no records" in result.stderr
