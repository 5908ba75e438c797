"""Times airbundle beside the tools that do the same work, on this machine, over loopback.

It makes its own images, starts its own registries, runs what it compares in turns with warm
caches, and prints the medians of whole-process times, the ratios, and what they must be at most.
Nothing of it is durable but airbundle's work: the others leave theirs to the kernel.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.benchmark import (
    bundle_rows,
    contents,
    copy_rows,
    memory_rows,
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
    "copy": copy_rows.copy,
    "archives": copy_rows.archives,
    "layers": copy_rows.layers,
    "compress": copy_rows.compress,
    "sync": sync_rows.sync,
    "verify": bundle_rows.verify,
    "inspect": start_rows.inspect,
    "start": start_rows.start,
}
"""What ``--only`` chooses from, in the table's order."""


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
        finally:  # what took minutes to measure is shown, whatever fails after it
            print(table.table(rows))
    if options.json:
        options.json.write_text(json.dumps(meter.raw(), indent=2) + "\n")


def _measured(bench: Bench, options: argparse.Namespace) -> Iterator[list[table.Row]]:
    """The rows that are wanted, and the highest peak of them all."""
    if options.memory:
        yield memory_rows.memory(bench)
        return
    for name in [name for name in ROWS if name in (options.only or ROWS)]:
        yield ROWS[name](bench)
    peaks = [one.peak for (_, name), one in bench.meter.results.items() if name == "airbundle"]
    yield [table.peak("peak memory of any of these", max(peaks))]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "--size",
        type=lambda text: SIZES.get(text) or int(text),
        default="full",
        help="full (1600), small (160), or a number: unique megabytes of all images",
    )
    parser.add_argument("--runs", type=int, default=5, help="measured runs of each (5)")
    parser.add_argument("--skopeo", action="append", default=[], help="a further, newer skopeo")
    parser.add_argument("--crane", help="a crane that is not on the PATH")
    parser.add_argument(
        "--only", action="append", default=[], choices=tuple(ROWS), help="only these rows"
    )
    parser.add_argument(
        "--memory", action="store_true", help="only peak memory, at the size and at 10 times it"
    )
    parser.add_argument("--work", default="/var/tmp", help="where there is room (/var/tmp)")
    parser.add_argument("--json", type=Path, help="write every run to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
