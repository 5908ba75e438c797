"""How long it takes until the program answers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from scripts.benchmark import table
from scripts.benchmark.measuring import just

if TYPE_CHECKING:
    from scripts.benchmark.bench import Bench
    from scripts.benchmark.table import Row

IMPORT_CLICK = "import click"


def start(bench: Bench) -> list[Row]:
    """Its help and its version, beside what no program on click can go without."""
    rows = []
    for option in ("--help", "--version"):
        work = f"airbundle {option}"
        beside_click(bench, work, [bench.airbundle, option])
        rows.append(table.ratio(bench.meter, work, IMPORT_CLICK, 2.5))
    return rows


def beside_click(bench: Bench, work: str, command: list[str]) -> None:
    """Time a short command of ours; short ones are run more often."""
    click = just([[sys.executable, "-c", "import click"]])
    contestants = {"airbundle": just([command]), IMPORT_CLICK: click}
    bench.meter.compare(work, contestants, runs=4 * bench.meter.runs)
