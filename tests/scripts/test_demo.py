"""scripts/demo runs export, verify, import and serve, and writes only to the given directory."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_demo_exports_verifies_imports_and_serves(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = os.environ | {"HOME": str(home)}  # noqa: TID251 - pip may be configured in it

    result = subprocess.run(
        [ROOT / "scripts/demo", tmp_path / "demo"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.returncode == 0, result.stdout + result.stderr
    assert "The digests on both sides are equal:" in result.stdout
    assert "airbundle import" in result.stdout.splitlines()[-1]
    assert (tmp_path / "demo/stick/bundle.json").exists()
    assert (tmp_path / "demo/pulled/index.json").exists()
    assert list(home.rglob("*.json")) == []
