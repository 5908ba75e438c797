"""Times airbundle beside the tools that do the same work, on this machine, over loopback.

It makes its own images, starts its own registries, runs what it compares in turns with warm
caches, and prints the medians of whole-process times, the ratios, and what they must be at most.
Nothing of it is durable but airbundle's work: the others leave theirs to the kernel.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.fakes import images  # noqa: E402 - the checkout is not installed as a whole
from tests.interop import servers  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

MB = 1_000_000
SIZES = {"full": 1600, "small": 160}
APPLICATIONS, VERSIONS = 4, 5
# Shares of the unique bytes: what all images have, each application, and each version of it.
BASE, APPLICATION, VERSION = (30, 60, 110), (40, 80, 130), (5, 15)
UNIQUE = sum(BASE) + APPLICATIONS * (sum(APPLICATION) + VERSIONS * sum(VERSION))
ONE_IMAGE = 300 / 1600
PEAK_MUST = 120 * MB

Commands = list[list[str]]
Contestant = Callable[[], AbstractContextManager[Commands]]


@dataclass(frozen=True, slots=True)
class Run:
    """One measured run: wall seconds of all its processes, and the peak of the largest."""

    seconds: float
    peak: int


@dataclass(slots=True)
class Result:
    """What one contestant did in one row."""

    runs: list[Run] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """The median."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def peak(self) -> int:
        """The largest, in bytes."""
        return max(run.peak for run in self.runs)

    def __str__(self) -> str:
        low, high = (pick(run.seconds for run in self.runs) for pick in (min, max))
        return f"{self.seconds:.3g} s ({low:.3g}-{high:.3g})"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    work: str
    ours: str
    other: str
    ratio: str
    must: str
    met: bool | None


def main() -> None:
    """Run the benchmark and print its table."""
    options = _options()
    with tempfile.TemporaryDirectory(prefix="airbundle-bench-", dir=options.work) as work:
        bench = Bench(Path(work), options)
        print(bench.versions(), flush=True)
        rows = bench.memory() if options.memory else bench.figures()
        print(_table(rows))
        if options.json:
            options.json.write_text(json.dumps(bench.raw(), indent=2) + "\n")


