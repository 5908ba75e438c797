"""``airbundle import --rules``: images must pass the rules of a site."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bundler.trust import keys
from tests.fakes import bundles, images, tars

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

KEY = keys.generate_key()
COMMAND = ("import", "b", "oci:inside", "--key", "signer.pub", "--adopt", "--rules", "gate.yaml")
CONTENTS = "rules: {no-set-uid-files: error, no-latest: error}"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "signer.pub").write_bytes(KEY.public.to_pem())
    image = images.image(tars.layer(tars.member("bin/su", b"x", mode=0o4755)))
    return bundles.write(tmp_path / "b", {"docker.io/library/app:1": image}, keys=(KEY,))


IMAGE = "docker.io/library/app:1 (linux/amd64)"


@pytest.mark.parametrize(
    ("rules", "note", "code"),
    [
        ("rules: {not-root: error}", "", "not-root"),
        (CONTENTS, "", "no-set-uid-files"),
        (
            "rules: {not-root: error, no-set-uid-files: error}",
            "; the layers were not examined, and may have more findings",
            "not-root",
        ),
    ],
)
def test_bundle_that_does_not_pass_is_refused_before_the_first_push(
    run_airbundle: RunAirbundle, bundle: Path, tmp_path: Path, rules: str, note: str, code: str
):
    (tmp_path / "gate.yaml").write_text(rules)
    result = run_airbundle(*COMMAND)
    assert (result.status, result.stdout) == (12, "")
    assert not (tmp_path / "inside").exists()
    first, second = result.stderr.splitlines()[-2:]
    expected = (
        f"airbundle: error: plant-7: does not pass the rules, 1 finding; nothing was pushed{note}"
    )
    assert first == expected
    assert second.strip().startswith(f"error: {code}: {IMAGE}: ")


def test_file_that_the_inventory_does_not_list_is_refused(
    run_airbundle: RunAirbundle, bundle: Path, tmp_path: Path
):
    (tmp_path / "gate.yaml").write_text("rules: {nothing-unlisted: error}")
    assert run_airbundle(*COMMAND, "--dry-run").status == 0
    (bundle / "tool.exe").write_bytes(b"x")
    result = run_airbundle(*COMMAND, "--dry-run")
    assert result.status == 12
    assert "tool.exe" in result.stderr


def test_program_refuses_an_import(run_airbundle: RunAirbundle, bundle: Path, tmp_path: Path):
    program = "{program: [/bin/sh, -c, 'grep -a -q su && exit 1 || exit 0']}"
    (tmp_path / "gate.yaml").write_text(f"rules: {{not-root: note}}\nprograms: {{scan: {program}}}")
    result = run_airbundle(*COMMAND)
    assert (result.status, (tmp_path / "inside").exists()) == (12, False)
    assert "program:scan" in result.stderr


def test_bundle_that_passes_is_imported(run_airbundle: RunAirbundle, bundle: Path, tmp_path: Path):
    (tmp_path / "gate.yaml").write_text("rules: {bundle-authenticated: error, not-root: warning}")
    result = run_airbundle(*COMMAND)
    assert result.status == 0
    assert "1 finding" in result.stderr
    assert (tmp_path / "inside/index.json").exists()


def test_waiver_applies_to_an_import(run_airbundle: RunAirbundle, bundle: Path, tmp_path: Path):
    (tmp_path / "gate.yaml").write_text(f"failOn: warning\n{CONTENTS}")
    waiver = "{code: no-set-uid-files, reason: r, author: me, expires: 2999-01-01}"
    (tmp_path / "waivers.yaml").write_text(f"waivers: [{waiver}]")
    assert run_airbundle(*COMMAND).status == 12
    result = run_airbundle(*COMMAND, "--waivers", "waivers.yaml", "--receipt", "receipt.json")
    assert result.status == 0
    rules = json.loads((tmp_path / "receipt.json").read_bytes())["rules"]
    assert rules["digest"] == images.sha256((tmp_path / "gate.yaml").read_bytes())
    assert [(item["code"], item["author"]) for item in rules["waivers"]] == [
        ("no-set-uid-files", "me")
    ]


def test_refusal_is_in_the_log(run_airbundle: RunAirbundle, bundle: Path, tmp_path: Path):
    (tmp_path / "gate.yaml").write_text("rules: {not-root: note}")
    assert run_airbundle(*COMMAND).status == 0  # the records begin with the first import
    (tmp_path / "gate.yaml").write_text("rules: {not-root: error}")
    assert run_airbundle(*COMMAND).status == 12
    last = json.loads(run_airbundle("log", "show", "--json").stdout)["entries"][-1]
    assert (last["event"], last["refusal"]) == ("refused", "rules")


def test_waivers_need_rules(run_airbundle: RunAirbundle, bundle: Path):
    assert run_airbundle(*COMMAND[:-2], "--waivers", "waivers.yaml").status == 2


REHEARSAL = ("verify", "b", "--key", "signer.pub", "--offline", "--adopt", "--rules", "gate.yaml")


@pytest.mark.parametrize("rules", ["rules: {not-root: error}", CONTENTS])
def test_rehearsal_applies_the_rules(
    run_airbundle: RunAirbundle, bundle: Path, tmp_path: Path, rules: str
):
    (tmp_path / "gate.yaml").write_text(rules)
    result = run_airbundle(*REHEARSAL)
    assert result.status == 12
    assert "can be imported" not in result.stdout
    (tmp_path / "gate.yaml").write_text("rules: {no-secret-files: error, not-root: note}")
    result = run_airbundle(*REHEARSAL, "--json")
    assert result.status == 0
    assert json.loads(result.stdout)["rehearsal"]["rules"]["findings"] == 1


def test_rehearsal_applies_waivers_of_its_day(
    run_airbundle: RunAirbundle, bundle: Path, tmp_path: Path
):
    (tmp_path / "gate.yaml").write_text("rules: {not-root: error}")
    waiver = "{code: not-root, reason: r, author: me, expires: 2999-01-01}"
    (tmp_path / "waivers.yaml").write_text(f"waivers: [{waiver}]")
    command = (*REHEARSAL, "--waivers", "waivers.yaml")
    assert run_airbundle(*command, "--at", "2998-12-31").status == 0
    assert run_airbundle(*command, "--at", "2999-01-02").status == 12


def test_rules_of_a_verification_need_a_rehearsal(
    run_airbundle: RunAirbundle, bundle: Path, tmp_path: Path
):
    (tmp_path / "gate.yaml").write_text("rules: {not-root: error}")
    assert run_airbundle("verify", "b", "--key", "signer.pub", "--rules", "gate.yaml").status == 2
