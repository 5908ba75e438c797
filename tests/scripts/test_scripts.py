"""The scripts are well formed, and the locked dependencies hold wherever pip is told to look."""

from __future__ import annotations

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
def test_shellcheck_finds_nothing(script: Path) -> None:
    ran = subprocess.run(
        [program("shellcheck"), "--external-sources", script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ran.returncode, ran.stdout) == (0, "")


@pytest.mark.parametrize("file", LOCKED, ids=lambda path: path.name)
def test_lock_has_hashes_and_names_no_registry(file: Path) -> None:
    text = file.read_text()
    entries = re.split(r"\n(?=\S)", text.strip())

    assert not re.search(r"://|--index|--extra-index|--find-links|\.(org|com|net|io)\b", text)
    assert all("--hash=sha256:" in entry for entry in entries)


def test_lock_holds_every_direct_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    locked = {
        re.split(r"[=\s]", line)[0]
        for line in (ROOT / "scripts/requirements/runtime.txt").read_text().splitlines()
        if "==" in line
    }

    assert {re.split(r"[<>=~\[]", name)[0] for name in project["dependencies"]} <= locked
