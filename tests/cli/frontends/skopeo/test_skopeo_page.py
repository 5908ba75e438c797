"""The commands on the page for users of Skopeo run as printed."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.launcher import install_program
from tests.fakes import images

PAGE = Path(__file__).parents[4] / "docs" / "skopeo.md"
COMMANDS = re.findall(r"^\$ (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", ["airbundle", "skopeo"])
def test_commands_of_the_page_succeed_in_order(tmp_path, hermetic_environment, name):
    """They succeed under either name of the program, in a directory with a layout."""
    images.write_layout(tmp_path / "layout", {"app": images.multi_platform("app", "linux/amd64")})
    launcher = tmp_path / "bin" / name
    launcher.parent.mkdir()
    install_program(launcher)
    path = f"{launcher.parent}{os.pathsep}{hermetic_environment['PATH']}"
    environment = hermetic_environment | {"PATH": path, "PYTHONPATH": str(PAGE.parents[1])}
    commands = COMMANDS if name == "airbundle" else _as_skopeo()
    assert commands
    for command in commands:
        ran = subprocess.run(
            ["bash", "-c", command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, f"{command}\n{ran.stderr}"


def _as_skopeo() -> list[str]:
    """Return the command lines with Skopeo's name in place of ``--as skopeo``."""
    old = "airbundle --as skopeo "
    return [f"skopeo {line.removeprefix(old)}" for line in COMMANDS if line.startswith(old)]
