"""Rows for the peak memory of each command, at the size and at ten times the size."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from scripts.benchmark import table

if TYPE_CHECKING:
    from scripts.benchmark.bench import Bench
    from scripts.benchmark.table import Row


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
