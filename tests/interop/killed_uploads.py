"""Kill imports at random bytes of a large blob, and measure what the next ones send again.

The registry is that of the tests, which can resume uploads: docker-registry 2.8 refuses an upload
whose connection broke. The exit status is 1 if the median is 1 % or more, or if a name exists after
a kill.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fakes import bundles, images
from tests.fakes.registry import FakeRegistry
from tests.interop.servers import AIRBUNDLE, CHECKOUT

_LIMIT = 0.01


def main() -> int:
    """Print one line per kill, and the median."""
    parser = argparse.ArgumentParser(prog="scripts/torture --uploads", description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--size", type=int, default=200, help="of the blob in MB (default: 200)")
    options = parser.parse_args()
    moments = random.Random(options.seed)
    data = random.Random(1).randbytes(options.size * 1_000_000)
    layer = images.layer({"data": data}, compression="stored")
    size = len(layer.blob.data)
    again, failures = [], 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        bundles.write(path / "bundle", {"quay.io/app:1": images.image(layer)})
        for _ in range(options.kills):
            cut = moments.randrange(5_000_000, size)
            with FakeRegistry() as registry:
                sent, named = kill_once(path, registry, cut)
                resumed = finish(path, registry)
                complete = layer.blob.digest in registry.repository("app").blobs
            shutil.rmtree(path / "records")
            failures += named or not complete
            again.append((sent - resumed) / size)
            print(f"killed after {sent:,} bytes: {sent - resumed:,} bytes sent again")
    median = statistics.median(again)
    print(f"median: {median:.2%}; names or blobs that are wrong: {failures}")
    return int(median >= _LIMIT or failures > 0)


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


if __name__ == "__main__":
    sys.exit(main())
