"""``airbundle sign``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bundler.trust import keys
from bundler.trust.sigstore.bundle import parse_bundle
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
    assert run_airbundle(*command).status == 3
    (bundle / "SHA256SUMS").unlink()
    assert run_airbundle(*command).status == 9


def test_sign_reports_that_signature_is_on_disk(work_dir: Path, run_airbundle: RunAirbundle):
    run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    run_airbundle("keygen", "--no-passphrase", "second")
    result = run_airbundle("sign", "stick", "--key", "second.key")
    assert result.stdout.startswith("stick: signed: bundle.json.")
    assert "on the disk" in result.stderr or "unmounted" in result.stderr


def test_signature_for_a_read_only_bundle_is_a_file_of_its_own(
    tmp_path: Path, bundle: Path, run_airbundle: RunAirbundle
):
    before = sorted(path.name for path in bundle.iterdir())
    bundle.chmod(0o555)
    key = ("--key", "ours.key", "--passphrase-file", "passphrase")
    result = run_airbundle("sign", "b", *key, "--output", "review.sig")
    bundle.chmod(0o755)
    assert result.status == 0, result.stderr
    assert sorted(path.name for path in bundle.iterdir()) == before
    other = tmp_path / "other.pub"
    other.write_bytes(OTHER.public.to_pem())
    both = ("--key", "ours.pub", "--key", other, "--threshold", "2")
    assert run_airbundle("verify", "b", *both).status == 4
    assert run_airbundle("verify", "b", *both, "--signature", "review.sig").status == 0
    target = ("import", "b", "oci:target", *both)
    assert run_airbundle(*target).status == 4
    assert run_airbundle(*target, "--signature", "review.sig").status == 0


def test_output_takes_one_signer(tmp_path: Path, bundle: Path, run_airbundle: RunAirbundle):
    keys.write_key_pair(tmp_path / "second", OTHER, None)
    signers = ("--key", "second.key", "--key", "ours.key", "--passphrase-file", "passphrase")
    assert run_airbundle("sign", "b", *signers, "--output", "review.sig").status == 2
    assert not (tmp_path / "review.sig").exists()


def test_signature_is_also_written_in_the_format_of_cosign(
    tmp_path: Path, bundle: Path, run_airbundle: RunAirbundle
):
    """It is the signature by the first key on P-256, and later signatures do not replace it."""
    keys.write_key_pair(tmp_path / "edwards", keys.generate_key("ed25519"), None)
    assert run_airbundle("sign", "b", "--key", "edwards.key").status == 0
    assert not (bundle / "bundle.json.sigstore.json").exists()
    command = ("sign", "b", "--key", "ours.key", "--passphrase-file", "passphrase")
    assert run_airbundle(*command).status == 0
    document = parse_bundle((bundle / "bundle.json.sigstore.json").read_bytes())
    KEY.public.verify(document.signature, (bundle / "bundle.json").read_bytes())
    keys.write_key_pair(tmp_path / "third", keys.generate_key(), None)
    before = (bundle / "bundle.json.sigstore.json").read_bytes()
    assert run_airbundle("sign", "b", "--key", "third.key").status == 0
    assert (bundle / "bundle.json.sigstore.json").read_bytes() == before
    assert run_airbundle("verify", "b", "--key", "third.pub").status == 0


def test_one_key_is_refused_twice(bundle: Path, run_airbundle: RunAirbundle):
    signers = ("--key", "ours.key", "--key", "ours.key", "--passphrase-file", "passphrase")
    assert run_airbundle("sign", "b", *signers).status == 2


def test_sign_needs_a_signer(bundle: Path, run_airbundle: RunAirbundle):
    assert run_airbundle("sign", "b").status == 2


def test_signing_command_needs_its_public_key(bundle: Path, run_airbundle: RunAirbundle):
    result = run_airbundle("sign", "b", "--sign-cmd", "cat")
    assert result.status == 2
    assert "--sign-cmd-key" in result.stderr
