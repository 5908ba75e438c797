"""Rows of the torture: how each is described and run, and the results that it prints."""

from __future__ import annotations

import random
import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True, slots=True)
class Result:
    """The result of one row, or of a part of it."""

    name: str
    count: str
    """Number of cases, with their unit."""
    result: str
    limit: str
    met: bool

    def __str__(self) -> str:
        verdict = "" if self.met else "  missed"
        return f"{self.name}: {self.count}: {self.result} (limit: {self.limit}){verdict}"


@dataclass(frozen=True, slots=True)
class Torture:
    """The options of one run."""

    work: Path
    """Directory for temporary files."""
    seed: int
    count: int | None
    """Number of cases; None: that of the row."""
    skopeo: str
    record: Path | None

    def random(self, *parts: object) -> random.Random:
        """Return a generator that depends on the seed and on ``parts`` alone."""
        return random.Random(f"{self.seed} {parts}")

    @contextmanager
    def directory(self) -> Iterator[Path]:
        """Create a directory, and remove it at the end."""
        path = Path(tempfile.mkdtemp(prefix="airbundle-torture-", dir=self.work))
        try:
            yield path
        finally:
            shutil.rmtree(path)


@dataclass(frozen=True, slots=True)
class Row:
    """A row that can be chosen by its name."""

    summary: str
    run: Callable[[Torture, int], Iterator[Result]]
    """Runs a number of cases."""
    count: int
    """Default number of cases; 0: all that exist."""


@dataclass(slots=True)
class Violations:
    """Violations of one row, which are printed at once."""

    name: str
    number: int = 0

    def check(self, problem: str | None, case: str) -> None:
        """Count and print a problem; None: none."""
        if problem is not None:
            self.number += 1
            print(f"{self.name}, {case}: {problem}", flush=True)

    def result(self, count: str) -> Result:
        """Return the result: no violation is permitted."""
        return Result(self.name, count, f"{self.number} violations", "0", self.number == 0)
