"""Export and import as a user sees them: what is said, where, and what is kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

MANIFEST = """\
name: ward
defaults: {platforms: [linux/amd64, linux/arm64]}
images:
  - oci:./layout:web:1
  - oci:./layout:tool:2
"""


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    """A layout with an image and an index of three platforms, and a bundle manifest."""
    shared = images.layer({"shared": b"shared " * 100})
    platforms = ("linux/amd64", "linux/arm64", "linux/arm/v7")
    named = {
        "web:1": images.image(shared, images.layer({"web": b"web " * 100})),
        "tool:2": images.multi_platform("tool", *platforms, shared=shared),
    }
    images.write_layout(tmp_path / "layout", named)
    (tmp_path / "ward.yaml").write_text(MANIFEST)
    return tmp_path


def test_a_new_digest_is_said(ward: Path, run_airbundle: RunAirbundle):
    done = run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    assert done.status == 0, done.stderr
    new = [line for line in done.stdout.splitlines() if line.startswith("new digest")]
    assert len(new) == 1
    assert "localhost/tool:2" in new[0]


def test_an_image_that_is_missing_leads_to_the_line_that_asked(
    ward: Path, run_airbundle: RunAirbundle
):
    (ward / "ward.yaml").write_text(f"{MANIFEST}  - oci:./layout:gone:3\n")
    done = run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    assert done.status == 9
    assert "ward.yaml:6" in done.stderr
    assert not (ward / "stick").exists()


def test_a_lock_says_that_nothing_changed_too(ward: Path, run_airbundle: RunAirbundle):
    assert "changed" not in run_airbundle("lock", "ward.yaml").stdout
    assert "2 images, none of them changed" in run_airbundle("lock", "ward.yaml").stdout
    (ward / "ward.yaml").write_text(MANIFEST.replace("  - oci:./layout:web:1\n", ""))
    told = run_airbundle("lock", "ward.yaml").stdout
    assert "gone: localhost/web:1" in told
    assert "changed" not in told


def test_signing_says_that_the_signature_is_written(ward: Path, run_airbundle: RunAirbundle):
    run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    run_airbundle("keygen", "--no-passphrase", "second")
    done = run_airbundle("sign", "stick", "--key", "second.key")
    assert done.stdout.startswith("stick: signed: bundle.json.")
    assert "on the disk" in done.stderr or "unmounted" in done.stderr


def test_an_import_says_what_became_of_each_name(ward: Path, run_airbundle: RunAirbundle):
    run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    to = ("import", "stick", "oci:inside", "--allow-unsigned")
    header, first, *_ = run_airbundle(*to).stdout.splitlines()
    assert header.split("  ")[-1].strip() == "OUTCOME"
    assert first.endswith("  new")
    assert "already there" in run_airbundle(*to).stdout


def test_imports_within_a_second_keep_a_receipt_each(ward: Path, run_airbundle: RunAirbundle):
    run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    for number in range(4):
        run_airbundle("import", "stick", f"oci:inside-{number}", "--allow-unsigned")
    receipts = ward / "home/.local/state/airbundle/receipts"
    assert len(list(receipts.iterdir())) == 4


def test_quiet_leaves_nothing_on_stderr(ward: Path, run_airbundle: RunAirbundle):
    export = run_airbundle("export", "ward.yaml", "stick", "--unsigned", "--quiet")
    imported = run_airbundle("import", "stick", "oci:inside", "--allow-unsigned", "-q")
    assert (export.status, export.stderr) == (0, "")
    assert (imported.status, imported.stderr) == (0, "")
    assert (ward / "inside/index.json").exists()


def test_an_import_that_cannot_be_accounted_for_does_not_begin(ward: Path, run_airbundle):
    run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    to = ("import", "stick", "oci:elsewhere", "--allow-unsigned")
    done = run_airbundle(*to, "--receipt", "missing/folder/receipt.json")
    assert done.status == 5
    assert "--receipt FILE" in done.stderr
    assert not (ward / "elsewhere").exists()


def test_option_for_the_target_leaves_the_rest_of_the_target_file_in_force(
    ward: Path, run_airbundle: RunAirbundle
):
    """``--creds`` replaces the file's credentials, and nothing of its TLS settings."""
    run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    with FakeRegistry(auth="basic") as registry:
        (ward / "plant.yaml").write_text(
            f"target: docker://{registry.host}\n"
            "credentials: {usernameEnv: U, passwordEnv: P}\n"
            "tls: {plainHttp: true}\n"
        )
        arguments = ("import", "stick", "plant.yaml", "--allow-unsigned")
        wrong = {"U": "user", "P": "wrong"}
        assert run_airbundle(*arguments, env=wrong).status == 7
        done = run_airbundle(*arguments, "--creds=user:password", env=wrong)
    assert done.status == 0, done.stderr


def test_an_export_names_the_medium_that_it_wrote(ward: Path, run_airbundle: RunAirbundle):
    done = run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("medium: ")]
    told = json.loads(run_airbundle("export", "ward.yaml", "stick", "--unsigned", "--json").stdout)
    medium = told["medium"]
    assert f"{medium['device']} ({medium['fileSystem']}) at {medium['mountPoint']}" in line
    assert line.endswith(" free")
    assert medium["free"] > 0


def test_a_missing_directory_above_the_bundle_is_made_only_with_parents(
    ward: Path, run_airbundle: RunAirbundle
):
    export = ("export", "ward.yaml", "media/stick", "--unsigned")
    done = run_airbundle(*export)
    assert done.status == 5
    assert "--parents" in done.stderr
    assert not (ward / "media").exists()
    assert run_airbundle(*export, "--parents").status == 0


@pytest.mark.parametrize("command", [("plan",), ("export", "--dry-run")])
def test_a_plan_warns_of_a_directory_that_an_export_would_refuse(
    ward: Path, run_airbundle: RunAirbundle, command: tuple[str, ...]
):
    name, *flags = command
    done = run_airbundle(name, "ward.yaml", "media/stick", *flags)
    assert done.status == 0, done.stderr
    assert "warning: an export would be refused: " in done.stderr
    assert "media: no such directory" in done.stderr
    value = json.loads(run_airbundle(name, "ward.yaml", "media/stick", *flags, "--json").stdout)
    assert "no such directory" in value["refusal"]["message"]
    assert "--parents" in value["refusal"]["hint"]
    assert not (ward / "media").exists()


def test_a_plan_of_a_possible_export_warns_of_nothing(ward: Path, run_airbundle: RunAirbundle):
    done = run_airbundle("plan", "ward.yaml", "stick", "--json")
    assert "warning" not in done.stderr
    value = json.loads(done.stdout)
    assert value["refusal"] is None
    assert value["room"]["device"]
    dry = ("export", "ward.yaml", "media/stick", "--dry-run", "--parents")
    assert "warning" not in run_airbundle(*dry).stderr
