"""File systems of the rows about media: one with a limited rate, and one whose use is watched.

Both are mounted, which needs root; the rate is limited by the block I/O controller of cgroups v1.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.interop.servers import program

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIMIT = Path("/sys/fs/cgroup/blkio/blkio.throttle.write_bps_device")
_MEMORY = Path("/dev/shm")
_INTERVAL = 0.002  # seconds between two looks at the used space


@contextmanager
def slow_medium(mount_point: Path, size: int, rate: int) -> Iterator[None]:
    """Mount an ext4 of ``size`` bytes to which ``rate`` bytes are written in a second.

    Its blocks are in memory, and writes are cached as on a stick.
    """
    if not os.access(_LIMIT, os.W_OK):
        sys.exit("slow-medium needs root, and the block I/O controller of cgroups v1")
    image = _MEMORY / f"airbundle-bench-{os.getpid()}"
    device = ""
    try:
        with image.open("wb") as file:
            file.truncate(size)
        _run("mkfs.ext4", "-q", "-E", "lazy_itable_init=0", str(image))
        device = _run("losetup", "--show", "--find", str(image))
        number = Path(f"/sys/block/{Path(device).name}/dev").read_text().strip()
        mount_point.mkdir()
        _run("mount", device, str(mount_point))
        try:
            _LIMIT.write_text(f"{number} {rate}\n")
            yield
        finally:
            _LIMIT.write_text(f"{number} 0\n")
            _run("umount", str(mount_point))
            mount_point.rmdir()
    finally:
        if device:
            _run("losetup", "--detach", device)
        image.unlink()


@contextmanager
def watched_disk(mount_point: Path) -> Iterator[Watch]:
    """Mount a file system in memory; the result is complete after the block."""
    mount_point.mkdir()
    _run("mount", "-t", "tmpfs", "airbundle-bench", str(mount_point))
    try:
        watch = Watch(mount_point)
        thread = threading.Thread(target=watch.run)
        thread.start()
        try:
            yield watch
        finally:
            watch.ended.set()
            thread.join()
    finally:
        _run("umount", str(mount_point))
        mount_point.rmdir()


class Watch:
    """The space that is used on a file system, also by files without names."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.peak = self.final = 0
        self.ended = threading.Event()

    def run(self) -> None:
        """Watch until ``ended`` is set."""
        while not self.ended.wait(_INTERVAL):
            self._look()
        self._look()

    def _look(self) -> None:
        status = os.statvfs(self.path)
        self.final = (status.f_blocks - status.f_bfree) * status.f_frsize
        self.peak = max(self.peak, self.final)


def _run(name: str, *arguments: str) -> str:
    command = [program(name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
