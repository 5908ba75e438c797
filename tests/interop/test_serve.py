"""Real clients pull images from bundles that are served without an import."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from tests.interop import engines, servers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Serving:
    """A running server: its ``host:port``, and its images by name."""

    host: str
    images: dict[str, dict[str, Any]]
    process: subprocess.Popen[str]


@contextmanager
def serve(airbundle: servers.Client, *arguments: object) -> Iterator[Serving]:
    command = [*airbundle.command, "serve", *map(str, arguments), "--port", "0", "--json"]
    with subprocess.Popen(
        command,
        env=airbundle.env(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            lines = []
            while not lines or lines[-1] not in ("}\n", ""):
                lines.append(process.stdout.readline())
            described = json.loads("".join(lines))
            host = described["url"].partition("//")[2].rstrip("/")
            yield Serving(host, {item["name"]: item for item in described["images"]}, process)
        finally:
            process.terminate()


@pytest.fixture
def serving(airbundle: servers.Client, bundle: Path, keys: Path) -> Iterator[Serving]:
    with serve(airbundle, bundle, "--key", keys / "ours.pub") as running:
        yield running


def test_podman_pulls(serving: Serving):
    with engines.podman() as podman:
        for name, image in serving.images.items():
            reference = f"{serving.host}/{name}"
            podman.ok("pull", "--quiet", "--tls-verify=false", reference)
            digests = podman.ok("image", "inspect", reference, "--format", "{{.RepoDigests}}")
            assert image["digest"] in digests


@pytest.mark.kernel("root")
def test_containerd_pulls(serving: Serving):
    with engines.containerd() as ctr:
        for name, image in serving.images.items():
            reference = f"{serving.host}/{name}"
            ctr.ok("images", "pull", "--plain-http", "--snapshotter", "native", reference)
            assert image["digest"] in ctr.ok("images", "ls")
