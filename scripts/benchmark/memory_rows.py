"""Rows for the peak memory of each command, by the size and the number of blobs."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from scripts.benchmark import contents, table
from scripts.benchmark.bench import run_in_process
from scripts.benchmark.table import MB

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scripts.benchmark.bench import Bench
    from scripts.benchmark.table import Row

LARGE_BLOB = 10_000 / 1600
"""The size of one large blob by that of the benchmark."""
MANY_BLOBS = 50_000 / 1600
"""The number of small blobs for each megabyte of the benchmark."""
PEAK_MUST = 150 * MB


def memory(bench: Bench) -> list[Row]:
    """Measure the memory peak of each command."""
    rows = []
    for megabytes in (bench.megabytes, 10 * bench.megabytes):
        bundle, copied = bench.work / "bundle", bench.work / "copied"
        with bench.filled_registry(megabytes) as host:
            shutil.rmtree(bundle, ignore_errors=True)
            commands = {
                "export": bench.export(host, bundle),
                "export again": bench.export(host, bundle),
                "verify": bench.verify(bundle),
                "copy": bench.copy(f"docker://{host}/single:1", f"oci:{copied}:1"),
            }
            for name, command in commands.items():
                rows.append(table.peak(f"{name}, {megabytes} MB", bench.meter.time([command]).peak))
            with bench.empty_registry() as target:
                for name in ("import", "import again"):
                    peak = bench.meter.time([bench.import_(bundle, target)]).peak
                    rows.append(table.peak(f"{name}, {megabytes} MB", peak))
            shutil.rmtree(copied)
    return rows


def large_blob(bench: Bench) -> list[Row]:
    """Measure the memory peaks for an image with one large layer."""
    size = int(bench.megabytes * LARGE_BLOB)
    layout = bench.work / "large"
    run_in_process(contents.write_large, layout, size * MB)
    return _measure(bench, layout, ["1"], f"1 blob of {size} MB")


def many_blobs(bench: Bench) -> list[Row]:
    """Measure the memory peaks for images with many small layers."""
    count = int(bench.megabytes * MANY_BLOBS)
    layout = bench.work / "many"
    names = run_in_process(contents.write_many, layout, count)
    return _measure(bench, layout, names, f"{count} blobs")


def _measure(bench: Bench, layout: Path, names: Sequence[str], what: str) -> list[Row]:
    """Measure each command with a directory and with an archive of the images of ``layout``."""
    references = [f"oci:{layout}:{name}" for name in names]
    rows = []
    for form, bundle in (
        ("directory", bench.work / "measured"),
        ("archive", bench.work / "measured.airbundle"),
    ):
        export = bench.export_references(references, bundle)
        commands = {"export": export, "verify": bench.verify(bundle)}
        peaks = {name: bench.meter.time([command]).peak for name, command in commands.items()}
        with bench.empty_registry() as target:
            peaks["import"] = bench.meter.time([bench.import_(bundle, target)]).peak
        rows += [
            table.peak(f"{name}, {form}, {what}", peak, PEAK_MUST) for name, peak in peaks.items()
        ]
        if form == "directory":
            shutil.rmtree(bundle)
        else:
            bundle.unlink()
    shutil.rmtree(layout)
    return rows
