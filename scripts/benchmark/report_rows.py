"""Rows for the report of an audit: the size of its page, and how long a browser opens it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.benchmark.bench import run_in_process
from scripts.benchmark.measuring import Result, Run
from scripts.benchmark.table import MB, Row
from tests import browser
from tests.fakes import application_images, bundles

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.benchmark.bench import Bench

_SIZE_MUST = 12 * MB
_OPENING_MUST = 2.0  # seconds


def report(bench: Bench) -> list[Row]:
    """Write the report of 1,000 images, and open it in Chromium."""
    bundle, rules, page = (bench.work / name for name in ("large", "large.yaml", "large.html"))
    run_in_process(_write_bundle, bundle)
    rules.write_text(application_images.RULES)
    audit = [bench.airbundle, "-q", "audit", str(bundle), "--rules", str(rules)]
    bench.meter.time([[*audit, "--report", str(page), "--no-cache"]])
    size = page.stat().st_size
    result = Result([Run(seconds, 0) for seconds in _open(page, bench.meter.runs)])
    work = f"report of {application_images.IMAGES} images"
    return [
        Row(f"{work}, size", f"{size / MB:.1f} MB", "", "", "≤ 12 MB", size <= _SIZE_MUST),
        Row(f"{work}, opened", str(result), "", "", "≤ 2 s", result.seconds <= _OPENING_MUST),
    ]


def _write_bundle(path: Path) -> None:
    bundles.write(path, application_images.create_images())


def _open(page: Path, runs: int) -> list[float]:
    """Return the seconds until the page is loaded and painted; the first time is left out."""
    with browser.open_browser() as opened:
        return [opened.open(page.as_uri()) for _ in range(runs + 1)][1:]
