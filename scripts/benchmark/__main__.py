"""Compare the speed of airbundle with that of similar tools, on this machine, over loopback.

The benchmark creates its own images, starts its own registries, runs the compared commands
alternately with warm caches, and prints the medians of wall-clock times, the ratios and their
limits. Only airbundle syncs its output to the disk; the other tools leave that to the kernel.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.benchmark import (
    audit_rows,
    bundle_rows,
    contents,
    copy_rows,
    media_rows,
    memory_rows,
    report_rows,
    serve_rows,
    signature_rows,
    start_rows,
    sync_rows,
    table,
)
from scripts.benchmark.bench import Bench
from scripts.benchmark.measuring import Meter
from scripts.benchmark.programs import Programs

if TYPE_CHECKING:
    from collections.abc import Iterator

SIZES = {"full": 1600, "small": 160}
ROWS = {
    "export": bundle_rows.export,
    "again": bundle_rows.again,
    "import": bundle_rows.import_,
    "archive": bundle_rows.archive,
    "copy": copy_rows.copy,
    "archives": copy_rows.archives,
    "layers": copy_rows.layers,
    "compress": copy_rows.compress,
    "sync": sync_rows.sync,
    "verify": bundle_rows.verify,
    "verify-signed": signature_rows.verify,
    "import-signed": signature_rows.import_,
    "serve": serve_rows.serve,
    "audit": audit_rows.audit,
    "lists": audit_rows.lists,
    "report": report_rows.report,
    "slow-medium": media_rows.slow_medium,
    "recovery": media_rows.recovery,
    "second-bundle": media_rows.second_bundle,
    "disk-used": media_rows.disk_used,
    "large-blob": memory_rows.large_blob,
    "many-blobs": memory_rows.many_blobs,
    "inspect": start_rows.inspect,
    "start": start_rows.start,
}
"""The choices of ``--only``, in the order of the table."""


def main() -> None:
    """Run the benchmark and print its table."""
    options = _options()
    programs = Programs.find(options.skopeo, options.crane)
    images = contents.APPLICATIONS * contents.VERSIONS
    print(programs)
    print(f"{images} images, {options.size} MB unique, median of {options.runs}", flush=True)
    rows: list[table.Row] = []
    with tempfile.TemporaryDirectory(prefix="airbundle-bench-", dir=options.work) as work:
        meter = Meter(Path(work), options.runs)
        try:
            with closing(Bench(Path(work), programs, meter, options.size)) as bench:
                for measured in _measured(bench, options):
                    rows += measured
        finally:  # print the measured rows even if a later one fails
            print(table.table(rows))
    if options.json:
        options.json.write_text(json.dumps(meter.raw(), indent=2) + "\n")


def _measured(bench: Bench, options: argparse.Namespace) -> Iterator[list[table.Row]]:
    """Yield the requested rows, and then the highest memory peak of all of them."""
    if options.memory:
        yield memory_rows.memory(bench)
        return
    for name in [name for name in ROWS if name in (options.only or ROWS)]:
        yield ROWS[name](bench)
    peaks = [
        result.peak for (_, name), result in bench.meter.results.items() if name == "airbundle"
    ]
    if peaks:
        yield [table.peak("highest peak memory of these rows", max(peaks))]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "--size",
        type=lambda text: SIZES.get(text) or int(text),
        default="full",
        help="full (1600), small (160), or a number: unique megabytes of all images",
    )
    parser.add_argument(
        "--runs", type=int, default=5, help="measured runs of each command (default: 5)"
    )
    parser.add_argument(
        "--skopeo", action="append", default=[], help="path of an additional skopeo"
    )
    parser.add_argument("--crane", help="path of an additional crane")
    parser.add_argument(
        "--only", action="append", default=[], choices=tuple(ROWS), help="measure only these rows"
    )
    parser.add_argument(
        "--memory",
        action="store_true",
        help="measure only peak memory, at the size and at 10 times the size",
    )
    parser.add_argument("--work", default="/var/tmp", help="working directory (default: /var/tmp)")
    parser.add_argument("--json", type=Path, help="write every run to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
