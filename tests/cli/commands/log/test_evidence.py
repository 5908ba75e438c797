"""Imports and audits keep what they knew about a bundle, in the records of the site."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import zstandard

from bundler.bundle.records import site as records
from bundler.trust import keys
from tests.cli.commands.records.test_records import KEY, SERIAL, Site
from tests.fakes import bundles, images, tars

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

NAME = "docker.io/library/app:1"
APK = tars.layer(tars.member("lib/apk/db/installed", b"P:musl\nV:1.2.4-r2\nL:MIT\n"))
SBOM = {"bomFormat": "CycloneDX", "components": [{"purl": "pkg:apk/alpine/busybox@1.36.1"}]}
ARTIFACTS = "artifact-types: note"
KIND = "application/vnd.cyclonedx+json"


def claimed_image() -> images.Image:
    """An index of one image with packages, and an SBOM that claims another package."""
    image = images.image(APK)
    sbom = images.artifact("in-toto", json.dumps(SBOM).encode(), media_type=KIND)
    entries = [
        image.root.descriptor(platform={"os": "linux", "architecture": "amd64"}),
        sbom.root.descriptor(
            platform={"os": "unknown", "architecture": "unknown"},
            annotations={"vnd.docker.reference.digest": image.digest},
        ),
    ]
    body = {"schemaVersion": 2, "mediaType": images.OCI["index"], "manifests": entries}
    index = images.Blob(images.OCI["index"], images.dump(body))
    return images.Image(index, children=(image, sbom))


def read_object(records: Path, digest: str) -> dict[str, Any]:
    return json.loads(read_bytes(records, digest))


def read_bytes(records: Path, digest: str) -> bytes:
    raw = (records / "evidence" / f"{digest.removeprefix('sha256:')}.zst").read_bytes()
    content = zstandard.decompress(raw)
    assert images.sha256(content) == digest
    return content


@pytest.fixture
def site(tmp_path: Path, run_airbundle: RunAirbundle) -> Site:
    site = Site(tmp_path, run_airbundle)
    bundles.write(tmp_path / "bundle", {NAME: claimed_image()}, keys=(KEY,), serial=SERIAL)
    (tmp_path / "names.yaml").write_text("rules: {no-latest: error}")
    (tmp_path / "contents.yaml").write_text(
        "rules: {no-set-uid-files: error, artifact-types: note}"
    )
    return site


def read_last(site: Site) -> dict[str, Any]:
    return read_object(site.records, site.read_log()[-1]["evidence"])


def test_import_keeps_inventory_signatures_and_claims_after_the_medium_is_gone(site: Site):
    raw = (site.path / "bundle/bundle.json").read_bytes()
    (signature,) = (site.path / "bundle").glob("bundle.json.*.sig")
    signed = signature.read_bytes()
    assert site.import_("bundle").status == 0
    shutil.rmtree(site.path / "bundle")
    evidence, entry = read_last(site), site.read_log()[-1]
    assert evidence["inventory"] == entry["inventory"]
    assert read_bytes(site.records, evidence["inventory"]) == raw
    ((kept),) = evidence["signatures"]
    assert (kept["name"], read_bytes(site.records, kept["digest"])) == (signature.name, signed)
    assert evidence["signers"] == [{"key": KEY.public.id}]
    (image,) = evidence["images"]
    assert (image["reference"], image["action"]) == (NAME, "new")
    assert image["name"].startswith("oci:inside:")
    (claim,) = image["claims"]
    assert read_object(site.records, claim["document"]) == SBOM
    assert claim["type"] == "cyclonedx"
    (platform,) = image["platforms"]
    assert platform["platform"] == "linux/amd64"
    assert "packages" not in platform
    kinds = {item["kind"] for item in read_object(site.records, image["contents"])["contents"]}
    assert kinds == {"manifest", "config", "layer"}
    assert entry["operator"]["user"]


@pytest.mark.parametrize(
    "options",
    [
        ("--keep-packages",),
        ("--keep-packages", "--rules", "names.yaml"),
        ("--rules", "contents.yaml"),
    ],
)
def test_import_keeps_packages_if_it_reads_them(site: Site, options: tuple[str, ...]):
    assert site.import_("bundle", *options).status == 0
    evidence = read_last(site)
    ((image,),) = (evidence["images"],)
    (platform,) = image["platforms"]
    packages = read_object(site.records, platform["packages"])
    assert packages["files"] == [
        {
            "layer": APK.blob.digest,
            "path": "lib/apk/db/installed",
            "packages": [
                {
                    "type": "apk",
                    "namespace": "alpine",
                    "name": "musl",
                    "version": "1.2.4-r2",
                    "sourceName": "musl",
                    "sourceVersion": "1.2.4-r2",
                    "licenses": ["MIT"],
                }
            ],
        }
    ]
    assert ("verdict" in evidence) == ("--rules" in options)


def test_second_bundle_with_the_same_image_shares_its_packages(site: Site):
    image = {NAME: claimed_image()}
    bundles.write(site.path / "next", image, keys=(KEY,), serial=SERIAL + 1)
    site.import_("bundle", "--keep-packages")
    before = {path.name for path in (site.records / "evidence").iterdir()}
    site.import_("next", "--keep-packages")
    added = {path.name for path in (site.records / "evidence").iterdir()} - before
    first, second = (read_object(site.records, entry["evidence"]) for entry in site.read_log())
    assert first["images"][0]["platforms"] == second["images"][0]["platforms"]
    assert len(added) == 3  # the document, the inventory and its signature


def test_bundle_that_the_rules_refuse_leaves_its_verdict(site: Site):
    assert site.import_("bundle").status == 0
    (site.path / "strict.yaml").write_text(f"rules: {{not-root: error, {ARTIFACTS}}}")
    assert site.import_("bundle", "--rules", "strict.yaml").status == 12
    entry, evidence = site.read_log()[-1], read_last(site)
    assert (entry["event"], entry["refusal"]) == ("refused", "rules")
    verdict = read_object(site.records, evidence["verdict"])
    assert verdict["passed"] is False
    assert "not-root" in {finding["code"] for finding in verdict["findings"]}


def test_both_bundles_of_an_equivocation_are_kept(site: Site):
    site.write_bundle("second", complete=False)
    other = (site.path / "second/bundle.json").read_bytes()
    site.import_("bundle")
    assert site.import_("second").status == 4
    assert site.read_log()[-1]["refusal"] == "equivocation"
    assert read_bytes(site.records, read_last(site)["inventory"]) == other


def test_detached_signature_is_kept(site: Site):
    second = keys.generate_key()
    (site.path / "second.pub").write_bytes(second.public.to_pem())
    signature = second.sign((site.path / "bundle/bundle.json").read_bytes())
    (site.path / "other.sig").write_bytes(signature)
    options = ("--key", "second.pub", "--threshold", "2", "--signature", "other.sig")
    assert site.import_("bundle", *options).status == 0
    evidence = read_last(site)
    kept = {item["name"]: item["digest"] for item in evidence["signatures"]}
    assert read_bytes(site.records, kept["other.sig"]) == signature
    assert {item["key"] for item in evidence["signers"]} == {KEY.public.id, second.public.id}


def test_audit_is_recorded_only_with_records(site: Site):
    audit = ("audit", "bundle", "--rules", "names.yaml")
    assert site.run(*audit).status == 0
    assert not site.records.exists()
    assert site.run(*audit, "--records", site.records, "--key", "key.pub").status == 0
    (entry,) = site.read_log()
    assert (entry["event"], entry["location"], entry["passed"]) == ("audit", "bundle", True)
    assert (entry["authenticated"], entry["signedBy"]) == (True, [KEY.public.id])
    evidence = read_last(site)
    assert "packages" in evidence["images"][0]["platforms"][0]
    assert read_object(site.records, evidence["verdict"])["passed"] is True
    lines = site.run("log", "show").stdout
    assert "passed" in lines
    assert "OPERATOR" in lines.splitlines()[0]


def test_look_without_rules_is_recorded(site: Site):
    result = site.run("audit", "bundle", "--records", site.records, "--key", "key.pub")
    assert (result.status, "no rules; evidence kept" in result.stdout) == (0, True)
    (entry,) = site.read_log()
    assert (entry["event"], "passed" in entry, "rules" in entry) == ("audit", False, False)
    evidence = read_last(site)
    assert "verdict" not in evidence
    assert "packages" in evidence["images"][0]["platforms"][0]
    assert site.run("log", "find", "--package", "*").status == 0
    assert site.run("log", "verify").status == 0


def test_audit_that_does_not_pass_and_is_not_authenticated_is_recorded(site: Site):
    (site.path / "strict.yaml").write_text(f"rules: {{not-root: error, {ARTIFACTS}}}")
    audit = ("audit", "bundle", "--rules", "strict.yaml", "--records", site.records)
    assert site.run(*audit).status == 12
    (entry,) = site.read_log()
    assert (entry["passed"], entry["findings"], entry["authenticated"]) == (False, 2, False)
    evidence = read_last(site)
    assert len(evidence["signatures"]) == 1
    assert evidence["signers"] == []


def test_audit_before_the_first_import_leaves_the_site_new(site: Site):
    site.run("audit", "bundle", "--rules", "names.yaml", "--records", site.records)
    result = site.import_("bundle")
    assert result.status == 0
    assert "this import adopts it" in result.stderr
    assert site.run("log", "verify").status == 0


def test_audit_of_a_layout_has_no_inventory(site: Site):
    images.write_layout(site.path / "layout", {"a": images.image(APK)})
    audit = ("audit", "oci:layout", "--rules", "contents.yaml", "--records", site.records)
    assert site.run(*audit).status == 0
    evidence = read_last(site)
    assert "inventory" not in evidence
    assert evidence["images"][0]["reference"] == "oci:layout:a"


def test_dry_run_keeps_nothing(site: Site):
    assert site.import_("bundle", "--dry-run", "--keep-packages").status == 0
    assert not site.records.exists()


def remove(path: Path) -> None:
    path.unlink()


def damage(path: Path) -> None:
    path.write_bytes(zstandard.compress(b"{}"))


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [(remove, 9, "evidence-missing"), (damage, 3, "evidence-damaged")],
)
@pytest.mark.parametrize("part", ["document", "inventory", "packages", "signature"])
def test_verify_reports_each_object_that_is_not_as_it_was(
    site: Site, change: Callable[[Path], None], status: int, code: str, part: str
):
    site.import_("bundle", "--keep-packages")
    site.import_("bundle", "--keep-packages")
    evidence = read_last(site)
    digest = {
        "document": site.read_log()[-1]["evidence"],
        "inventory": evidence["inventory"],
        "packages": evidence["images"][0]["platforms"][0]["packages"],
        "signature": evidence["signatures"][0]["digest"],
    }[part]
    assert site.run("log", "verify").status == 0
    change(site.records / "evidence" / f"{digest[7:]}.zst")
    shown = site.run("log", "verify", "--json")
    assert shown.status == status
    (problem,) = json.loads(shown.stdout)["evidence"]["problems"]
    assert (problem["code"], problem["digest"]) == (code, digest)
    assert problem["entries"] == ([1, 2] if part != "document" else problem["entries"])
    assert code in site.run("log", "verify").stdout
    assert site.run("log", "show").status == 0  # the chain is intact


def test_verify_counts_objects_that_no_line_names(site: Site):
    site.import_("bundle")
    extra = site.records / "evidence" / f"{'ab' * 32}.zst"
    extra.write_bytes(zstandard.compress(b"of an interrupted run"))
    result = site.run("log", "verify", "--json")
    assert (result.status, json.loads(result.stdout)["evidence"]["unnamed"]) == (0, 1)


def test_damaged_object_ends_an_import_that_needs_it_before_any_push(site: Site):
    site.import_("bundle")
    digest = read_last(site)["inventory"]
    damage(site.records / "evidence" / f"{digest[7:]}.zst")
    refused = site.import_("bundle", target="oci:other")
    assert refused.status == 3
    assert "move it away" in refused.stderr
    assert not (site.path / "other").exists()


@pytest.mark.parametrize("kind", ["file", "link"])
def test_evidence_that_cannot_be_written_ends_an_import_before_any_push(site: Site, kind: str):
    records.prepare(site.records)
    path = site.records / "evidence"
    path.rmdir()
    if kind == "file":
        path.touch()
    else:
        (site.path / "aside").mkdir()
        path.symlink_to(site.path / "aside")
    assert site.import_("bundle").status in (3, 5)
    assert not (site.path / "inside").exists()
    if kind == "link":
        assert list((site.path / "aside").iterdir()) == []


def test_config_that_cannot_be_parsed_is_carried_and_noted(site: Site):
    """Content that is only carried must match its digest, and nothing else."""
    odd = images.image(config={"config": {"Env": 7}})
    bundles.write(site.path / "odd", {NAME: odd}, keys=(KEY,), serial=SERIAL + 1)
    assert site.import_("odd").status == 0
    (image,) = read_last(site)["images"]
    assert "problem" in image
    assert "platforms" not in image


def test_evidence_is_read_from_the_layers_and_not_from_kept_contents(site: Site):
    kept = site.path / "home/.cache/airbundle/layers"
    audit = ("audit", "bundle", "--rules", "contents.yaml")
    assert site.run(*audit, "--records", site.records).status == 0
    assert site.import_("bundle", "--keep-packages", "--rules", "contents.yaml").status == 0
    assert not kept.exists()
    assert site.run(*audit).status == 0
    assert list(kept.iterdir())
