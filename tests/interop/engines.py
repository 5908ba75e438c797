"""Real container engines, each with a home of its own, stopped for certain.

Docker and containerd run for root only: a test that starts one is marked so (tests/kernel.py).
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.interop import servers

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def podman() -> Iterator[servers.Client]:
    """The command, with a storage of its own."""
    with home() as place:
        yield servers.Client((servers.program("podman"), *podman_flags(place)), place)


@contextmanager
def podman_service() -> Iterator[str]:
    """Podman's imitation of Docker's API; yields its ``unix://…``."""
    with home() as place:
        host = f"unix://{place}/podman.sock"
        command = [servers.program("podman"), *podman_flags(place)]
        with _running([*command, "system", "service", "--time=0", host], place, "podman.sock"):
            yield host


@contextmanager
def dockerd() -> Iterator[str]:
    """Docker, without a network; yields its ``unix://…``."""
    with home() as place:
        host = f"unix://{place}/docker.sock"
        command = [
            servers.program("dockerd"),
            *("--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"),
            *("--data-root", f"{place}/data", "--exec-root", f"{place}/exec"),
            *("--pidfile", f"{place}/docker.pid", "--host", host),
        ]
        with _running(command, place, "docker.sock"):
            yield host


@contextmanager
def containerd() -> Iterator[servers.Client]:
    """containerd, by its command ``ctr``."""
    with home() as place:
        configuration = place / "config.toml"
        configuration.write_text(
            "version = 2\n"
            f"root = '{place}/root'\nstate = '{place}/state'\n"
            "disabled_plugins = ['io.containerd.grpc.v1.cri']\n"
            f"[grpc]\naddress = '{place}/containerd.sock'\n"
        )
        command = [servers.program("containerd"), "--config", str(configuration)]
        with _running(command, place, "containerd.sock"):
            ctr = (servers.program("ctr"), "--address", f"{place}/containerd.sock")
            yield servers.Client(ctr, place)


@contextmanager
def home() -> Iterator[Path]:
    """A directory with a short path: longer ones do not fit into the name of a socket."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        yield Path(home)


def podman_flags(home: Path, driver: str = "vfs") -> tuple[str, ...]:
    """Where podman keeps everything, and what it does without."""
    return (
        *("--root", f"{home}/root", "--runroot", f"{home}/run", "--storage-driver", driver),
        *("--events-backend", "file", "--cgroup-manager", "cgroupfs"),
    )


@contextmanager
def _running(command: list[str], home: Path, socket: str) -> Iterator[None]:
    """Run a server until the block ends; it answers once its socket is there."""
    # Should the tests be killed, it goes with them.
    command = [servers.program("setpriv"), "--pdeathsig", "TERM", *command]
    environment = {**servers.Client((), home).env(), "TMPDIR": str(home)}
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
        )
    try:
        deadline = time.monotonic() + 60
        while not (home / socket).exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{command} did not start:\n{(home / 'log').read_text()}")
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
