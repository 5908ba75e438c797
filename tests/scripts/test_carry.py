"""What scripts/carry puts on a stick installs and runs without any network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernel import namespace

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def stick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("stick") / "airbundle"
    ran = subprocess.run(
        [ROOT / "scripts/carry", directory], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return directory


@pytest.mark.kernel("network namespaces")
def test_installs_without_network(stick: Path, tmp_path: Path) -> None:
    ran = install(stick, tmp_path / "installed")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    airbundle = tmp_path / "installed/bin/airbundle"
    assert offline(airbundle, "--version", home=tmp_path).stdout.startswith("airbundle ")
    made = offline(airbundle, "keygen", "--no-passphrase", tmp_path / "key", home=tmp_path)
    assert made.returncode == 0, made.stderr


def test_carries_wheels_for_every_python_and_machine(stick: Path) -> None:
    names = [path.name for path in (stick / "wheels").iterdir()]

    for python in ("cp311", "cp312", "cp313"):
        for machine in ("x86_64", "aarch64"):
            assert any(f"-{python}-{python}-" in name and machine in name for name in names)
    assert all(name.endswith(".whl") for name in names)


def test_carried_again_it_replaces_what_it_carried(stick: Path, tmp_path: Path) -> None:
    copy = tmp_path / "stick"
    shutil.copytree(stick, copy)
    (copy / "wheels/old-1.0-py3-none-any.whl").write_bytes(b"")

    # The first stick stands in for the package index, which has served the same wheels already.
    index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(stick / "wheels")}
    subprocess.run(
        [ROOT / "scripts/carry", copy],
        env={**os.environ, **index},  # noqa: TID251
        capture_output=True,
        check=True,
    )

    assert {p.name for p in (copy / "wheels").iterdir()} == {
        p.name for p in (stick / "wheels").iterdir()
    }


@pytest.mark.kernel("network namespaces")
def test_a_damaged_wheel_is_not_installed(stick: Path, tmp_path: Path) -> None:
    copy = tmp_path / "stick"
    shutil.copytree(stick, copy)
    with next((copy / "wheels").glob("click-*.whl")).open("ab") as wheel:
        wheel.write(b"x")

    ran = install(copy, tmp_path / "installed")

    assert ran.returncode == 1
    assert "damaged or incomplete" in ran.stderr
    assert not (tmp_path / "installed").exists()


@pytest.mark.kernel("network namespaces")
def test_another_python_is_refused(stick: Path, tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\nexit 1\n')
    old.chmod(0o755)

    ran = install(stick, tmp_path / "installed", python=str(old))

    assert ran.returncode == 1
    assert ran.stderr == ("install.sh: needs Python 3.11, 3.12 or 3.13; found: Python 3.9.2\n")


def test_a_folder_with_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")

    ran = subprocess.run(
        [ROOT / "scripts/carry", tmp_path], capture_output=True, text=True, check=False
    )

    assert ran.returncode == 1
    assert "holds something else" in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def install(
    stick: Path, directory: Path, *, python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    return offline("sh", stick / "install.sh", directory, home=directory.parent, PYTHON=python)


def offline(*command: object, home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a network namespace that has no way out."""
    return subprocess.run(
        [*namespace("net"), *map(str, command)],
        env={"PATH": os.environ["PATH"], "HOME": str(home), **environment},  # noqa: TID251
        capture_output=True,
        text=True,
        check=False,
    )
