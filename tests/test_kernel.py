"""A test without its required privilege is skipped and listed at the end; in CI, it fails."""

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
    kernel.PROBES.update({"cpu": lambda: None, "gpu": lambda: "no device"})
"""
TESTS = """
import pytest

@pytest.mark.kernel("cpu")
def test_computes(): pass

@pytest.mark.kernel("cpu", "gpu")
@pytest.mark.parametrize("size", [1, 2])
def test_renders(size): assert size == 1

def test_reads(): pass
"""


@pytest.fixture
def run(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_samples.py").write_text(TESTS)

    def pytest_run(ci: str, *, denies: bool = True) -> subprocess.CompletedProcess[str]:
        if not denies:
            (tmp_path / "conftest.py").write_text(CONFTEST.replace('"no device"', "None"))
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-n", "1", "--color=no", "."],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "CI": ci},  # noqa: TID251
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return pytest_run


def test_skipped_tests_are_listed_before_last_line(run):
    result = run("")

    assert result.returncode == 0, result.stdout
    heading, reason, test, counts = result.stdout.splitlines()[-4:]
    assert "left out (2): forbidden" in heading
    assert reason == "2 need gpu (no device):"
    assert test == "    test_samples.py::test_renders (2 times)"
    assert re.match("2 passed, 2 skipped in ", counts)


def test_denied_right_is_error_in_continuous_integration(run):
    result = run("true")

    assert result.returncode == 1
    assert "continuous integration needs gpu (no device)" in result.stdout
    assert "left out" not in result.stdout
    assert re.match("2 passed, 2 errors in ", result.stdout.splitlines()[-1])


def test_failure_is_printed_when_it_happens(run):
    result = run("", denies=False)

    before_summary, _ = result.stdout.split("= FAILURES =")
    assert "call of test_samples.py::test_renders[2] failed" in before_summary
    assert "assert 2 == 1" in before_summary
    assert "left out" not in result.stdout
