"""The command as a user runs it: a process of its own, in a home of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pytest

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a finished process left."""

    status: int
    stdout: str
    stderr: str


class RunAirbundle(Protocol):
    """Run ``airbundle`` with arguments; standard input is ``stdin``, else empty."""

    def __call__(
        self, *arguments: object, stdin: str = "", env: dict[str, str] | None = None
    ) -> Outcome: ...


@pytest.fixture
def hermetic_environment(tmp_path: Path) -> dict[str, str]:
    """An environment whose home and configuration directories are empty."""
    home = tmp_path / "home"
    runtime = tmp_path / "run"
    home.mkdir()
    runtime.mkdir()
    return {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_RUNTIME_DIR": str(runtime),
        "LANG": "C.UTF-8",
        "PATH": os.environ["PATH"],  # noqa: TID251 - credential helpers and gpg are found there
        "PYTHONPATH": os.pathsep.join(sys.path),
    }


@pytest.fixture
def run_airbundle(tmp_path: Path, hermetic_environment: dict[str, str]) -> RunAirbundle:
    """``airbundle`` in a process of its own, started in ``tmp_path``."""

    def run(*arguments: object, stdin: str = "", env: dict[str, str] | None = None) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "bundler.cli.main", *map(str, arguments)],
            input=stdin,
            env=hermetic_environment | (env or {}),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run
