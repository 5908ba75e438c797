"""Kill exports at random bytes of a large blob, and measure what the next ones fetch again."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import time
from typing import TYPE_CHECKING

from scripts.torturing.row import Result, Torture
from scripts.torturing.site import create_layer
from tests.fakes import images
from tests.fakes.registry import FakeRegistry
from tests.interop.servers import AIRBUNDLE, CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LIMIT = 0.01
_SIZE = 1_000_000_000


def downloads(torture: Torture, count: int) -> Iterator[Result]:
    """Print one line per kill; a bundle that does not become whole misses the row, too."""
    moments = torture.random("downloads")
    layer = create_layer("large", _SIZE)
    size, digest = len(layer.blob.data), layer.blob.digest.removeprefix("sha256:")
    again, failures = [], 0
    with torture.directory() as path, FakeRegistry() as registry:
        images.push(registry.host, "app", images.image(layer), "1")
        command = create_command(path, registry.host)
        blobs = path / "bundle/blobs/sha256"
        for _ in range(count):
            kill_once(command, blobs / f".airbundle-{digest}.part", moments.randrange(size))
            stored = sum(file.stat().st_size for file in blobs.glob(f"*{digest}*"))
            registry.requests.clear()
            result = subprocess.run(command, env=CHECKOUT, capture_output=True, check=False)
            if result.returncode == 0 and (blobs / digest).stat().st_size == size:
                starts = find_starts(registry, digest)
                again.append(max((stored - start for start in starts), default=0) / size)
                print(f"killed after {stored:,} bytes: {again[-1]:.3%} fetched again", flush=True)
            else:
                failures += 1
                print(result.stderr.decode()[-500:], flush=True)
            shutil.rmtree(path / "bundle")
    median = statistics.median(again or [1.0])
    yield Result(
        "downloads",
        f"{count} kills",
        f"median of bytes fetched again {median:.3%}, {failures} failures",
        "< 1 %, 0",
        median < _LIMIT and failures == 0,
    )


def find_starts(registry: FakeRegistry, digest: str) -> list[int]:
    """Return the offsets at which a blob was requested."""
    ranges = [
        request.headers.get("range", "bytes=0-")
        for request in registry.requests
        if request.method == "GET" and digest in request.path
    ]
    return [int(text.removeprefix("bytes=").partition("-")[0]) for text in ranges]


def kill_once(command: list[str], part: Path, cut: int) -> None:
    """Kill an export when the unfinished file has ``cut`` bytes."""
    with subprocess.Popen(
        command, env=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while process.poll() is None and not (part.exists() and part.stat().st_size >= cut):
            time.sleep(0.001)
        process.kill()


def create_command(path: Path, host: str) -> list[str]:
    """Write the manifest, and return the command of the export."""
    tls = f"registries: {{'{host}': {{tls: {{plainHttp: true}}}}}}"
    (path / "plant.yaml").write_text(f"name: plant\n{tls}\nimages: ['{host}/app:1']\n")
    options = ("--unsigned", "--json", "--on-system-disk")
    return [*AIRBUNDLE, "export", str(path / "plant.yaml"), str(path / "bundle"), *options]
