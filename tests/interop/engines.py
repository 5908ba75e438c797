"""Real container engines, each with its own home directory, which are always stopped.

Docker and containerd require root: a test that starts one is marked with that right
(tests/kernel.py).
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
    """The command, with its own storage."""
    with home() as directory:
        yield servers.Client((servers.program("podman"), *podman_flags(directory)), directory)


@contextmanager
def podman_service() -> Iterator[str]:
    """Podman's implementation of the Docker API; yields its URL, ``unix://…``."""
    with home() as directory:
        host = f"unix://{directory}/podman.sock"
        command = [servers.program("podman"), *podman_flags(directory)]
        with _running([*command, "system", "service", "--time=0", host], directory, "podman.sock"):
            yield host


@contextmanager
def dockerd() -> Iterator[str]:
    """Docker without a network; yields its URL, ``unix://…``."""
    with home() as directory:
        host = f"unix://{directory}/docker.sock"
        command = [
            servers.program("dockerd"),
            *("--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver=vfs"),
            *("--data-root", f"{directory}/data", "--exec-root", f"{directory}/exec"),
            *("--pidfile", f"{directory}/docker.pid", "--host", host),
        ]
        with _running(command, directory, "docker.sock"):
            yield host


@contextmanager
def containerd() -> Iterator[servers.Client]:
    """containerd; yields its client ``ctr``."""
    with home() as directory:
        configuration = directory / "config.toml"
        configuration.write_text(
            "version = 2\n"
            f"root = '{directory}/root'\nstate = '{directory}/state'\n"
            "disabled_plugins = ['io.containerd.grpc.v1.cri']\n"
            f"[grpc]\naddress = '{directory}/containerd.sock'\n"
        )
        command = [servers.program("containerd"), "--config", str(configuration)]
        with _running(command, directory, "containerd.sock"):
            ctr = (servers.program("ctr"), "--address", f"{directory}/containerd.sock")
            yield servers.Client(ctr, directory)


@contextmanager
def home() -> Iterator[Path]:
    """A directory with a short path, because the path of a socket is limited to 107 bytes."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        yield Path(home)


def podman_flags(home: Path, driver: str = "vfs") -> tuple[str, ...]:
    """Options that place all files of podman below its home, and disable unneeded features."""
    return (
        *("--root", f"{home}/root", "--runroot", f"{home}/run", "--storage-driver", driver),
        *("--events-backend", "file", "--cgroup-manager", "cgroupfs"),
    )


@contextmanager
def _running(command: list[str], home: Path, socket: str) -> Iterator[None]:
    """Run a server until the block ends; yield when its socket exists."""
    # If the tests are killed, the server is killed too.
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