class Bench:
    """The images, the programs, and the rows measured so far."""

    def __init__(self, work: Path, options: argparse.Namespace) -> None:
        self.work = work
        self.runs = options.runs
        self.megabytes = options.size
        self.only = options.only
        self.airbundle = str(Path(sys.executable).with_name("airbundle"))
        self.skopeos = {
            f"skopeo {_version([path, '--version'])}": path
            for path in [servers.program("skopeo"), *options.skopeo]
        }
        crane = options.crane or shutil.which("crane")
        self.cranes = {f"crane {_version([crane, 'version'])}": crane} if crane else {}
        self.results: dict[tuple[str, str], Result] = {}
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(work), "LC_ALL": "C.UTF-8"}  # noqa: TID251
        self._run([self.airbundle, "keygen", "--no-passphrase", str(work / "key")])

    def versions(self) -> str:
        """What runs here, in a few lines."""
        openssl = _version(["openssl", "version"])
        registry = _version(["docker-registry", "--version"])
        programs = ", ".join([*self.skopeos, *self.cranes])
        return (
            f"airbundle {_version([self.airbundle, '--version'])}, Python "
            f"{platform.python_version()}, docker-registry {registry}, openssl {openssl}\n"
            f"beside {programs}; {_cores()} cores, Linux {platform.release()}\n"
            f"{APPLICATIONS * VERSIONS} images, {self.megabytes} MB unique, median of {self.runs}"
        )

    def figures(self) -> list[Row]:
        """Every row of the table."""
        rows: list[Row] = []
        with self._filled_registry(self.megabytes) as host:
            rows += self._measure("export", lambda: self._export_rows(host))
            bundle = self._bundle(host)
            rows += self._measure("again", lambda: self._again_rows(host, bundle))
            rows += self._measure("import", lambda: self._import_rows(bundle, host))
            rows += self._measure("copy", lambda: self._copy_rows(host))
            rows += self._measure("verify", lambda: self._verify_rows(bundle))
        rows += self._measure("start", self._start_rows)
        peaks = [one.peak for (_, name), one in self.results.items() if name == "airbundle"]
        if peaks:
            rows.append(_limit("peak memory of any of these", max(peaks)))
        return rows

    def memory(self) -> list[Row]:
        """The peaks of each command, at the size and at ten times it."""
        rows = []
        for megabytes in (self.megabytes, 10 * self.megabytes):
            with self._filled_registry(megabytes) as host:
                bundle = self.work / "bundle"
                shutil.rmtree(bundle, ignore_errors=True)
                made = {
                    "export": [self._export(host, bundle)],
                    "export again": [self._export(host, bundle)],
                    "verify": [self._verify(bundle)],
                    "copy": [self._copy_from(host, self.work / "copied")],
                }
                for name, commands in made.items():
                    peak = self._time(commands).peak
                    rows.append(_limit(f"{name}, {megabytes} MB", peak))
                with self._empty_registry() as target:
                    for name in ("import", "import again"):
                        peak = self._time([self._import(bundle, target)]).peak
                        rows.append(_limit(f"{name}, {megabytes} MB", peak))
                shutil.rmtree(self.work / "copied")
        return rows

    def raw(self) -> list[dict[str, object]]:
        """Every run of every row."""
        return [
            {
                "work": work,
                "program": name,
                "seconds": [run.seconds for run in one.runs],
                "peak": one.peak,
            }
            for (work, name), one in self.results.items()
        ]

    # The rows, in the table's order.

    def _export_rows(self, host: str) -> list[Row]:
        work = "export, signed and durable"
        others: dict[str, Contestant] = {
            name: self._into("other", lambda out, path=path: [self._sync(path, host, out)])
            for name, path in self.skopeos.items()
        }
        others |= {
            name: self._into("other", lambda out, path=path: [self._crane_pull(path, host, out)])
            for name, path in self.cranes.items()
        }
        ours = self._into("ours", lambda out: [self._export(host, out)])
        self._compare(work, {"airbundle": ours, **others})
        return [self._row(work, name, _export_must(name)) for name in others]

    def _again_rows(self, host: str, bundle: Path) -> list[Row]:
        work = "the same export again"
        self._compare(
            work,
            {
                "airbundle": _just([self._export(host, bundle)]),
                "verify": _just([self._verify(bundle)]),
            },
        )
        return [self._row(work, "verify", 2.0)]

    def _import_rows(self, bundle: Path, host: str) -> list[Row]:
        work, again = "import into an empty registry", "the same import again"

        @contextmanager
        def ours() -> Iterator[Commands]:
            with self._empty_registry() as target:
                yield [self._import(bundle, target)]

        def other(path: str) -> Contestant:
            @contextmanager
            def contestant() -> Iterator[Commands]:
                with self._empty_registry() as target:
                    yield self._skopeo_copies(path, bundle, host, target)

            return contestant

        self._compare(
            work, {"airbundle": ours, **{n: other(path) for n, path in self.skopeos.items()}}
        )
        with self._empty_registry() as target:
            self._time([self._import(bundle, target)])
            self._compare(
                again,
                {
                    "airbundle": _just([self._import(bundle, target)]),
                    "verify": _just([self._verify(bundle)]),
                },
            )
        rows = [self._row(work, name, 0.55) for name in self.skopeos]
        return [*rows, self._row(again, "verify", 2.0)]

    def _copy_rows(self, host: str) -> list[Row]:
        work = f"copy docker:// to oci:, {self.megabytes * ONE_IMAGE:.0f} MB"
        ours = self._into("ours", lambda out: [self._copy_from(host, out)])
        others = {
            name: self._into("other", lambda out, path=path: [self._skopeo_copy(path, host, out)])
            for name, path in self.skopeos.items()
        }
        self._compare(work, {"airbundle": ours, **others})
        return [self._row(work, name, 0.9 if _is_old(name) else 1.1) for name in others]

    def _verify_rows(self, bundle: Path) -> list[Row]:
        work = "verify"
        blobs = [str(path) for path in (bundle / "blobs/sha256").iterdir()]
        self._compare(
            work,
            {
                "airbundle": _just([self._verify(bundle)]),
                "openssl": _just([["openssl", "dgst", "-sha256", *blobs]]),
            },
        )
        ours, openssl = (self.results[work, name] for name in ("airbundle", "openssl"))
        size = sum(Path(blob).stat().st_size for blob in blobs)
        ratio = openssl.seconds / ours.seconds / _cores()
        return [
            Row(
                f"{work}, rate",
                f"{size / ours.seconds / MB:,.0f} MB/s",
                f"openssl dgst -sha256 x {_cores()}: "
                f"{size / openssl.seconds * _cores() / MB:,.0f} MB/s",
                f"{ratio:.2f}",
                "≥ 0.65",
                ratio >= 0.65,
            )
        ]

    def _start_rows(self) -> list[Row]:
        click = _just([[sys.executable, "-c", "import click"]])
        rows = []
        for option in ("--help", "--version"):
            work = f"airbundle {option}"
            ours = _just([[self.airbundle, option]])
            self._compare(work, {"airbundle": ours, "import click": click}, runs=4 * self.runs)
            rows.append(self._row(work, "import click", 2.5))
        return rows

    # The commands.

    def _export(self, host: str, out: Path) -> list[str]:
        manifest = self.work / "bundle.yaml"
        names = [f"{host}/{name}" for name in _names()]
        manifest.write_text(
            json.dumps(
                {
                    "name": "bench",
                    "registries": {host: {"tls": {"plainHttp": True}}},
                    "images": names,
                }
            )
        )
        key = str(self.work / "key.key")
        return [self.airbundle, "-q", "export", str(manifest), str(out), "--sign-key", key]

    def _verify(self, bundle: Path) -> list[str]:
        return [self.airbundle, "-q", "verify", str(bundle), "--key", str(self.work / "key.pub")]

    def _import(self, bundle: Path, target: str) -> list[str]:
        key = ["--key", str(self.work / "key.pub"), "--tls-verify=false"]
        return [self.airbundle, "-q", "import", str(bundle), f"docker://{target}", *key]

    def _copy_from(self, host: str, out: Path) -> list[str]:
        source = f"docker://{host}/single:1"
        return [self.airbundle, "-q", "copy", "--src-tls-verify=false", source, f"oci:{out}:1"]

    def _sync(self, skopeo: str, host: str, out: Path) -> list[str]:
        tags = [f"v{version}" for version in range(VERSIONS)]
        repositories = {f"app-{number}": tags for number in range(APPLICATIONS)}
        listed = self.work / "sync.yaml"
        listed.write_text(json.dumps({host: {"tls-verify": False, "images": repositories}}))
        sync = ["sync", "--src", "yaml", "--dest", "dir", "--scoped"]
        return [skopeo, "--insecure-policy", *sync, str(listed), str(out)]

    def _crane_pull(self, crane: str, host: str, out: Path) -> list[str]:
        return [crane, "pull", "--format=oci", *(f"{host}/{name}" for name in _names()), str(out)]

    def _skopeo_copy(self, skopeo: str, host: str, out: Path) -> list[str]:
        source = ["--src-tls-verify=false", f"docker://{host}/single:1"]
        return [skopeo, "--insecure-policy", "copy", "-q", *source, f"oci:{out}:1"]

    def _skopeo_copies(self, skopeo: str, bundle: Path, host: str, target: str) -> Commands:
        start = [skopeo, "--insecure-policy", "copy", "-q", "--all", "--dest-tls-verify=false"]
        return [
            [*start, f"oci:{bundle}:{host}/{name}", f"docker://{target}/{name}"]
            for name in _names()
        ]

    # What they work on.

    @contextmanager
    def _filled_registry(self, megabytes: int) -> Iterator[str]:
        with servers.registry(self.work / f"source-{megabytes}") as registry:
            print("Making the images …", end="", file=sys.stderr, flush=True)
            # In a process of its own: what this one needs would count as its children's peak.
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as apart:
                apart.submit(_fill, registry.host, megabytes).result()
            print(" done", file=sys.stderr)
            yield registry.host
        shutil.rmtree(self.work / f"source-{megabytes}")

    @contextmanager
    def _empty_registry(self) -> Iterator[str]:
        directory = self.work / "target"
        with servers.registry(directory) as registry:
            yield registry.host
        shutil.rmtree(directory)

    def _bundle(self, host: str) -> Path:
        bundle = self.work / "bundle"
        self._time([self._export(host, bundle)])
        return bundle

    def _into(self, name: str, commands: Callable[[Path], Commands]) -> Contestant:
        """A contestant that writes into a directory which is not there before it runs."""

        @contextmanager
        def contestant() -> Iterator[Commands]:
            out = self.work / name
            yield commands(out)
            shutil.rmtree(out)

        return contestant

    # Measuring.

    def _measure(self, name: str, rows: Callable[[], list[Row]]) -> list[Row]:
        return rows() if not self.only or name in self.only else []

    def _compare(
        self, work: str, contestants: dict[str, Contestant], runs: int | None = None
    ) -> None:
        """Run all of them in turns, the first round only to warm the caches."""
        for number in range((runs or self.runs) + 1):
            order = list(contestants.items())
            for name, contestant in order if number % 2 else reversed(order):
                with contestant() as commands:
                    os.sync()  # nobody pays for what another left to the kernel
                    run = self._time(commands)
                if number:
                    self.results.setdefault((work, name), Result()).runs.append(run)
            print(".", end="", file=sys.stderr, flush=True)
        print(f" {work}", file=sys.stderr)

    def _time(self, commands: Commands) -> Run:
        start = time.perf_counter()
        peak = max(self._run(command) for command in commands)
        return Run(time.perf_counter() - start, peak)

    def _run(self, command: list[str]) -> int:
        """Run one process to its end; its peak resident size in bytes."""
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                command, env=self.environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                said.seek(0)
                text = said.read()[-2000:].decode(errors="replace")
                sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{text}")
        return usage.ru_maxrss * 1024

    def _row(self, work: str, other: str, must: float) -> Row:
        ours, theirs = self.results[work, "airbundle"], self.results[work, other]
        ratio = ours.seconds / theirs.seconds
        return Row(
            work, str(ours), f"{other}: {theirs}", f"{ratio:.2f}", f"≤ {must:.2f}", ratio <= must
        )


