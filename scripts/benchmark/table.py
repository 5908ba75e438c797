"""The rows of the table: the compared programs, the ratio, and its limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scripts.benchmark.measuring import Meter

MB = 1_000_000
PEAK_MUST = 120 * MB


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table."""

    work: str
    ours: str
    other: str
    ratio: str
    must: str
    met: bool | None


def ratio(meter: Meter, work: str, other: str, must: float) -> Row:
    """Return the ratio of airbundle's time to another program's, with the limit ``must``."""
    ours, theirs = meter.results[work, "airbundle"], meter.results[work, other]
    share = ours.seconds / theirs.seconds
    return Row(
        work, str(ours), f"{other}: {theirs}", f"{share:.2f}", f"≤ {must:.2f}", share <= must
    )


def peak(work: str, size: int, must: int = PEAK_MUST) -> Row:
    """Return the row for a memory peak of ``size`` bytes, with the limit ``must``."""
    return Row(work, f"{size / MB:.0f} MB", "", "", f"≤ {must / MB:.0f} MB", size <= must)


def table(rows: list[Row]) -> str:
    """Format all rows as aligned columns."""
    lines = [("work", "airbundle", "beside", "ratio", "must", "")]
    lines += [
        (row.work, row.ours, row.other, row.ratio, row.must, "" if row.met else "missed")
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )
