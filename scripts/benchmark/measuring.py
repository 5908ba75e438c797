"""Run the compared commands alternately, and record the time and memory peak of each run."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Commands = list[list[str]]
Contestant = Callable[[], AbstractContextManager[Commands]]
"""Prepares a run, yields the commands to measure, and cleans up."""


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run: wall-clock seconds of all processes, and the largest memory peak."""

    seconds: float
    peak: int


@dataclass(slots=True)
class Result:
    """The result of one contestant in one row."""

    runs: list[Run] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """The median time in seconds."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def peak(self) -> int:
        """The largest memory peak in bytes."""
        return max(run.peak for run in self.runs)

    def __str__(self) -> str:
        low, high = (pick(run.seconds for run in self.runs) for pick in (min, max))
        return f"{self.seconds:.3g} s ({low:.3g}-{high:.3g})"


class Meter:
    """The results by work and program; each contestant is measured ``runs`` times."""

    def __init__(self, home: Path, runs: int) -> None:
        self.runs = runs
        self.results: dict[tuple[str, str], Result] = {}
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8"}  # noqa: TID251

    def compare(
        self, work: str, contestants: dict[str, Contestant], runs: int | None = None
    ) -> None:
        """Run all contestants alternately; the first round only warms the caches."""
        for number in range((runs or self.runs) + 1):
            order = list(contestants.items())
            for name, contestant in order if number % 2 else reversed(order):
                with contestant() as commands:
                    os.sync()  # writes of the previous run must not slow down this one
                    run = self.time(commands)
                if number:
                    self.results.setdefault((work, name), Result()).runs.append(run)
            print(".", end="", file=sys.stderr, flush=True)
        print(f" {work}", file=sys.stderr)

    def time(self, commands: Commands) -> Run:
        """Run the commands one after the other."""
        start = time.perf_counter()
        peak = max(self._run(command) for command in commands)
        return Run(time.perf_counter() - start, peak)

    def raw(self) -> list[dict[str, object]]:
        """Return every run of every row."""
        return [
            {
                "work": work,
                "program": name,
                "seconds": [run.seconds for run in result.runs],
                "peak": result.peak,
            }
            for (work, name), result in self.results.items()
        ]

    def _run(self, command: list[str]) -> int:
        """Run one process to its end; return its peak resident size in bytes."""
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                output.seek(0)
                text = output.read()[-2000:].decode(errors="replace")
                sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{text}")
        return usage.ru_maxrss * 1024


def plain_contestant(commands: Commands) -> Contestant:
    """Return a contestant without preparation or cleanup."""

    @contextmanager
    def contestant() -> Iterator[Commands]:
        yield commands

    return contestant


def writing_contestant(out: Path, commands: Callable[[Path], Commands]) -> Contestant:
    """Return a contestant that writes to ``out``, which is removed before each run."""

    @contextmanager
    def contestant() -> Iterator[Commands]:
        yield commands(out)
        if out.is_dir():
            shutil.rmtree(out)
        else:
            out.unlink()

    return contestant
