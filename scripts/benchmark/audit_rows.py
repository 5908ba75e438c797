"""Rows for a review: an audit of all layers, the same audit again, and lists of many images."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.benchmark import file_images, table, year_log
from scripts.benchmark.bench import run_in_process
from scripts.benchmark.measuring import plain_contestant
from scripts.benchmark.programs import cores
from scripts.benchmark.table import MB, Row
from tests.fakes import images
from tests.interop import servers

if TYPE_CHECKING:
    from scripts.benchmark.bench import Bench

RULES = {
    "failOn": "error",
    "rules": {
        "no-set-uid-files": "note",
        "no-world-writable-files": "note",
        "no-secret-files": "note",
        "layers-match-config": "error",
        "forbidden-packages": {"packages": ["log4j-core"], "severity": "note"},
        "forbidden-licenses": {"licenses": ["(?i)AGPL"], "severity": "note"},
    },
}
MANY = 1000
"""The number of images in the bundle that is listed."""
MEMORY_MUST = 200 * MB
"""The maximum memory of all processes of an audit together."""
_LISTING_MUST = 1.0  # seconds
_SEARCH_MUST = 2.0  # seconds


def audit(bench: Bench) -> list[Row]:
    """Compare an audit of all layers with gunzip on every core, and a repeated one with verify."""
    layout, bundle = bench.work / "files", bench.work / "files-bundle"
    run_in_process(file_images.write_layout, layout, bench.megabytes * MB)
    layers = [str(path) for path in (layout / "blobs/sha256").iterdir() if _is_gzip(path)]
    names = json.loads((layout / "index.json").read_text())["manifests"]
    _export(bench, bundle, [f"oci:{layout}:v{number}" for number in range(len(names))])
    rules = bench.work / "gate.json"
    rules.write_text(json.dumps(RULES))
    key = ["--key", str(bench.work / "key.pub")]
    ours = [bench.airbundle, "-q", "audit", str(bundle), *key, "--rules", str(rules)]
    gunzip = ["sh", "-c", 'printf "%s\\n" "$@" | xargs -P "$0" -I{} sh -c "gunzip -t < {}"']
    work, again, unzip = "audit of all layers", "the same audit again", f"gunzip -t x {cores()}"
    contestants = {
        "airbundle": plain_contestant([[*ours, "--no-cache"]]),
        unzip: plain_contestant([[*gunzip, str(cores()), *layers]]),
    }
    bench.meter.compare(work, contestants)
    verify = plain_contestant([bench.verify(bundle)])
    bench.meter.compare(again, {"airbundle": plain_contestant([ours]), "verify": verify})
    memory = _measure_memory([*ours, "--no-cache"])
    limit = f"≤ {MEMORY_MUST / MB:.0f} MB"
    return [
        table.ratio(bench.meter, work, unzip, 1.2),
        Row(f"{work}, memory", f"{memory / MB:.0f} MB", "", "", limit, memory <= MEMORY_MUST),
        table.ratio(bench.meter, again, "verify", 1.1),
    ]


def lists(bench: Bench) -> list[Row]:
    """Measure the commands that list a bundle of many images, and a search of a year's log."""
    bundle = bench.work / "many-bundle"
    with servers.registry(bench.work / "many-images") as registry:
        run_in_process(fill, registry.host)
        names = [f"app-{number}:1" for number in range(MANY)]
        bench.meter.time([bench.export_names(registry.host, names, bundle)])
    rows = []
    for arguments in (("ls",), ("ls", "--long"), ("tree",), ("why",), ("diff",)):
        command, *options = arguments
        more = {"tree": ["app-7:1"], "why": ["app-7:1"], "diff": [str(bundle)]}.get(command, [])
        work = f"{' '.join(arguments)} of {MANY} images"
        ours = [command, str(bundle), *more, *options]
        rows.append(_measure_alone(bench, work, ours, _LISTING_MUST))
    records = bench.work / "year"
    run_in_process(year_log.write, records)
    find = ["log", "find", "--package", year_log.RARE, "--records", str(records)]
    work = f"log find in a year of {year_log.BUNDLES} imports"
    return [*rows, _measure_alone(bench, work, find, _SEARCH_MUST)]


def _measure_alone(bench: Bench, work: str, arguments: list[str], must: float) -> Row:
    """Return the row of a command that is compared with no other program, but with a time."""
    ours = [bench.airbundle, "-q", *arguments]
    bench.meter.compare(work, {"airbundle": plain_contestant([ours])})
    result = bench.meter.results[work, "airbundle"]
    return Row(work, str(result), "", "", f"≤ {must:.0f} s", result.seconds <= must)


def fill(host: str) -> None:
    """Push the images, each with one layer of its own and one shared layer."""
    shared = images.layer({"shared": b"shared"})
    for number in range(MANY):
        own = images.layer({"own": b"%d" % number})
        images.push(host, f"app-{number}", images.image(shared, own), "1")


def _export(bench: Bench, bundle: Path, references: list[str]) -> None:
    """Export images of layouts to a signed bundle."""
    manifest = bundle.with_suffix(".yaml")
    manifest.write_text(json.dumps({"name": "bench", "images": references}))
    key = ["--sign-key", str(bench.work / "key.key")]
    bench.meter.time([[bench.airbundle, "-q", "export", str(manifest), str(bundle), *key]])


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _measure_memory(command: list[str]) -> int:
    """Return the largest sum of the memory of a process and its children in bytes.

    Memory that processes share is divided among them.
    """
    largest = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            running = [str(process.pid)]
            for children in Path(f"/proc/{process.pid}/task").glob("*/children"):
                running += _read(children).split()
            sizes = (_read(Path(f"/proc/{number}/smaps_rollup")) for number in running)
            lines = (line.split() for text in sizes for line in text.splitlines())
            largest = max(largest, sum(int(line[1]) for line in lines if line[0] == "Pss:"))
            time.sleep(0.05)
    return largest * 1024


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process has ended
        return ""
