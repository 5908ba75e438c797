"""The scripts pass shellcheck, and the locked dependencies do not depend on a package index."""

from __future__ import annotations

import importlib
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.interop.servers import program

ROOT = Path(__file__).parents[2]
SHELL_STARTS = ("#!/usr/bin/env bash", "#!/bin/sh", "# shellcheck shell=bash")
SHELL = [
    path
    for path in [*(ROOT / "scripts").iterdir(), ROOT / ".ci/run"]
    if path.is_file() and path.read_text().startswith(SHELL_STARTS)
]
LOCKED = sorted((ROOT / "scripts/requirements").iterdir())


@pytest.mark.parametrize("script", SHELL, ids=lambda path: path.name)
def test_script_passes_shellcheck(script: Path) -> None:
    result = subprocess.run(
        [program("shellcheck"), "--external-sources", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (result.returncode, result.stdout) == (0, "")


@pytest.mark.parametrize("file", LOCKED, ids=lambda path: path.name)
def test_locked_requirements_have_hashes_and_no_index(file: Path) -> None:
    text = file.read_text()
    entries = re.split(r"\n(?=\S)", text.strip())

    assert not re.search(r"://|--index|--extra-index|--find-links|\.(org|com|net|io)\b", text)
    assert all("--hash=sha256:" in entry for entry in entries)


def test_locked_requirements_include_direct_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = {
        re.split(r"[=\s]", line)[0]
        for line in (ROOT / "scripts/requirements/runtime.txt").read_text().splitlines()
        if "==" in line
    }

    assert {re.split(r"[<>=~\[]", name)[0] for name in project["dependencies"]} <= locked


@pytest.mark.parametrize("name", ["benchmark", "torturing"])
def test_programs_of_scripts_find_their_modules(name: str) -> None:
    importlib.import_module(f"scripts.{name}.__main__")
