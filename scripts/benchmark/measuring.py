"""Runs what is compared in turns, each as processes of its own, and keeps every time and peak."""

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
"""Prepares what is needed, yields the commands that are timed, and clears up."""


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run: wall seconds of all its processes, and the peak of the largest."""

    seconds: float
    peak: int


@dataclass(slots=True)
class Result:
    """What one contestant did in one row."""

    runs: list[Run] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """The median."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def peak(self) -> int:
        """The largest, in bytes."""
        return max(run.peak for run in self.runs)

    def __str__(self) -> str:
        low, high = (pick(run.seconds for run in self.runs) for pick in (min, max))
        return f"{self.seconds:.3g} s ({low:.3g}-{high:.3g})"


class Meter:
    """All results so far, by work and program; ``runs`` are measured of each contestant."""

    def __init__(self, home: Path, runs: int) -> None:
        self.runs = runs
        self.results: dict[tuple[str, str], Result] = {}
        self._environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8"}  # noqa: TID251

    def compare(
        self, work: str, contestants: dict[str, Contestant], runs: int | None = None
    ) -> None:
        """Run all of them in turns, the first round only to warm the caches."""
        for number in range((runs or self.runs) + 1):
            order = list(contestants.items())
            for name, contestant in order if number % 2 else reversed(order):
                with contestant() as commands:
                    os.sync()  # nobody pays for what another left to the kernel
                    run = self.time(commands)
                if number:
                    self.results.setdefault((work, name), Result()).runs.append(run)
            print(".", end="", file=sys.stderr, flush=True)
        print(f" {work}", file=sys.stderr)

    def time(self, commands: Commands) -> Run:
        """Run them one after the other."""
        start = time.perf_counter()
        peak = max(self._run(command) for command in commands)
        return Run(time.perf_counter() - start, peak)

    def raw(self) -> list[dict[str, object]]:
        """Every run of every row."""
        return [
            {
                "work": work,
                "program": name,
                "seconds": [run.seconds for run in one.runs],
                "peak": one.peak,
            }
            for (work, name), one in self.results.items()
        ]

    def _run(self, command: list[str]) -> int:
        """Run one process to its end; its peak resident size in bytes."""
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                command, env=self._environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                said.seek(0)
                text = said.read()[-2000:].decode(errors="replace")
                sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{text}")
        return usage.ru_maxrss * 1024


def just(commands: Commands) -> Contestant:
    """A contestant that needs nothing but its commands."""

    @contextmanager
    def contestant() -> Iterator[Commands]:
        yield commands

    return contestant


def into(out: Path, commands: Callable[[Path], Commands]) -> Contestant:
    """A contestant that writes to ``out``, which is not there before it runs."""

    @contextmanager
    def contestant() -> Iterator[Commands]:
        yield commands(out)
        if out.is_dir():
            shutil.rmtree(out)
        else:
            out.unlink()

    return contestant
