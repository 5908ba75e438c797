"""State shared by all rows: programs, meter, and a registry and a bundle created on demand."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from scripts.benchmark import contents
from tests.interop import engines, servers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from scripts.benchmark.measuring import Meter
    from scripts.benchmark.programs import Programs

T = TypeVar("T")


class Bench:
    """One run of the benchmark in the directory ``work``; close it at the end.

    ``megabytes`` is the unique content of all images together.
    """

    def __init__(self, work: Path, programs: Programs, meter: Meter, megabytes: int) -> None:
        self.work = work
        self.programs = programs
        self.meter = meter
        self.megabytes = megabytes
        self._open = ExitStack()
        meter.time([[self.airbundle, "keygen", "--no-passphrase", str(work / "key")]])

    @property
    def airbundle(self) -> str:
        """The path of airbundle."""
        return self.programs.airbundle

    @cached_property
    def host(self) -> str:
        """A registry with all images, which runs until ``close``."""
        return self._open.enter_context(self.filled_registry(self.megabytes))

    @cached_property
    def bundle(self) -> Path:
        """A bundle of all images."""
        bundle = self.work / "bundle"
        self.meter.time([self.export(self.host, bundle)])
        return bundle

    @cached_property
    def pair(self) -> str:
        """A registry with ``single:1``, and ``eight:1`` with the same size in 8 layers."""
        directory, size = self.work / "pair", self.one_image
        host = self._open.enter_context(servers.registry(directory)).host
        run_in_process(contents.push_one, host, "single", [size * share / 6 for share in (1, 2, 3)])
        run_in_process(contents.push_one, host, "eight", [size / 8] * 8)
        return host

    @cached_property
    def engine(self) -> str:
        """The address of a Docker daemon, which runs until ``close``."""
        return self._open.enter_context(engines.dockerd())

    @property
    def one_image(self) -> float:
        """The size of the separate image in megabytes."""
        return self.megabytes * contents.ONE_IMAGE

    def close(self) -> None:
        """Stop all servers."""
        self._open.close()

    @contextmanager
    def filled_registry(self, megabytes: int) -> Iterator[str]:
        """Run a registry with ``megabytes`` of images; yield its host."""
        directory = self.work / f"source-{megabytes}"
        with servers.registry(directory) as registry:
            print("Making the images …", end="", file=sys.stderr, flush=True)
            run_in_process(contents.fill, registry.host, megabytes)
            print(" done", file=sys.stderr)
            yield registry.host
        shutil.rmtree(directory)

    @contextmanager
    def empty_registry(self) -> Iterator[str]:
        """Run a registry without images; yield its host."""
        directory = self.work / "target"
        with servers.registry(directory) as registry:
            yield registry.host
        shutil.rmtree(directory)

    # Commands that several rows use.

    def export(self, host: str, out: Path) -> list[str]:
        """Return the command of airbundle that exports all images."""
        return self.export_names(host, contents.NAMES, out)

    def export_names(
        self, host: str, names: Sequence[str], out: Path, *options: str, referrers: str = "all"
    ) -> list[str]:
        """Return the command of airbundle that exports images of the registry ``host``."""
        return self._export(
            out,
            *options,
            registries={host: {"tls": {"plainHttp": True}}},
            defaults={"referrers": referrers},
            images=[f"{host}/{name}" for name in names],
        )

    def export_references(self, references: Sequence[str], out: Path) -> list[str]:
        """Return the command of airbundle that exports images of any transport."""
        return self._export(out, images=list(references))

    def _export(self, out: Path, *options: str, **members: object) -> list[str]:
        manifest = out.with_suffix(".yaml")
        manifest.write_text(json.dumps({"name": "bench", **members}))
        key = ["--sign-key", str(self.work / "key.key")]
        return [self.airbundle, "-q", *options, "export", str(manifest), str(out), *key]

    def verify(self, bundle: Path, *options: str) -> list[str]:
        """Return the command of airbundle that verifies a bundle."""
        key = ["--key", str(self.work / "key.pub")]
        return [self.airbundle, "-q", "verify", str(bundle), *key, *options]

    def import_(self, bundle: Path, target: str, *options: str) -> list[str]:
        """Return the command of airbundle that imports into the registry ``target``."""
        return self.import_into(bundle, f"docker://{target}", "--tls-verify=false", *options)

    def import_into(self, bundle: Path, target: str, *options: str) -> list[str]:
        """Return the command of airbundle that imports into any target."""
        key = ["--key", str(self.work / "key.pub")]
        return [self.airbundle, "-q", "import", str(bundle), target, *key, *options]

    def copy(self, source: str, destination: str, *options: str) -> list[str]:
        """Return the command of airbundle that copies an image; registries use plain HTTP."""
        plain = plain_http(source, destination)
        return [self.airbundle, "-q", "copy", *plain, *options, source, destination]


def skopeo_copy(
    skopeo: str,
    source: str,
    destination: str,
    *options: str,
    settings: Sequence[str] = ("--insecure-policy",),
) -> list[str]:
    """Return the command of Skopeo that copies an image; registries use plain HTTP."""
    plain = plain_http(source, destination)
    return [skopeo, *settings, "copy", "-q", *plain, *options, source, destination]


def plain_http(source: str, destination: str) -> list[str]:
    """Return the plain HTTP options for the sides that are registries."""
    sides = {"--src-tls-verify=false": source, "--dest-tls-verify=false": destination}
    return [option for option, side in sides.items() if side.startswith("docker://")]


def run_in_process(function: Callable[..., T], *arguments: object) -> T:
    """Call ``function`` in a separate process, so that its memory is not measured."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()
