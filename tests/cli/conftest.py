"""Fixtures that run the command in a separate process and home directory."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import pytest

from tests import preloaded

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The exit status and the output of a process that has ended."""

    status: int
    stdout: str
    stderr: str


class RunAirbundle(Protocol):
    """Run ``airbundle`` with arguments; ``stdin`` is its standard input."""

    def __call__(
        self, *arguments: object, stdin: str = "", env: dict[str, str] | None = None
    ) -> CommandResult: ...


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
    """``airbundle`` in a process of its own, with ``tmp_path`` as its working directory."""

    def run(
        *arguments: object, stdin: str = "", env: dict[str, str] | None = None
    ) -> CommandResult:
        result = preloaded.run(
            [*map(str, arguments)],
            stdin=stdin,
            env=hermetic_environment | (env or {}),
            cwd=tmp_path,
        )
        return CommandResult(result.returncode, result.stdout, result.stderr)

    return run
