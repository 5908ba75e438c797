"""A test that needs a right which is denied is left out, listed at the end, and fails in CI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CONFTEST = """
pytest_plugins = ["tests.failures", "tests.kernel"]

def pytest_configure():
    from tests import kernel
    kernel.PROBES.update({"air": lambda: None, "wings": lambda: "too heavy"})
"""
TESTS = """
import pytest

@pytest.mark.kernel("air")
def test_breathes(): pass

@pytest.mark.kernel("air", "wings")
@pytest.mark.parametrize("height", [1, 2])
def test_flies(height): assert height == 1

def test_walks(): pass
"""


@pytest.fixture
def run(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_animals.py").write_text(TESTS)

    def pytest_run(ci: str, *, denies: bool = True) -> subprocess.CompletedProcess[str]:
        if not denies:
            (tmp_path / "conftest.py").write_text(CONFTEST.replace('"too heavy"', "None"))
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-n", "1", "--color=no", "."],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "CI": ci},  # noqa: TID251
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return pytest_run


def test_what_is_left_out_is_listed_before_the_last_line(run):
    ran = run("")

    assert ran.returncode == 0, ran.stdout
    heading, reason, test, counts = ran.stdout.splitlines()[-4:]
    assert "left out (2): forbidden" in heading
    assert reason == "2 need wings (too heavy):"
    assert test == "    test_animals.py::test_flies (2 times)"
    assert re.match("2 passed, 2 skipped in ", counts)


def test_continuous_integration_leaves_nothing_out(run):
    ran = run("true")

    assert ran.returncode == 1
    assert "continuous integration needs wings (too heavy)" in ran.stdout
    assert "left out" not in ran.stdout
    assert re.match("2 passed, 2 errors in ", ran.stdout.splitlines()[-1])


def test_a_failure_is_shown_when_it_happens(run):
    ran = run("", denies=False)

    now, _ = ran.stdout.split("= FAILURES =")
    assert "call of test_animals.py::test_flies[2] failed" in now
    assert "assert 2 == 1" in now
    assert "left out" not in ran.stdout
