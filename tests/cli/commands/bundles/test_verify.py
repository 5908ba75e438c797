"""``airbundle verify``: exit statuses and reports."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bundler.trust import keys
from tests.fakes import bundles

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

KEY, OTHER = keys.generate_key(), keys.generate_key()


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    for name, key in (("ours", KEY), ("theirs", OTHER)):
        (tmp_path / f"{name}.pub").write_bytes(key.public.to_pem())
    return bundles.write(tmp_path / "b", keys=(KEY,))


def test_verify_accepts_bundle_signed_by_given_key(bundle: Path, run_airbundle: RunAirbundle):
    result = run_airbundle("verify", bundle, "--key", "theirs.pub", "--key", "ours.pub")
    assert result.status == 0, result.stderr
    for text in ("plant-7 1795417200", "whole", KEY.public.fingerprint, "2026-11-23"):
        assert text in result.stdout


@pytest.mark.parametrize("arguments", [(), ("--key", "theirs.pub")])
def test_verify_of_intact_bundle_without_known_signer_has_status_4(
    bundle: Path, run_airbundle: RunAirbundle, arguments
):
    result = run_airbundle("verify", bundle, *arguments)
    assert result.status == 4
    assert "whole" in result.stdout
    assert "hint: " in result.stderr


def test_verify_of_damaged_bundle_names_files_and_images(bundle: Path, run_airbundle: RunAirbundle):
    name = bundles.REFERENCES[0]
    layer = bundles.sample()[name].blobs[2].digest.removeprefix("sha256:")
    (bundle / "blobs/sha256" / layer).write_bytes(b"")
    (bundle / "oci-layout").unlink()
    result = run_airbundle("verify", bundle, "--key", "ours.pub")
    assert result.status == 3
    assert f"blobs/sha256/{layer}" in result.stderr
    assert name in result.stderr
    assert "oci-layout: missing" in result.stderr
    assert "Traceback" not in result.stderr


def test_directory_in_place_of_a_signature_is_damage_for_import_too(
    bundle: Path, run_airbundle: RunAirbundle
):
    (bundle / "bundle.json.0123456789abcdef.sig").mkdir()
    for command in (("verify", bundle), ("import", bundle, "oci:target")):
        result = run_airbundle(*command, "--key", "ours.pub")
        assert result.status == 3, command
        assert "bundle.json.0123456789abcdef.sig: not a regular file" in result.stderr


def test_verify_json_reports_findings(bundle: Path, run_airbundle: RunAirbundle):
    (bundle / "oci-layout").unlink()
    result = run_airbundle("verify", bundle, "--key", "ours.pub", "--json")
    assert result.status == 3
    value = json.loads(result.stdout)
    assert value["whole"] is False
    assert [finding["path"] for finding in value["findings"]] == ["oci-layout"]


def test_verify_refuses_missing_key_before_reading_bundle(
    bundle: Path, run_airbundle: RunAirbundle
):
    result = run_airbundle("verify", bundle, "--key", "absent.pub")
    assert result.status == 9
    assert "absent.pub" in result.stderr
    assert result.stdout == ""


def test_verify_of_missing_directory_has_status_9(run_airbundle: RunAirbundle):
    assert run_airbundle("verify", "absent").status == 9
