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


def test_a_signature_is_added_to_the_others(
    tmp_path: Path, bundle: Path, run_airbundle: RunAirbundle
):
    signing = ("sign", "b", "--key", "ours.key", "--passphrase-file", "passphrase")
    done = run_airbundle(*signing, "--json")
    assert done.status == 0, done.stderr
    name = f"bundle.json.{KEY.public.id[:16]}.sig"
    assert json.loads(done.stdout)["signatures"] == [name]
    assert len(list(bundle.glob("*.sig"))) == 2
    assert run_airbundle("verify", "b", "--key", "ours.pub").status == 0


@pytest.mark.parametrize("passphrase", [None, "incorrect horse"])
def test_without_the_passphrase_nothing_is_signed(
    tmp_path: Path, bundle: Path, run_airbundle: RunAirbundle, passphrase: str | None
):
    arguments = []
    if passphrase is not None:
        (tmp_path / "passphrase").write_text(passphrase)
        arguments = ["--passphrase-file", "passphrase"]
    done = run_airbundle("sign", "b", "--key", "ours.key", *arguments)
    assert done.status == 2
    assert "passphrase" in done.stderr.lower()
    assert "horse" not in done.stderr
    assert len(list(bundle.glob("*.sig"))) == 1


def test_an_unfinished_bundle_is_not_signed(bundle: Path, run_airbundle: RunAirbundle):
    (bundle / "bundle.json").unlink()
    signing = ("sign", "b", "--key", "ours.key", "--passphrase-file", "passphrase")
    assert run_airbundle(*signing).status == 9