def _fill(host: str, megabytes: int) -> None:
    """Push ``megabytes`` of unique layers as versions of applications, and one image apart."""
    supply = Supply()
    unit = megabytes * MB / UNIQUE
    base = [supply.layer(n * unit) for n in BASE]
    for number in range(APPLICATIONS):
        own = [supply.layer(n * unit) for n in APPLICATION]
        for version in range(VERSIONS):
            last = [supply.layer(n * unit) for n in VERSION]
            one = images.image(*base, *own, *last)
            images.push(host, f"app-{number}", one, f"v{version}")
    parts = [supply.layer(n * megabytes * MB * ONE_IMAGE / 6) for n in (1, 2, 3)]
    images.push(host, "single", images.image(*parts), "1")


class Supply:
    """Bytes for layers: the machine's own files, and random ones when these are used up."""

    def __init__(self) -> None:
        self._pieces = self._all_pieces()
        self._rest = b""

    def layer(self, size: float) -> images.Layer:
        """The next ``size`` bytes as a layer, stored in its gzip as they are."""
        data = bytearray(self._rest)
        while len(data) < size:
            data += next(self._pieces)
        self._rest = bytes(data[int(size) :])
        return images.layer({"data": bytes(data[: int(size)])}, compression="stored")

    def _all_pieces(self) -> Iterator[bytes]:
        for directory, _, names in os.walk("/usr/lib"):
            for name in names:
                path = Path(directory, name)
                if path.is_file() and not path.is_symlink():
                    yield path.read_bytes()
        source = random.Random("airbundle")
        while True:
            yield source.randbytes(MB)


