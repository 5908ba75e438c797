"""``airbundle import``: messages, receipts and the options of the target."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle


def test_import_reports_result_of_each_name(work_dir: Path, run_airbundle: RunAirbundle):
    run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    command = ("import", "stick", "oci:inside", "--allow-unsigned", "--reason", "test")
    header, first, *_ = run_airbundle(*command).stdout.splitlines()
    assert header.split("  ")[-1].strip() == "RESULT"
    assert first.endswith("  new")
    assert "already present" in run_airbundle(*command).stdout


def test_imports_within_one_second_write_separate_receipts(
    work_dir: Path, run_airbundle: RunAirbundle
):
    run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    for number in range(4):
        run_airbundle(
            "import", "stick", f"oci:inside-{number}", "--allow-unsigned", "--reason", "test"
        )
    receipts = work_dir / "home/.local/state/airbundle/receipts"
    assert len(list(receipts.iterdir())) == 4


def test_quiet_import_prints_nothing_on_stderr(work_dir: Path, run_airbundle: RunAirbundle):
    run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    result = run_airbundle(
        "import", "stick", "oci:inside", "--allow-unsigned", "--reason", "test", "-q"
    )
    assert (result.status, result.stderr) == (0, "")
    assert (work_dir / "inside/index.json").exists()


def test_import_refuses_unwritable_receipt_before_any_write(work_dir: Path, run_airbundle):
    run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    command = ("import", "stick", "oci:elsewhere", "--allow-unsigned", "--reason", "test")
    result = run_airbundle(*command, "--receipt", "missing/folder/receipt.json")
    assert result.status == 5
    assert "--receipt FILE" in result.stderr
    assert not (work_dir / "elsewhere").exists()


def test_access_option_overrides_only_its_setting_of_target_file(
    work_dir: Path, run_airbundle: RunAirbundle
):
    """``--creds`` replaces the credentials of the target file and keeps its TLS settings."""
    run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    with FakeRegistry(auth="basic") as registry:
        (work_dir / "plant.yaml").write_text(
            f"target: docker://{registry.host}\n"
            "credentials: {usernameEnv: U, passwordEnv: P}\n"
            "tls: {plainHttp: true}\n"
        )
        arguments = ("import", "stick", "plant.yaml", "--allow-unsigned", "--reason", "test")
        wrong = {"U": "user", "P": "wrong"}
        assert run_airbundle(*arguments, env=wrong).status == 7
        result = run_airbundle(*arguments, "--creds=user:password", env=wrong)
    assert result.status == 0, result.stderr


def read_receipt(path: Path) -> dict[str, int]:
    return json.loads(path.read_text())["bytes"]


def test_receipt_counts_only_blobs_that_registry_stored(
    work_dir: Path, run_airbundle: RunAirbundle
):
    run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    command = (
        "import",
        "stick",
        "--allow-unsigned",
        "--reason",
        "test",
        "--keep-going",
        "--tls-verify=false",
    )
    receipt = ("--receipt", "receipt.json")
    with FakeRegistry() as registry:
        target = f"docker://{registry.host}"
        registry.fail("PUT", "/blobs/uploads/", status=403, times=None)
        registry.fail("PATCH", "/blobs/uploads/", status=403, times=None)
        registry.fail("POST", "/blobs/uploads/", status=403, times=None)
        result = run_airbundle(*command, target, *receipt)
        assert result.status != 0
        assert "pushed: 0 B in 0 blobs" in result.stdout
        assert read_receipt(work_dir / "receipt.json")["pushed"] == 0


def test_receipt_counts_refused_mounts_as_pushed(work_dir: Path, run_airbundle: RunAirbundle):
    """A second import pushes nothing, and reports what it read as checked."""
    run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    command = ("import", "stick", "--allow-unsigned", "--reason", "test", "--tls-verify=false")
    receipt = ("--receipt", "receipt.json")
    with FakeRegistry(mounts=False) as registry:
        target = f"docker://{registry.host}"
        result = run_airbundle(*command, target, *receipt)
        uploaded = registry.count("PUT", "/blobs/uploads/")
        assert f"in {uploaded} blobs\n" in result.stdout
        assert "mounted" not in result.stdout
        sizes = read_receipt(work_dir / "receipt.json")
        assert sizes["mounted"] == sizes["present"] == 0
        stored = {d: data for r in registry.repositories.values() for d, data in r.blobs.items()}
        assert sizes["pushed"] >= sum(map(len, stored.values()))
        second = run_airbundle(*command, target, *receipt)
    assert read_receipt(work_dir / "receipt.json")["pushed"] == 0
    assert re.search(
        r"^0 blobs, 0 B in .*; already present: .*; checked: ", second.stderr, re.MULTILINE
    )


def test_rename_rule_that_matches_nothing_is_reported(work_dir: Path, run_airbundle: RunAirbundle):
    run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    unsigned = ("--allow-unsigned", "--reason", "test")
    command = ("import", "stick", "oci:out", *unsigned, "--dry-run")
    used = "localhost/web=pages"
    result = run_airbundle(*command, "--names", used, "--names", "foo=bar")
    assert "warning: rename rule 'foo' matches no image of the bundle" in result.stderr
    assert "localhost/web" not in result.stderr


@pytest.mark.usefixtures("work_dir")
@pytest.mark.parametrize("target", ["oci:out", "dir:out"])
def test_dry_run_plans_no_content_that_the_directory_has(run_airbundle: RunAirbundle, target: str):
    run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    command = ("import", "stick", target, "--allow-unsigned", "--reason", "test", "--adopt")
    assert "to push: 0 B" not in run_airbundle(*command, "--dry-run").stdout
    assert run_airbundle(*command).status == 0
    assert "to push: 0 B in 0 blobs" in run_airbundle(*command, "--dry-run").stdout


@pytest.mark.parametrize("target", ["oci:out", "dir:out"])
def test_dry_run_plans_an_import_that_continues_an_interrupted_one(
    work_dir: Path, run_airbundle: RunAirbundle, target: str
):
    """A target without ``index.json`` contains nothing yet, as for the real run."""
    run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    command = ("import", "stick", target, "--allow-unsigned", "--reason", "test")
    blobs = (work_dir / "stick/blobs/sha256").iterdir()
    layer, content = next(
        (path, raw) for path in blobs if not (raw := path.read_bytes()).startswith(b"{")
    )
    layer.write_bytes(bytes(len(content)))
    assert run_airbundle(*command).status == 3
    assert (work_dir / "out").is_dir()
    assert not (work_dir / "out/index.json").exists()
    layer.write_bytes(content)
    planned = run_airbundle(*command, "--dry-run")
    assert planned.status == 0, planned.stderr
    assert "  new" in planned.stdout
    assert run_airbundle(*command).status == 0
