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


def test_a_whole_bundle_by_a_given_key_is_0(bundle: Path, run_airbundle: RunAirbundle):
    done = run_airbundle("verify", bundle, "--key", "theirs.pub", "--key", "ours.pub")
    assert done.status == 0, done.stderr
    for text in ("plant-7 1795417200", "whole", KEY.public.fingerprint, "2026-11-23"):
        assert text in done.stdout


@pytest.mark.parametrize("arguments", [(), ("--key", "theirs.pub")])
def test_a_whole_bundle_by_nobody_known_is_4(bundle: Path, run_airbundle: RunAirbundle, arguments):
    done = run_airbundle("verify", bundle, *arguments)
    assert done.status == 4
    assert "whole" in done.stdout
    assert "hint: " in done.stderr


def test_a_damaged_bundle_is_3_and_names_files_and_images(
    bundle: Path, run_airbundle: RunAirbundle
):
    name = bundles.REFERENCES[0]
    layer = bundles.sample()[name].blobs[2].digest.removeprefix("sha256:")
    (bundle / "blobs/sha256" / layer).write_bytes(b"")
    (bundle / "oci-layout").unlink()
    done = run_airbundle("verify", bundle, "--key", "ours.pub")
    assert done.status == 3
    assert f"blobs/sha256/{layer}" in done.stderr
    assert name in done.stderr
    assert "oci-layout: missing" in done.stderr
    assert "Traceback" not in done.stderr


def test_machines_get_the_findings_too(bundle: Path, run_airbundle: RunAirbundle):
    (bundle / "oci-layout").unlink()
    done = run_airbundle("verify", bundle, "--key", "ours.pub", "--json")
    assert done.status == 3
    value = json.loads(done.stdout)
    assert value["whole"] is False
    assert [finding["path"] for finding in value["findings"]] == ["oci-layout"]


def test_a_key_that_is_not_there_is_said_before_anything_is_read(
    bundle: Path, run_airbundle: RunAirbundle
):
    done = run_airbundle("verify", bundle, "--key", "absent.pub")
    assert done.status == 9
    assert "absent.pub" in done.stderr
    assert done.stdout == ""


def test_a_directory_that_is_not_there_is_9(run_airbundle: RunAirbundle):
    assert run_airbundle("verify", "absent").status == 9
