"""``export --attest`` and ``verify-attestation``: an image states where it comes from."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bundler.trust import keys

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

EXPORT, RECEIPT, OFFICER = (keys.generate_key() for _ in range(3))
IMAGE = "oci:bundle:localhost/layout:web"


@pytest.fixture
def site(work_dir: Path) -> Path:
    """A directory with a bundle manifest, its images, and key pairs."""
    manifest = work_dir / "ward.yaml"
    manifest.write_text(manifest.read_text().replace("web:1", "web").replace("tool:2", "tool"))
    index = work_dir / "layout/index.json"
    index.write_text(index.read_text().replace("web:1", "web").replace("tool:2", "tool"))
    for name, key in (("export", EXPORT), ("receipt", RECEIPT), ("officer", OFFICER)):
        keys.write_key_pair(work_dir / name, key, None)
    return work_dir


def export(run: RunAirbundle, *more: str, status: int = 0) -> str:
    result = run("export", "ward.yaml", "bundle", *more)
    assert result.status == status, result.stderr
    return result.stdout


def test_image_states_its_bundle_and_source(site: Path, run_airbundle: RunAirbundle):
    assert "attested: 2 images" in export(run_airbundle, "--sign-key", "export.key", "--attest")
    assert run_airbundle("import", "bundle", "oci:target", "--key", "export.pub").status == 0
    name = "oci:target:layout:web"
    result = run_airbundle("verify-attestation", name, "--key", "export.pub")
    assert result.status == 0, result.stderr
    for text in ("localhost/layout:web", "ward.yaml:4", EXPORT.public.fingerprint):
        assert text in result.stdout
    assert str(site) not in result.stdout
    result = run_airbundle("verify-attestation", name, "--key", "export.pub", "--json")
    (attested,) = json.loads(result.stdout)["attestations"]
    assert attested["bundle"]["stream"] == "ward"
    assert attested["entry"]["file"] == "ward.yaml"
    assert run_airbundle("verify-attestation", name, "--key", "receipt.pub").status == 4
    assert run_airbundle("verify-attestation", name).status == 2


def test_bundle_manifest_demands_attestations(site: Path, run_airbundle: RunAirbundle):
    manifest = site / "ward.yaml"
    manifest.write_text("attest: true\n" + manifest.read_text())
    export(run_airbundle, "--unsigned")
    assert run_airbundle("verify-attestation", IMAGE, "--key", "export.pub").status == 4
    assert "attested" in export(run_airbundle, "--sign-key", "export.key")
    assert run_airbundle("verify-attestation", IMAGE, "--key", "export.pub").status == 0
    export(run_airbundle, "--unsigned", "--attest", status=2)


def test_locked_images_are_attested(site: Path, run_airbundle: RunAirbundle):
    manifest = site / "ward.yaml"
    manifest.write_text("attest: true\n" + manifest.read_text())
    assert run_airbundle("lock", "ward.yaml").status == 0
    assert "attested: 2" in export(run_airbundle, "--sign-key", "export.key", "--locked")


def set_up_trust(run_airbundle: RunAirbundle) -> None:
    add = ("trust", "add", "1.trust.json")
    run_airbundle(*add, "--key", "officer.pub", "--role", "trust")
    run_airbundle(*add, "--key", "export.pub", "--role", "bundle", "--comment", "Export host")
    run_airbundle(*add, "--key", "receipt.pub", "--role", "receipt", "--comment", "Ward 7")
    run_airbundle("trust", "sign", "1.trust.json", "--key", "officer.key")
    shown = json.loads(run_airbundle("trust", "show", "1.trust.json", "--json").stdout)
    result = run_airbundle("trust", "init", "1.trust.json", "--fingerprint", shown["fingerprint"])
    assert result.status == 0, result.stderr


def test_removed_key_that_signed_is_named(site: Path, run_airbundle: RunAirbundle):
    set_up_trust(run_airbundle)
    export(run_airbundle, "--sign-key", "export.key", "--attest")
    assert run_airbundle("import", "bundle", "oci:target", "--adopt").status == 0
    key_id = json.loads(run_airbundle("verify", "bundle", "--json").stdout)["signers"][0]["id"]
    for arguments in (
        ("rotate", "2.trust.json"),
        ("add", "2.trust.json", "--key", "receipt.pub", "--role", "bundle"),
        ("rotate", "2.trust.json", "--remove", key_id[:16]),
        ("sign", "2.trust.json", "--key", "officer.key"),
        ("update", "2.trust.json"),
    ):
        assert run_airbundle("trust", *arguments).status == 0
    result = run_airbundle("verify-attestation", IMAGE)
    assert result.status == 4
    named = f"{key_id[:16]} (Export host)"
    assert f"signed with key {named}, which is no longer trusted: version 2" in result.stderr
    assert f"version 2 removed key {named}" in run_airbundle("verify", "bundle").stderr
    former = "home/.config/airbundle/trust/1.trust.json"
    assert run_airbundle("verify-attestation", IMAGE, "--trust", former).status == 0


def test_reports_name_the_keys_of_the_trust_file(site: Path, run_airbundle: RunAirbundle):
    set_up_trust(run_airbundle)
    export(run_airbundle, "--sign-key", "export.key", "--attest")
    result = run_airbundle("verify", "bundle")
    assert result.status == 0, result.stderr
    assert "(Export host)" in result.stdout
    (signer,) = json.loads(run_airbundle("verify", "bundle", "--json").stdout)["signers"]
    assert signer["name"] == "Export host"
    assert "(Export host)" in run_airbundle("verify-attestation", IMAGE).stdout
    result = run_airbundle(
        *("import", "bundle", "oci:target", "--adopt"),
        *("--receipt", "receipt.json", "--receipt-key", "receipt.key"),
    )
    assert result.status == 0, result.stderr
    shown = run_airbundle("verify-receipt", "receipt.json").stdout
    assert "(Ward 7)" in shown
    assert "(Export host)" in shown
    assert "(Export host)" in run_airbundle("log", "show").stdout
    # Keys of the command line have no names, whatever a trust file in the bundle states.
    assert "Export" not in run_airbundle("verify", "bundle", "--key", "export.pub").stdout
