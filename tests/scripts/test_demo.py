"""scripts/demo does the main job, and leaves nothing but what it was asked to leave."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_demo_does_the_main_job(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    environment = os.environ | {"HOME": str(home)}  # noqa: TID251 - pip may be configured in it

    ran = subprocess.run(
        [ROOT / "scripts/demo", tmp_path / "demo"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "It works." in ran.stdout
    assert "airbundle import" in ran.stdout.splitlines()[-1]
    assert (tmp_path / "demo/stick/bundle.json").exists()
    assert list(home.rglob("*.json")) == []
