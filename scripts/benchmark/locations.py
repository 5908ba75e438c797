"""Sources and destinations of copies, one for each transport."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.interop import servers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from scripts.benchmark.bench import Bench

LOCAL = {
    "dir": "dir:{}",
    "oci": "oci:{}:1",
    "oci-archive": "oci-archive:{}:1",
    "docker-archive": "docker-archive:{}:example.com/single:1",
}
DAEMON = "docker-daemon:example.com/single:1"


@dataclass(frozen=True, slots=True)
class Location:
    """A reference for a command line, with the options for its side."""

    reference: str
    options: tuple[str, ...] = ()


def source(bench: Bench, transport: str, name: str = "single") -> Location:
    """Return a source with the image ``name:1``, created on the first call and then reused."""
    origin = Location(f"docker://{bench.pair}/{name}:1")
    if transport == "docker":
        return origin
    if transport == "docker-daemon":
        location = Location(DAEMON, ("--src-daemon-host", bench.engine))
        if not _has(bench.engine):
            fill = ("--dest-daemon-host", bench.engine)
            bench.meter.time([bench.copy(origin.reference, DAEMON, *fill)])
        return location
    path = bench.work / f"{name}-{transport}"
    location = Location(LOCAL[transport].format(path))
    if not path.exists():
        bench.meter.time([bench.copy(origin.reference, location.reference)])
    return location


@contextmanager
def destination(bench: Bench, transport: str) -> Iterator[Location]:
    """Provide an empty destination, which is removed after the block."""
    if transport == "docker":
        with bench.empty_registry() as host:
            yield Location(f"docker://{host}/copied:1")
    elif transport == "docker-daemon":
        _remove_image(bench.engine)
        yield Location(DAEMON, ("--dest-daemon-host", bench.engine))
        _remove_image(bench.engine)
    else:
        path = bench.work / "copied"
        yield Location(LOCAL[transport].format(path))
        _remove(path)


def _has(engine: str) -> bool:
    return bool(_docker(engine, "images", "--quiet"))


def _remove_image(engine: str) -> None:
    """Remove the image with its layers, because an engine does not unpack existing layers."""
    if _has(engine):
        _docker(engine, "rmi", "--force", DAEMON.partition(":")[2])


def _docker(engine: str, *arguments: str) -> str:
    command = [servers.program("docker"), "--host", engine, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
