"""``airbundle plan`` and ``export --dry-run``: warnings about the destination."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle


@pytest.mark.parametrize("command", [("plan",), ("export", "--dry-run")])
def test_plan_warns_if_export_would_refuse_directory(
    work_dir: Path, run_airbundle: RunAirbundle, command: tuple[str, ...]
):
    name, *flags = command
    result = run_airbundle(name, "ward.yaml", "media/stick", *flags)
    assert result.status == 0, result.stderr
    assert "warning: the export would be refused: " in result.stderr
    assert "media: no such directory" in result.stderr
    value = json.loads(run_airbundle(name, "ward.yaml", "media/stick", *flags, "--json").stdout)
    assert "no such directory" in value["refusal"]["message"]
    assert "--parents" in value["refusal"]["hint"]
    assert not (work_dir / "media").exists()


def test_plan_does_not_warn_if_export_is_possible(work_dir: Path, run_airbundle: RunAirbundle):
    result = run_airbundle("plan", "ward.yaml", "stick", "--json")
    assert "would be refused" not in result.stderr
    value = json.loads(result.stdout)
    assert value["refusal"] is None
    assert value["room"]["device"]
    dry_run = ("export", "ward.yaml", "media/stick", "--dry-run", "--parents")
    assert "would be refused" not in run_airbundle(*dry_run).stderr
