"""Start the program as a command or as an executable file."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

AIRBUNDLE = (sys.executable, "-m", "bundler.cli.main")


def install_program(path: Path) -> None:
    """Write an executable file that runs the program; its name selects the front end."""
    path.write_text(f"#!{sys.executable}\nfrom bundler.cli.main import main\nmain()\n")
    path.chmod(0o755)
