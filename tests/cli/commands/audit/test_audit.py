"""``airbundle audit``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from bundler.trust import keys
from tests.fakes import bundles, damage, images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "gate.yaml").write_text("rules: {not-root: error, digest-pinned: warning}")
    hostile = images.image(config={"config": {"User": "0:\x1b[2J"}})
    return bundles.write(tmp_path / "b", {"docker.io/library/app:1": hostile})


def test_findings_are_printed(run_airbundle: RunAirbundle, bundle: Path):
    result = run_airbundle("audit", bundle, "--rules", "gate.yaml")
    assert result.status == 12
    first, second, *_ = result.stdout.splitlines()
    assert first.startswith("error: not-root: docker.io/library/app:1 (linux/amd64)")
    assert second.startswith("warning: digest-pinned: docker.io/library/app:1")
    assert "\x1b" not in result.stdout + result.stderr


@pytest.mark.parametrize(
    ("rules", "verdict"),
    [
        ("{not-root: error, digest-pinned: warning}", "does not pass (1 image, 3 rules): 1 error"),
        ("{no-latest: error}", "passes (1 image, 1 rule): "),
        ("{no-vulnerabilities: note}", "passes (1 image, 2 rules): 1 note, 1 of them not checked"),
    ],
)
def test_last_line_is_the_verdict(
    run_airbundle: RunAirbundle, bundle: Path, tmp_path: Path, rules: str, verdict: str
):
    (tmp_path / "gate.yaml").write_text(f"rules: {rules}")
    result = run_airbundle("audit", bundle, "--rules", "gate.yaml")
    last = result.stdout.splitlines()[-1]
    assert last.startswith(verdict)
    assert last.endswith("signatures of the bundle not verified")


def test_findings_below_the_threshold_do_not_fail(
    run_airbundle: RunAirbundle, bundle: Path, tmp_path: Path
):
    (tmp_path / "gate.yaml").write_text("failOn: error\nrules: {not-root: warning}")
    assert run_airbundle("audit", bundle, "--rules", "gate.yaml").status == 0
    (tmp_path / "gate.yaml").write_text("failOn: warning\nrules: {not-root: warning}")
    assert run_airbundle("audit", bundle, "--rules", "gate.yaml").status == 12


def test_verdict_is_json(run_airbundle: RunAirbundle, bundle: Path):
    result = run_airbundle("audit", bundle, "--rules", "gate.yaml", "--format", "json")
    short = run_airbundle("audit", bundle, "--rules", "gate.yaml", "--json")
    value = json.loads(result.stdout)
    assert json.loads(short.stdout)["findings"] == value["findings"]
    assert (value["passed"], result.status) == (False, 12)
    assert [item["code"] for item in value["findings"]] == ["not-root", "digest-pinned"]
    assert value["findings"][0]["place"]["platform"] == "linux/amd64"


def test_mistake_in_the_rules_ends_the_command(
    run_airbundle: RunAirbundle, bundle: Path, tmp_path: Path
):
    (tmp_path / "gate.yaml").write_text("rules: {not-rot: error}")
    result = run_airbundle("audit", bundle, "--rules", "gate.yaml")
    assert (result.status, result.stdout) == (2, "")


def test_bundle_is_authenticated_with_a_key(run_airbundle: RunAirbundle, tmp_path: Path):
    (tmp_path / "gate.yaml").write_text("rules: {bundle-authenticated: error}")
    key = keys.generate_key()
    (tmp_path / "signer.pub").write_bytes(key.public.to_pem())
    bundles.write(tmp_path / "b", keys=(key,))
    arguments = ("audit", "b", "--rules", "gate.yaml")
    assert run_airbundle(*arguments).status == 12
    assert run_airbundle(*arguments, "--key", "signer.pub").status == 0


def test_former_bundle_is_compared(run_airbundle: RunAirbundle, bundle: Path, tmp_path: Path):
    (tmp_path / "gate.yaml").write_text("rules: {unchanged: error}")
    arguments = ("audit", "b", "--rules", "gate.yaml")
    assert run_airbundle(*arguments).status == 12
    assert run_airbundle(*arguments, "--since", "b").status == 0
    assert run_airbundle(*arguments, "--since", "b/bundle.json").status == 0
    assert run_airbundle(*arguments, "--since", "missing").status == 9


def test_rules_are_required(run_airbundle: RunAirbundle, bundle: Path):
    assert run_airbundle("audit", "b").status == 2


def test_damaged_config_is_an_error(run_airbundle: RunAirbundle, bundle: Path):
    for blob in (bundle / "blobs/sha256").iterdir():
        if b'"rootfs"' in blob.read_bytes():
            blob.write_bytes(b"{}")
    assert run_airbundle("audit", bundle, "--rules", "gate.yaml").status == 3


def test_damaged_layer_is_an_error_whatever_the_severity(
    run_airbundle: RunAirbundle, bundle: Path, tmp_path: Path
):
    (tmp_path / "gate.yaml").write_text("rules: {no-set-uid-files: note}")
    damage.flip_bit(bundles.find_largest_blob(bundle))
    result = run_airbundle("audit", bundle, "--rules", "gate.yaml", "--report", "report.json")
    assert result.status == 3
    assert "not-verified" in (tmp_path / "report.json").read_text()


def test_program_of_a_rules_file_in_the_bundle_is_not_run(
    run_airbundle: RunAirbundle, tmp_path: Path
):
    bundle = bundles.write(tmp_path / "b")
    program = f"{{program: [/usr/bin/touch, {tmp_path}/x]}}"
    text = f"rules: {{no-latest: error}}\nprograms: {{a: {program}}}"
    for path in (bundle / "gate.yaml", tmp_path / "gate.yaml"):
        path.write_text(text)
    for location in ("b", "oci:b", f"oci:{bundle}:docker.io/library/nginx:1.27"):
        refused = run_airbundle("audit", location, "--rules", "b/../b/gate.yaml")
        assert (refused.status, (tmp_path / "x").exists()) == (2, False)
    (tmp_path / "script.yaml").write_text(text.replace("/usr/bin/touch", f"/bin/sh, {bundle}/a.sh"))
    assert run_airbundle("audit", "b", "--rules", "script.yaml").status == 2
    assert run_airbundle("audit", "b", "--rules", "gate.yaml").status == 0
    assert (tmp_path / "x").exists()
