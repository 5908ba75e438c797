"""Rows for copies of one image between each pair of transports."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

from scripts.benchmark import contents, locations, table
from scripts.benchmark.bench import run_in_process, skopeo_copy
from scripts.benchmark.programs import is_old

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.benchmark.bench import Bench
    from scripts.benchmark.locations import Location
    from scripts.benchmark.measuring import Commands, Contestant
    from scripts.benchmark.table import Row

MAIN = ("docker", "dir", "oci")
OTHER = ("oci-archive", "docker-archive", "docker-daemon")
UNCOMPRESSED = 500 / 1600
"""The share of the image with uncompressed layers."""

Write = Callable[..., list[str]]
"""Returns a command for a source, a destination and options."""


def copy(bench: Bench) -> list[Row]:
    """Measure each pair of the most frequently used transports."""
    return [
        row
        for origin, target in product(MAIN, MAIN)
        for row in _between(bench, origin, target, lambda name: 0.9 if is_old(name) else 1.1)
    ]


def archives(bench: Bench) -> list[Row]:
    """Measure copies from a registry to archives and an engine, and the reverse."""
    pairs = [pair for transport in OTHER for pair in (("docker", transport), (transport, "docker"))]
    return [row for pair in pairs for row in _between(bench, *pair, lambda _: 1.0)]


def layers(bench: Bench) -> list[Row]:
    """Measure a copy of several layers to a registry, which can run in parallel."""
    return [
        row
        for origin in ("dir", "oci")
        for row in _between(bench, origin, "docker", lambda _: 0.6, "eight")
    ]


def compress(bench: Bench) -> list[Row]:
    """Measure the compression of layers during a copy to a directory."""
    size = bench.megabytes * UNCOMPRESSED
    layout = bench.work / "uncompressed"
    if not layout.exists():
        run_in_process(contents.write_uncompressed, layout, [size / 4] * 4)
    origin = locations.Location(f"oci:{layout}:1")
    return [
        row
        for algorithm in ("gzip", "zstd")
        for row in _rows(
            bench,
            f"copy oci: to dir: by {algorithm}, {size:.0f} MB",
            (origin, "dir"),
            lambda _: 1.0,
            ("--dest-compress", "--dest-compress-format", algorithm),
        )
    ]


def _between(
    bench: Bench, origin: str, target: str, must: Callable[[str], float], name: str = "single"
) -> list[Row]:
    suffix = ", 8 layers" if name == "eight" else ""
    work = f"copy {origin}: to {target}:, {bench.one_image:.0f} MB{suffix}"
    return _rows(bench, work, (locations.source(bench, origin, name), target), must)


def _rows(
    bench: Bench,
    work: str,
    pair: tuple[Location, str],
    must: Callable[[str], float],
    options: tuple[str, ...] = (),
) -> list[Row]:
    """Compare airbundle with each other program."""
    others = {name: partial(skopeo_copy, path) for name, path in bench.programs.skopeos.items()}
    contestants = {
        name: _contestant(bench, write, *pair, options)
        for name, write in {"airbundle": bench.copy, **others}.items()
    }
    bench.meter.compare(work, contestants)
    return [table.ratio(bench.meter, work, name, must(name)) for name in others]


def _contestant(
    bench: Bench, write: Write, origin: Location, target: str, options: tuple[str, ...]
) -> Contestant:
    @contextmanager
    def contestant() -> Iterator[Commands]:
        with locations.destination(bench, target) as location:
            more = (*origin.options, *location.options, *options)
            yield [write(origin.reference, location.reference, *more)]

    return contestant
