"""Rows for a bundle that is served: a large blob, and many manifests, beside docker-registry."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from scripts.benchmark import contents, table
from scripts.benchmark.bench import run_in_process
from scripts.benchmark.measuring import plain_contestant
from tests.interop import servers, serving

if TYPE_CHECKING:
    from scripts.benchmark.bench import Bench
    from scripts.benchmark.table import Row

REGISTRY = "docker-registry"
REQUESTS, CONNECTIONS = 5000, 8
_ACCEPT = "Accept: application/vnd.docker.distribution.manifest.v2+json,*/*"

# Reads responses into one buffer, and compares their sizes: faster than a server sends them.
_CLIENT = """
import socket, sys
host, path, size = sys.argv[1:]
name, _, port = host.partition(":")
request = f"GET {path} HTTP/1.1\\r\\nHost: {host}\\r\\nConnection: close\\r\\n\\r\\n"
buffer = bytearray(1 << 20)
for _ in range(3):
    with socket.create_connection((name, int(port))) as connection:
        connection.sendall(request.encode())
        received = 0
        while count := connection.recv_into(buffer):
            received += count
    assert 0 <= received - int(size) < 2000, received
"""


def serve(bench: Bench) -> list[Row]:
    """Measure one client that pulls a large blob, and clients that request manifests."""
    size = bench.megabytes * 5 / 8  # 1 GB of the full size
    with servers.registry(bench.work / "served") as registry:
        run_in_process(contents.push_one, registry.host, "single", [size])
        bundle = bench.work / "served-bundle"
        bench.meter.time([bench.export_names(registry.host, ["single:1"], bundle)])
        airbundle = servers.Client((bench.airbundle, "-q"), bench.work)
        with serving.serve(airbundle, bundle, "--key", bench.work / "key.pub") as ours:
            blobs = bundle / "blobs/sha256"
            length, name = max((path.stat().st_size, path.name) for path in blobs.iterdir())
            target = [f"/v2/single/blobs/sha256:{name}", str(length)]
            hosts = {"airbundle": ours.host, REGISTRY: registry.host}
            pull = f"serve a blob of {size:.0f} MB 3 times"
            commands = {name: [sys.executable, "-c", _CLIENT, at] for name, at in hosts.items()}
            _compare(bench, pull, {name: [*command, *target] for name, command in commands.items()})
            manifests = f"serve a manifest {REQUESTS} times"
            requests = [servers.program("ab"), "-q", "-k", "-H", _ACCEPT]
            requests += ["-n", str(REQUESTS), "-c", str(CONNECTIONS)]
            urls = {name: f"http://{at}/v2/single/manifests/1" for name, at in hosts.items()}
            _compare(bench, manifests, {name: [*requests, url] for name, url in urls.items()})
    return [
        table.ratio(bench.meter, pull, REGISTRY, 1.0),
        table.ratio(bench.meter, manifests, REGISTRY, 1 / 0.7),
    ]


def _compare(bench: Bench, work: str, commands: dict[str, list[str]]) -> None:
    bench.meter.compare(
        work, {name: plain_contestant([command]) for name, command in commands.items()}
    )
