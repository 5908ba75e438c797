"""Kill exports from a registry and imports into one at random moments; docker-registry serves."""

from __future__ import annotations

import json
import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from scripts.torturing import command, site as sites
from scripts.torturing.row import Result, Torture, Violations
from scripts.torturing.site import Site
from tests.fakes import images
from tests.interop import servers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LAYERS = 8
_FETCHED = re.compile(r'"GET /v2/\S+/blobs/sha256:([0-9a-f]{64}) HTTP/1\.1" 200')
_ACCESS_LOG = {"level": "info", "accesslog": {"disabled": False}}


def random_kills(torture: Torture, count: int) -> Iterator[Result]:
    """Kill exports: no layer that was finished is fetched again, and the last run completes.

    Configs are read by each run, before it knows which layers it needs.
    """
    moments = torture.random("exports")
    violations = Violations("random-kills: exports")
    with torture.directory() as directory, _filled_registry(directory) as registry:
        site, log = Site(directory), directory / "registry" / "registry.log"
        bundle = directory / "bundle"
        write_manifest(site, registry.host)
        duration = _measure(site, site.export("registry", bundle))
        finished: set[str] = set()
        layers = {
            blob.digest.removeprefix("sha256:")
            for image in _create_images()
            for blob in image.blobs[1:]
        }
        for number in range(count):
            if number % 10 == 0:
                sites.remove(bundle)
                finished = set()
            after, position = moments.uniform(0.02, duration), log.stat().st_size
            ended = command.run(directory, *site.export("registry", bundle), killed_after=after)
            fetched = set(_FETCHED.findall(log.read_bytes()[position:].decode()))
            lost = fetched & finished & layers
            violations.check(f"fetched again: {lost}" if lost else None, f"kill {number}")
            finished |= _list_finished(bundle)
            problem = None if ended.status in {0, -9} else str(ended)
            violations.check(problem, f"kill {number} after {after:.3f} s")
            if number % 10 == 9:
                site.run_well(*site.export("registry", bundle))
                state = site.state(bundle)
                problem = None if isinstance(state, int) else str(state)
                violations.check(problem, f"kill {number} again")
    yield violations.result(f"{count:,} kills")


def imports(torture: Torture, count: int) -> Iterator[Result]:
    """Kill imports, or the registry: no name lacks content, and finished blobs are not sent."""
    moments = torture.random("imports")
    violations = Violations("imports")
    with torture.directory() as directory:
        site = Site(directory)
        source = {f"app{number}:1": image for number, image in enumerate(_create_images())}
        images.write_layout(directory / "apps", source)
        lines = "".join(f"  - oci:{directory}/apps:{name}\n" for name in source)
        (directory / "apps.yaml").write_text(f"name: plant\nimages:\n{lines}")
        (bundle,) = site.saved("imports", "apps")
        target = _Target(directory / "target", site, bundle)
        duration = 0.0
        with servers.registry(target.directory) as registry:
            duration = _measure(site, target.create_command(registry.host))
        for number in range(count):
            sites.remove(target.directory, directory / "records")
            after = moments.uniform(0.02, duration)
            with servers.registry(target.directory) as registry:
                words = target.create_command(registry.host)
                command.run(directory, *words, killed_after=after)
                if number % 2 == 0:
                    violations.check(target.complete(registry.host), f"kill {number}")
            if number % 2:  # the registry was killed, too
                with servers.registry(target.directory) as registry:
                    violations.check(target.complete(registry.host), f"kill {number}, restarted")
    yield violations.result(f"{count:,} kills")


class _Target:
    """A registry into which a bundle is imported, and its storage."""

    def __init__(self, directory: Path, site: Site, bundle: Path) -> None:
        self.directory, self._site, self._bundle = directory, site, bundle

    def create_command(self, host: str) -> tuple[object, ...]:
        """Return the command of the import."""
        records = ("--records", self._site.path / "records")
        trust = (*self._site.key, *records, "--tls-verify=false", "--json", "-q")
        return ("import", self._bundle, f"docker://{host}/apps", *trust)

    def complete(self, host: str) -> str | None:
        """Import again; return a problem of the names before or after, or of the bytes sent."""
        if problem := self._check_names():
            return problem
        stored = sum(self._list_blobs().values())
        ended = command.run(self._site.path, *self.create_command(host))
        if ended.status != 0:
            return str(ended)
        sizes: dict[str, Any] = json.loads(ended.output[ended.output.index("{") :])["bytes"]
        total = sum(self._list_blobs().values())
        if sizes["pushed"] > total - stored:
            return f"{sizes['pushed']:,} bytes sent (expected {total - stored:,})"
        if len(self._list_names()) != len(_create_images()):
            return "names are missing"
        return self._check_names()

    @property
    def _storage(self) -> Path:
        return self.directory / "storage/docker/registry/v2"

    def _list_blobs(self) -> dict[str, int]:
        """Return the sizes of the configs and layers of all repositories, by path of their link."""
        links = self._storage.glob("repositories/**/_layers/sha256/*/link")
        return {str(link): len(self._read(link.read_text())) for link in links}

    def _list_names(self) -> list[Path]:
        return list(self._storage.glob("repositories/**/_manifests/tags/*/current/link"))

    def _check_names(self) -> str | None:
        for link in self._list_names():
            manifest = json.loads(self._read(link.read_text()))
            repository = link.parents[4]
            for item in (manifest["config"], *manifest["layers"]):
                blob = repository / "_layers" / item["digest"].replace(":", "/") / "link"
                if not blob.exists() or images.sha256(self._read(item["digest"])) != item["digest"]:
                    return f"{link.parents[1].name}: {item['digest']} is missing"
        return None

    def _read(self, digest: str) -> bytes:
        hexadecimal = digest.strip().removeprefix("sha256:")
        return (self._storage / f"blobs/sha256/{hexadecimal[:2]}/{hexadecimal}/data").read_bytes()


@contextmanager
def _filled_registry(directory: Path) -> Iterator[servers.Registry]:
    with servers.registry(directory / "registry", log=_ACCESS_LOG) as registry:
        for number, image in enumerate(_create_images()):
            images.push(registry.host, f"app{number}", image, "1")
        yield registry


def _create_images() -> list[images.Image]:
    shared = sites.create_layer("shared", 500_000)
    return [
        images.image(shared, sites.create_layer(f"own {number}", 100_000 * (number + 1)))
        for number in range(_LAYERS)
    ]


def write_manifest(site: Site, host: str) -> None:
    """Write the manifest ``registry`` of the images in the registry."""
    lines = "".join(f"  - {host}/app{number}:1\n" for number in range(_LAYERS))
    tls = f"registries: {{'{host}': {{tls: {{plainHttp: true}}}}}}\n"
    (site.path / "registry.yaml").write_text(f"name: plant\n{tls}images:\n{lines}")


def _measure(site: Site, words: tuple[object, ...]) -> float:
    started = time.monotonic()
    ended = command.run(site.path, *words)
    if ended.status != 0:
        raise AssertionError(str(ended))
    return time.monotonic() - started


def _list_finished(bundle: Path) -> set[str]:
    """Return the hexadecimal digests of the blobs that have their final names."""
    blobs = bundle / "blobs/sha256"
    return {path.name for path in blobs.glob("*")} if blobs.exists() else set()
