"""Kill imports at random bytes of a large blob, and measure what the next ones send again.

The registry is that of the tests, which can resume uploads: docker-registry 2.8 refuses an upload
whose connection broke.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import time
from typing import TYPE_CHECKING

from scripts.torturing.row import Result, Torture
from scripts.torturing.site import create_layer
from tests.fakes import bundles, images
from tests.fakes.registry import FakeRegistry
from tests.interop.servers import AIRBUNDLE, CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_LIMIT = 0.01
_SIZE = 1_000_000_000


def uploads(torture: Torture, count: int) -> Iterator[Result]:
    """Print one line per kill; names and blobs that are wrong miss the row, too."""
    moments = torture.random("uploads")
    layer = create_layer("large", _SIZE)
    size = len(layer.blob.data)
    again, failures = [], 0
    with torture.directory() as path:
        bundles.write(path / "bundle", {"quay.io/app:1": images.image(layer)})
        for _ in range(count):
            cut = moments.randrange(5_000_000, size)
            with FakeRegistry() as registry:
                sent, named = kill_once(path, registry, cut)
                resumed = finish(path, registry)
                complete = layer.blob.digest in registry.repository("app").blobs
            shutil.rmtree(path / "records")
            failures += named or not complete
            again.append((sent - resumed) / size)
            print(f"killed after {sent:,} bytes: {sent - resumed:,} bytes sent again", flush=True)
    median = statistics.median(again)
    yield Result(
        "uploads",
        f"{count} kills",
        f"median of bytes sent again {median:.3%}, {failures} wrong names or blobs",
        "< 1 %, 0",
        median < _LIMIT and failures == 0,
    )


def kill_once(path: Path, registry: FakeRegistry, cut: int) -> tuple[int, bool]:
    """Kill an import after ``cut`` bytes; return what the registry has, and if a name exists."""

    def measure() -> int:
        uploads = registry.repository("app").uploads
        return max((len(upload) for upload in list(uploads.values())), default=0)

    with subprocess.Popen(
        create_command(path, registry),
        env=CHECKOUT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None and measure() < cut:
            time.sleep(0.001)
        process.kill()
    time.sleep(0.3)  # what is on its way arrives
    return measure(), bool(registry.repository("app").tags)


def finish(path: Path, registry: FakeRegistry) -> int:
    """Import again; return the bytes that did not have to be sent."""
    command = create_command(path, registry)
    result = subprocess.run(command, env=CHECKOUT, capture_output=True, check=True)
    return int(json.loads(result.stdout)["bytes"]["resumed"])


def create_command(path: Path, registry: FakeRegistry) -> list[str]:
    """Return the command of the import."""
    return [
        *(*AIRBUNDLE, "import", str(path / "bundle"), f"docker://{registry.host}", "--json"),
        *("--tls-verify=false", "--allow-unsigned", "--reason", "test", "--adopt"),
        *("--records", str(path / "records")),
    ]