def _names() -> list[str]:
    return [
        f"app-{number}:v{version}" for number in range(APPLICATIONS) for version in range(VERSIONS)
    ]


def _just(commands: Commands) -> Contestant:
    @contextmanager
    def contestant() -> Iterator[Commands]:
        yield commands

    return contestant


def _export_must(name: str) -> float:
    if name.startswith("crane"):
        return 1.25
    return 0.18 if _is_old(name) else 0.40


def _is_old(skopeo: str) -> bool:
    """Whether it is Debian 12's, or older."""
    major, minor = map(int, re.findall(r"\d+", skopeo)[:2])
    return (major, minor) < (1, 10)


def _limit(work: str, peak: int) -> Row:
    return Row(work, f"{peak / MB:.0f} MB", "", "", f"≤ {PEAK_MUST / MB:.0f} MB", peak <= PEAK_MUST)


def _version(command: list[str]) -> str:
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"v?(\d+\.\d+[^\s,]*)", said)
    return found[1] if found else "(unknown)"


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _table(rows: list[Row]) -> str:
    lines = [("work", "airbundle", "beside", "ratio", "must", "")]
    lines += [
        (row.work, row.ours, row.other, row.ratio, row.must, "" if row.met else "missed")
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


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
        "--only",
        action="append",
        choices=("export", "again", "import", "copy", "verify", "start"),
        help="only these rows",
    )
    parser.add_argument(
        "--memory", action="store_true", help="only peak memory, at the size and at 10 times it"
    )
    parser.add_argument("--work", default="/var/tmp", help="where there is room (/var/tmp)")
    parser.add_argument("--json", type=Path, help="write every run to this file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
