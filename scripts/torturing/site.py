"""The images, keys and commands of the rows, and checks that do not use the program's own code."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

from scripts.torturing import command
from tests.fakes import images

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.torturing.command import Ended

UNFINISHED = "unfinished"


class Site:
    """A directory with keys, with a layout of images, and with manifests that list some of them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._exported = 0.0
        shared, kept, new = (create_layer(name, 200_000) for name in ("shared", "kept", "new"))
        self.images = {
            "kept:1": images.image(shared, kept),
            "old:1": images.multi_platform("old", "linux/amd64", "linux/arm64", shared=shared),
            "new:1": images.image(shared, new),
        }
        images.write_layout(path / "layout", self.images)
        for name, listed in {"former": ("kept", "old"), "next": ("kept", "new")}.items():
            lines = "".join(f"  - oci:{path}/layout:{image}:1\n" for image in listed)
            (path / f"{name}.yaml").write_text(f"name: plant\nimages:\n{lines}")
        for name in ("first", "second"):
            self.run_well("keygen", path / name, "--no-passphrase")

    def run_well(self, *words: object) -> str:
        """Run a command that has to succeed; return its output."""
        return command.run_well(self.path, *words)

    def export(self, manifest: str, out: Path, *options: object) -> tuple[object, ...]:
        """Return the command that exports a manifest."""
        source = self.path / f"{manifest}.yaml"
        return ("export", source, out, "--sign-key", self.path / "first.key", *options)

    @cached_property
    def key(self) -> tuple[object, ...]:
        """The option for the trusted key."""
        return ("--key", self.path / "first.pub")

    def saved(self, name: str, manifest: str, *options: object, volumes: int = 1) -> list[Path]:
        """Export to directories that are not changed later, with ``.airbundle`` to one file."""
        paths = [self.path / "saved" / f"{number}-{name}" for number in range(volumes)]
        paths[0].parent.mkdir(exist_ok=True)
        more = [word for path in paths[1:] for word in ("--volume", path)]
        # Without a former bundle, the serial is the time in seconds.
        time.sleep(max(0.0, self._exported + 1.01 - time.time()))
        self.run_well(*self.export(manifest, paths[0], *more, *options))
        self._exported = time.time()
        return paths

    def state(self, *bundle: Path, key: str = "first") -> str | int:
        """Return the serial of a bundle that is whole and signed, ``UNFINISHED``, or a problem."""
        if not all(path.exists() for path in bundle):
            return UNFINISHED
        trust = ("--key", self.path / f"{key}.pub")
        ended = command.run_announced(self.path, "-q", "verify", *bundle, *trust, "--json")
        report = _first_document(ended)
        if ended.status == 0:
            problem = None if bundle[0].is_file() else compare_sums(bundle)
            return problem or report["serial"]
        if is_plainly_unfinished(ended, report):
            return UNFINISHED
        findings = [finding["path"] for finding in report.get("findings", ())]
        return f"verify ended with {ended.status}: {ended.output.strip()[:300]} … {findings}"


def create_layer(name: str, size: int) -> images.Layer:
    """Create a layer with a file of ``size`` bytes that cannot be compressed."""
    made, block = random.Random(name), 100_000_000
    data = b"".join(made.randbytes(min(block, size - start)) for start in range(0, size, block))
    return images.layer({name: data}, compression="stored")


def is_plainly_unfinished(ended: Ended, report: dict[str, Any]) -> bool:
    """Return whether ``verify`` says no more than that an export has not ended."""
    findings = report.get("findings")
    if ended.status == 3 and findings:
        return all(finding["path"] == "bundle.json" for finding in findings)
    if ended.status == 4:  # the signature is written last
        return bool(report["whole"] and not report["signers"])
    return ended.status in {9, 11}


def restore(saved: Path, path: Path) -> None:
    """Make ``path`` an exact copy of ``saved``, a file or a directory."""
    remove(path)
    if saved.is_file():
        shutil.copy2(saved, path)
    else:
        shutil.copytree(saved, path)


def remove(*paths: Path) -> None:
    """Remove files and directories if they exist."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def read(path: Path) -> dict[str, bytes]:
    """Return the content of all files below a directory."""
    files = (file for file in sorted(path.rglob("*")) if file.is_file())
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


def find_unfinished_files(*paths: Path) -> str | None:
    """Return a problem if a writer has left unfinished files in the directories or beside them."""
    left: list[str] = []
    for path in paths:
        below = [*path.rglob("*airbundle-*"), *path.parent.glob(f".{path.name}.airbundle-*")]
        left += [str(file.relative_to(path.parent)) for file in below]
    return f"unfinished files are left: {', '.join(left)}" if left else None


def compare_sums(volumes: tuple[Path, ...]) -> str | None:
    """Return a problem if a file does not match the checksum file of its volume.

    Files of the seal of a renewal that was interrupted are in ``bundle.next``.
    """
    for volume in volumes:

        def find(name: str, volume: Path = volume) -> Path:
            following = volume / "bundle.next" / name
            return following if following.exists() else volume / name

        sums = next((path.name for path in volume.glob("VOLUME-*.sha256")), "SHA256SUMS")
        for line in find(sums).read_text().splitlines():
            expected, name = line.split("  ", 1)
            if hashlib.sha256(find(name).read_bytes()).hexdigest() != expected:
                return f"{name} does not match {sums}"
    return None


def read_layout(layout: Path) -> dict[str, str] | str:
    """Return the digests by name in an image layout; a problem if content of a name is missing."""
    index = layout / "index.json"
    if not index.exists():
        return {}
    named = json.loads(index.read_bytes())["manifests"]
    for descriptor in named:
        problem = _check_graph(layout, descriptor)
        if problem is not None:
            return problem
    name = "org.opencontainers.image.ref.name"
    return {item["annotations"][name]: item["digest"] for item in named if "annotations" in item}


def _check_graph(layout: Path, descriptor: dict[str, Any]) -> str | None:
    path = layout / "blobs" / descriptor["digest"].replace(":", "/")
    if not path.exists():
        return f"{descriptor['digest']} is missing"
    data = path.read_bytes()
    if images.sha256(data) != descriptor["digest"]:
        return f"{descriptor['digest']} is damaged"
    if "manifest" not in descriptor["mediaType"] and "index" not in descriptor["mediaType"]:
        return None
    body = json.loads(data)
    below = [*body.get("manifests", []), *body.get("layers", [])]
    below += [body["config"]] if "config" in body else []
    problems = (_check_graph(layout, item) for item in below)
    return next((problem for problem in problems if problem is not None), None)


def _first_document(ended: Ended) -> dict[str, Any]:
    start = ended.output.find("{")
    if start < 0:
        return {}
    found: dict[str, Any] = json.JSONDecoder().raw_decode(ended.output, start)[0]
    return found
