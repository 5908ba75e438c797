"""``airbundle import``: messages, receipts and the options of the target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle


def test_import_reports_result_of_each_name(work_dir: Path, run_airbundle: RunAirbundle):
    run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    command = ("import", "stick", "oci:inside", "--allow-unsigned")
    header, first, *_ = run_airbundle(*command).stdout.splitlines()
    assert header.split("  ")[-1].strip() == "RESULT"
    assert first.endswith("  new")
    assert "already present" in run_airbundle(*command).stdout


def test_imports_within_one_second_write_separate_receipts(
    work_dir: Path, run_airbundle: RunAirbundle
):
    run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    for number in range(4):
        run_airbundle("import", "stick", f"oci:inside-{number}", "--allow-unsigned")
    receipts = work_dir / "home/.local/state/airbundle/receipts"
    assert len(list(receipts.iterdir())) == 4


def test_quiet_import_prints_nothing_on_stderr(work_dir: Path, run_airbundle: RunAirbundle):
    run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    result = run_airbundle("import", "stick", "oci:inside", "--allow-unsigned", "-q")
    assert (result.status, result.stderr) == (0, "")
    assert (work_dir / "inside/index.json").exists()


def test_import_refuses_unwritable_receipt_before_any_write(work_dir: Path, run_airbundle):
    run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    command = ("import", "stick", "oci:elsewhere", "--allow-unsigned")
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
        arguments = ("import", "stick", "plant.yaml", "--allow-unsigned")
        wrong = {"U": "user", "P": "wrong"}
        assert run_airbundle(*arguments, env=wrong).status == 7
        result = run_airbundle(*arguments, "--creds=user:password", env=wrong)
    assert result.status == 0, result.stderr
