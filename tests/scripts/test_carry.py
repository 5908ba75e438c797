"""scripts/carry writes a directory that can be installed without a network."""

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
    result = subprocess.run(
        [ROOT / "scripts/carry", directory], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return directory


@pytest.mark.kernel("network namespaces")
def test_install_needs_no_network(stick: Path, tmp_path: Path) -> None:
    result = install(stick, tmp_path / "installed")

    assert result.returncode == 0, result.stdout + result.stderr
    airbundle = tmp_path / "installed/bin/airbundle"
    assert run_offline(airbundle, "--version", home=tmp_path).stdout.startswith("airbundle ")
    keygen = run_offline(airbundle, "keygen", "--no-passphrase", tmp_path / "key", home=tmp_path)
    assert keygen.returncode == 0, keygen.stderr


def test_carry_includes_wheels_for_every_python_and_architecture(stick: Path) -> None:
    names = [path.name for path in (stick / "wheels").iterdir()]

    for python in ("cp311", "cp312", "cp313"):
        for architecture in ("x86_64", "aarch64"):
            assert any(f"-{python}-{python}-" in name and architecture in name for name in names)
    assert all(name.endswith(".whl") for name in names)


def test_repeated_carry_replaces_wheels(stick: Path, tmp_path: Path) -> None:
    copy = tmp_path / "stick"
    shutil.copytree(stick, copy)
    (copy / "wheels/old-1.0-py3-none-any.whl").write_bytes(b"")

    # The first carried directory replaces the package index; it contains the same wheels.
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
def test_install_refuses_damaged_wheel(stick: Path, tmp_path: Path) -> None:
    copy = tmp_path / "stick"
    shutil.copytree(stick, copy)
    with next((copy / "wheels").glob("click-*.whl")).open("ab") as wheel:
        wheel.write(b"x")

    result = install(copy, tmp_path / "installed")

    assert result.returncode == 1
    assert "damaged or incomplete" in result.stderr
    assert not (tmp_path / "installed").exists()


@pytest.mark.kernel("network namespaces")
def test_install_refuses_unsupported_python(stick: Path, tmp_path: Path) -> None:
    old = tmp_path / "python"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\nexit 1\n')
    old.chmod(0o755)

    result = install(stick, tmp_path / "installed", python=str(old))

    assert result.returncode == 1
    assert result.stderr == (
        "install.sh: no supported Python (expected 3.11, 3.12 or 3.13, got Python 3.9.2)\n"
    )


def test_carry_refuses_directory_with_other_files(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"")

    result = subprocess.run(
        [ROOT / "scripts/carry", tmp_path], capture_output=True, text=True, check=False
    )

    assert result.returncode == 1
    assert "contains other files" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["holiday.jpg"]


def install(
    stick: Path, directory: Path, *, python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    return run_offline("sh", stick / "install.sh", directory, home=directory.parent, PYTHON=python)


def run_offline(
    *command: object, home: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command in a network namespace without an outside connection."""
    return subprocess.run(
        [*namespace("net"), *map(str, command)],
        env={"PATH": os.environ["PATH"], "HOME": str(home), **environment},  # noqa: TID251
        capture_output=True,
        text=True,
        check=False,
    )
