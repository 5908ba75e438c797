"""Rows for the start time of the program."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from scripts.benchmark import table
from scripts.benchmark.measuring import plain_contestant
from tests.fakes import images

if TYPE_CHECKING:
    from scripts.benchmark.bench import Bench
    from scripts.benchmark.table import Row

IMPORT_CLICK = "import click"


def start(bench: Bench) -> list[Row]:
    """Compare --help and --version with ``import click``, the minimum for this program."""
    rows = []
    for option in ("--help", "--version"):
        work = f"airbundle {option}"
        compare_with_click(bench, work, [bench.airbundle, option])
        rows.append(table.ratio(bench.meter, work, IMPORT_CLICK, 2.5))
    return rows


def inspect(bench: Bench) -> list[Row]:
    """Compare an inspection of an image in a layout with ``import click``."""
    work = "airbundle inspect oci:"
    layout = bench.work / "small"
    if not layout.exists():
        images.write_layout(layout, {"1": images.image()})
    compare_with_click(bench, work, [bench.airbundle, "inspect", f"oci:{layout}:1"])
    return [table.ratio(bench.meter, work, IMPORT_CLICK, 4.0)]


def compare_with_click(bench: Bench, work: str, command: list[str]) -> None:
    """Compare a short command of airbundle with ``import click``, with more runs."""
    click = plain_contestant([[sys.executable, "-c", "import click"]])
    contestants = {"airbundle": plain_contestant([command]), IMPORT_CLICK: click}
    bench.meter.compare(work, contestants, runs=4 * bench.meter.runs)
