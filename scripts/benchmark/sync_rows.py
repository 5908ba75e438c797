"""Rows for a sync of many small images to a registry with high latency."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from scripts.benchmark import table
from scripts.benchmark.bench import run_in_process
from scripts.benchmark.latency import run_relay
from tests.fakes import images
from tests.interop import servers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.benchmark.bench import Bench
    from scripts.benchmark.measuring import Commands, Contestant
    from scripts.benchmark.table import Row

IMAGES = 200
LATENCY = 0.02
RUNS = 2
"""Few runs, because Skopeo takes long."""
_MUST = 0.15
_PLAIN = ("--src-tls-verify=false", "--dest-tls-verify=false")
_SYNC = ("sync", *_PLAIN, "--src", "docker", "--dest", "docker")


def sync(bench: Bench) -> list[Row]:
    """Measure a sync of all tags of a repository between two registries."""
    work = f"sync of {IMAGES} small images, {LATENCY * 1000:.0f} ms per response"
    with servers.registry(bench.work / "many") as registry:
        run_in_process(fill, registry.host)
        with run_relay(registry.host, LATENCY) as source:
            programs = {"airbundle": [bench.airbundle, "-q"]}
            for name, path in bench.programs.skopeos.items():
                programs[name] = [path, "--insecure-policy"]
            contestants = {
                name: _into_new_registry(bench, [*program, *_SYNC, f"{source}/many"])
                for name, program in programs.items()
            }
            bench.meter.compare(work, contestants, min(RUNS, bench.meter.runs))
    return [table.ratio(bench.meter, work, name, _MUST) for name in bench.programs.skopeos]


def fill(host: str) -> None:
    """Push the images: each has one layer of its own and one shared layer."""
    shared = images.layer({"shared": b"shared" * 1000})
    for number in range(IMAGES):
        own = images.layer({"own": b"%d" % number})
        images.push(host, "many", images.image(shared, own), f"v{number}")


def _into_new_registry(bench: Bench, command: list[str]) -> Contestant:
    """Return a contestant whose command copies to an empty registry."""

    @contextmanager
    def contestant() -> Iterator[Commands]:
        with ExitStack() as stack:
            host = stack.enter_context(bench.empty_registry())
            yield [[*command, stack.enter_context(run_relay(host, LATENCY))]]

    return contestant
