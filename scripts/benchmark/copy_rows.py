"""Rows for copies of one image between each pair of transports."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

from scripts.benchmark import contents, places, table
from scripts.benchmark.bench import apart, skopeo_copy
from scripts.benchmark.programs import is_old

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.benchmark.bench import Bench
    from scripts.benchmark.measuring import Commands, Contestant
    from scripts.benchmark.places import Place
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
        for origin, goal in product(MAIN, MAIN)
        for row in _between(bench, origin, goal, lambda name: 0.9 if is_old(name) else 1.1)
    ]


def archives(bench: Bench) -> list[Row]:
    """Measure copies from a registry to archives and an engine, and the reverse."""
    pairs = [pair for one in OTHER for pair in (("docker", one), (one, "docker"))]
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
        apart(contents.write_uncompressed, layout, [size / 4] * 4)
    origin = places.Place(f"oci:{layout}:1")
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
    bench: Bench, origin: str, goal: str, must: Callable[[str], float], name: str = "single"
) -> list[Row]:
    what = ", 8 layers" if name == "eight" else ""
    work = f"copy {origin}: to {goal}:, {bench.one_image:.0f} MB{what}"
    return _rows(bench, work, (places.source(bench, origin, name), goal), must)


def _rows(
    bench: Bench,
    work: str,
    pair: tuple[Place, str],
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
    bench: Bench, write: Write, origin: Place, goal: str, options: tuple[str, ...]
) -> Contestant:
    @contextmanager
    def contestant() -> Iterator[Commands]:
        with places.destination(bench, goal) as place:
            more = (*origin.options, *place.options, *options)
            yield [write(origin.reference, place.reference, *more)]

    return contestant
