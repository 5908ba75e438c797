"""Rows for media: a slow one, recovery data, a second bundle, and the room that runs need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.benchmark import contents, disks, table
from scripts.benchmark.bench import run_in_process
from scripts.benchmark.measuring import plain_contestant, writing_contestant
from scripts.benchmark.table import MB, Row

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scripts.benchmark.bench import Bench

SECONDS = 16
"""The time for which a slow medium writes a bundle: at 100 MB/s if it has 1600 MB."""


def slow_medium(bench: Bench) -> list[Row]:
    """Compare an export to a slow medium with a plain file of the same size."""
    size = _measure(bench.bundle)
    rate, medium = size // SECONDS, bench.work / "medium"
    work = f"export to a medium of {rate / MB:.0f} MB/s, without reading back"
    with disks.slow_medium(medium, size * 5 // 4 + 100 * MB, rate):
        plain = ["dd", "if=/dev/zero", "bs=1M", "iflag=count_bytes", f"count={size}", "conv=fsync"]
        contestants = {
            "airbundle": writing_contestant(
                medium / "ours", lambda out: [[*bench.export(bench.host, out), "--no-read-back"]]
            ),
            "dd": writing_contestant(medium / "file", lambda out: [[*plain, f"of={out}"]]),
        }
        bench.meter.compare(work, contestants)
    return [table.ratio(bench.meter, work, "dd", 1.15)]


def recovery(bench: Bench) -> list[Row]:
    """Compare the time that recovery data adds to an export with that of ``verify``."""
    work = "recovery data at 5%"
    ours = {
        name: writing_contestant(
            bench.work / "ours",
            lambda out, options=options: [[*bench.export(bench.host, out), *options]],
        )
        for name, options in {"with": ("--recovery", "5%"), "without": ()}.items()
    }
    verify = plain_contestant([bench.verify(bench.bundle)])
    bench.meter.compare(work, ours | {"verify": verify})
    with_, without, verified = (
        bench.meter.results[work, name] for name in ("with", "without", "verify")
    )
    added = with_.seconds - without.seconds
    share = added / verified.seconds
    beside = f"verify: {verified}"
    return [Row(work, f"{added:.3g} s", beside, f"{share:.2f}", "≤ 2.00", share <= 2.0)]


def second_bundle(bench: Bench) -> list[Row]:
    """Compare the size of a bundle with that of the layers that changed since the first one."""
    with bench.empty_registry() as host:
        changed = run_in_process(contents.push_two_versions, host, bench.megabytes)
        first, second = bench.work / "first", bench.work / "second"
        names = {
            tag: [f"image-{number}:{tag}" for number in range(contents.IMAGES)]
            for tag in ("v1", "v2")
        }
        holdings = str(bench.work / "first.holdings")
        export = bench.export_names(host, names["v2"], second)
        bench.meter.time(
            [
                bench.export_names(host, names["v1"], first),
                [bench.airbundle, "-q", "holdings", str(first), "-o", holdings, "--unsigned"],
                [*export, "--have", holdings, "--allow-unsigned-have"],
            ]
        )
    size = _measure(second)
    work = f"second bundle, 1 of {contents.LAYERS} layers changed in {contents.IMAGES} images"
    share = size / changed
    beside = f"changed: {changed / MB:.2f} MB"
    return [Row(work, f"{size / MB:.2f} MB", beside, f"{share:.3f}", "≤ 1.02", share <= 1.02)]


def disk_used(bench: Bench) -> list[Row]:
    """Measure the room that a run needs beyond its result, also in temporary files."""
    disk = bench.work / "disk"
    with bench.empty_registry() as target:
        commands = {
            "export": lambda: bench.export(bench.host, disk / "bundle"),
            "export to an archive": lambda: bench.export(bench.host, disk / "bundle.airbundle"),
            "import into a layout": lambda: bench.import_into(bench.bundle, f"oci:{disk}/layout"),
            "import into a registry": lambda: bench.import_(bench.bundle, target),
        }
        return [
            _watch(bench, f"{work}, room beyond the result", disk, command)
            for work, command in commands.items()
        ]


def _watch(bench: Bench, work: str, disk: Path, command: Callable[[], list[str]]) -> Row:
    """Run ``command`` with all that it writes on a disk of its own."""
    with disks.watched_disk(disk) as watch:
        bench.meter.time([["env", f"TMPDIR={disk}", f"HOME={disk}", *command()]])
    beyond = watch.peak - watch.final
    beside = f"result: {watch.final / MB:.1f} MB"
    return Row(work, f"{beyond / MB:.3f} MB", beside, "", "≤ 0.1 MB", beyond <= 0.1 * MB)


def _measure(directory: Path) -> int:
    """Return the bytes of all files in ``directory``."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
