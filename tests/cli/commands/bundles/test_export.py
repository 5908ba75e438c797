"""``airbundle export``: messages, the medium, and missing directories."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.cli.commands.bundles.conftest import MANIFEST

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle


def test_export_reports_new_digest_of_stripped_index(work_dir: Path, run_airbundle: RunAirbundle):
    result = run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    assert result.status == 0, result.stderr
    new = [line for line in result.stdout.splitlines() if line.startswith("new digest")]
    assert len(new) == 1
    assert "localhost/tool:2" in new[0]


def test_export_of_missing_image_names_line_of_manifest(
    work_dir: Path, run_airbundle: RunAirbundle
):
    (work_dir / "ward.yaml").write_text(f"{MANIFEST}  - oci:./layout:gone:3\n")
    result = run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    assert result.status == 9
    assert "ward.yaml:6" in result.stderr
    assert not (work_dir / "stick").exists()


def test_export_reports_medium(work_dir: Path, run_airbundle: RunAirbundle):
    result = run_airbundle("export", "ward.yaml", "stick", "--unsigned")
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("medium: ")]
    report = json.loads(
        run_airbundle("export", "ward.yaml", "stick", "--unsigned", "--json").stdout
    )
    medium = report["medium"]
    assert f"{medium['device']} ({medium['fileSystem']}) at {medium['mountPoint']}" in line
    assert line.endswith(" free")
    assert medium["free"] > 0


def test_export_creates_parent_directories_only_with_parents(
    work_dir: Path, run_airbundle: RunAirbundle
):
    export = ("export", "ward.yaml", "media/stick", "--unsigned")
    result = run_airbundle(*export)
    assert result.status == 5
    assert "--parents" in result.stderr
    assert not (work_dir / "media").exists()
    assert run_airbundle(*export, "--parents").status == 0


def test_quiet_export_prints_nothing_on_stderr(work_dir: Path, run_airbundle: RunAirbundle):
    result = run_airbundle("export", "ward.yaml", "stick", "--unsigned", "--quiet")
    assert (result.status, result.stderr) == (0, "")
    assert (work_dir / "stick/bundle.json").exists()


def test_export_reports_date_and_time_of_expiry(work_dir: Path, run_airbundle: RunAirbundle):
    (work_dir / "ward.yaml").write_text(f"expires: 120d\n{MANIFEST}")
    export = ("export", "ward.yaml", "stick", "--unsigned")
    first, second = run_airbundle(*export).stdout, run_airbundle(*export).stdout
    expires = json.loads((work_dir / "stick/bundle.json").read_text())["expires"]
    assert f", expires {expires[:10]} {expires[11:16]} UTC\n" in first
    assert f", expires {expires[:10]} {expires[11:16]} UTC\n" in second
