"""``airbundle sign``."""

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
    keys.write_key_pair(tmp_path / "ours", KEY, b"correct horse")
    (tmp_path / "passphrase").write_text("correct horse\nand a second line\n")
    return bundles.write(tmp_path / "b", keys=(OTHER,))


def test_sign_adds_signature_to_existing_ones(
    tmp_path: Path, bundle: Path, run_airbundle: RunAirbundle
):
    command = ("sign", "b", "--key", "ours.key", "--passphrase-file", "passphrase")
    result = run_airbundle(*command, "--json")
    assert result.status == 0, result.stderr
    name = f"bundle.json.{KEY.public.id[:16]}.sig"
    assert json.loads(result.stdout)["signatures"] == [name]
    assert len(list(bundle.glob("*.sig"))) == 2
    assert run_airbundle("verify", "b", "--key", "ours.pub").status == 0


@pytest.mark.parametrize("passphrase", [None, "incorrect horse"])
def test_sign_refuses_missing_or_wrong_passphrase(
    tmp_path: Path, bundle: Path, run_airbundle: RunAirbundle, passphrase: str | None
):
    arguments = []
    if passphrase is not None:
        (tmp_path / "passphrase").write_text(passphrase)
        arguments = ["--passphrase-file", "passphrase"]
    result = run_airbundle("sign", "b", "--key", "ours.key", *arguments)
    assert result.status == 2
    assert "passphrase" in result.stderr.lower()
    assert "horse" not in result.stderr
    assert len(list(bundle.glob("*.sig"))) == 1


def test_sign_refuses_unfinished_bundle(bundle: Path, run_airbundle: RunAirbundle):
    (bundle / "bundle.json").unlink()
    command = ("sign", "b", "--key", "ours.key", "--passphrase-file", "passphrase")
    assert run_airbundle(*command).status == 9


def test_sign_reports_that_signature_is_on_disk(work_dir: Path, run_airbundle: RunAirbundle):
    run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    run_airbundle("keygen", "--no-passphrase", "second")
    result = run_airbundle("sign", "stick", "--key", "second.key")
    assert result.stdout.startswith("stick: signed: bundle.json.")
    assert "on the disk" in result.stderr or "unmounted" in result.stderr
