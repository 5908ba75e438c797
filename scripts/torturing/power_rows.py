"""Cut the power of an ext4 file system in a loop device, and verify the bundle on it.

``FS_IOC_SHUTDOWN`` without a flush of the journal loses all that was not made durable. The device
needs root, and a kernel with loop devices.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import struct
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scripts.torturing import command, site as sites
from scripts.torturing.row import Result, Torture, Violations
from scripts.torturing.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SHUTDOWN, _NO_FLUSH = 0x8004587D, struct.pack("I", 2)
_NEW_MOUNTS = 0x20000  # CLONE_NEWNS
_SIZE = 64_000_000


class Disk:
    """A file system in a file; ``path`` is where it is mounted."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "disk"
        self.path.mkdir()
        self._image = directory / "image"
        with self._image.open("wb") as file:
            file.truncate(_SIZE)
        _call("mkfs.ext4", "-q", self._image)

    def mount(self) -> None:
        """Mount the file system, which recovers its journal."""
        _call("mount", "-o", "loop", self._image, self.path)

    def cut(self) -> None:
        """Lose all that is not durable; then no file can be read or written."""
        fd = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, _SHUTDOWN, _NO_FLUSH)
        finally:
            os.close(fd)

    def unmount(self) -> None:
        """Unmount the file system."""
        _call("umount", self.path)


def power_cuts(torture: Torture, count: int) -> Iterator[Result]:
    """Cut the power after success, and during renewals."""
    _hide_mounts()
    with torture.directory() as directory, _mounted(directory) as disk:
        site = Site(directory)
        yield _after_success(site, disk, count)
        yield _during_renewals(torture, site, disk, count)
        yield _during_imports(torture, site, disk, count)


def _hide_mounts() -> None:
    """Enter another mount namespace: a process that copies the mounts would keep them alive."""
    if ctypes.CDLL(None, use_errno=True).unshare(_NEW_MOUNTS):
        sys.exit(f"unshare: {os.strerror(ctypes.get_errno())}: this row needs root")
    _call("mount", "--make-rprivate", "/")


@contextmanager
def _mounted(directory: Path) -> Iterator[Disk]:
    disk = Disk(directory)
    disk.mount()
    try:
        yield disk
    finally:
        disk.unmount()


def _after_success(site: Site, disk: Disk, count: int) -> Result:
    """Cut right after exports and renewals that ended with 0: the new bundle is whole."""
    violations = Violations("power-cuts: after exit 0")
    bundle = disk.path / "bundle"
    former = 0
    for number in range(count):
        if number % 10 == 0:
            sites.remove(bundle)
            former = 0
        manifest = ("former", "next")[number % 2]
        form = ("--format", ("oci", "dir")[number // 10 % 2])
        ended = command.run(site.path, *site.export(manifest, bundle, *form))
        disk.cut()
        _restart(disk)
        state = site.state(bundle)
        is_new = ended.status == 0 and isinstance(state, int) and state > former
        violations.check(None if is_new else f"{ended.output}{state}", f"cut {number}")
        former = state if isinstance(state, int) else 0
    return violations.result(f"{count} cuts")


def _during_renewals(torture: Torture, site: Site, disk: Disk, count: int) -> Result:
    """Cut at random moments: the former or the new bundle is whole, and a renewal completes."""
    violations = Violations("power-cuts: renewals")
    moments = torture.random("renewals")
    bundle = disk.path / "bundle"
    sites.remove(bundle)
    command.run(site.path, *site.export("former", bundle))
    started = time.monotonic()
    command.run(site.path, *site.export("next", bundle))
    duration = time.monotonic() - started
    for number in range(count):
        former = site.state(bundle)
        words = site.export(("former", "next")[number % 2], bundle)
        after = moments.uniform(0, duration)
        command.run(site.path, *words, killed_after=after, at_end=disk.cut)
        _restart(disk)
        state = site.state(bundle)
        is_valid = isinstance(state, int) and isinstance(former, int) and state >= former
        case = f"cut {number} after {after:.3f} s"
        violations.check(None if is_valid else f"{former}, then {state}", case)
        ended = command.run(site.path, *words)
        state = site.state(bundle)
        problem = None if ended.status == 0 and isinstance(state, int) else f"{ended}{state}"
        violations.check(problem, f"{case} again")
    return violations.result(f"{count} cuts")


def _during_imports(torture: Torture, site: Site, disk: Disk, count: int) -> Result:
    """Cut imports into a layout: no name without its content, and another import completes."""
    violations = Violations("power-cuts: imports")
    moments = torture.random("imports")
    (bundle,) = site.saved("power", "next")
    layout, records = disk.path / "target", disk.path / "records"
    words = ("import", bundle, f"oci:{layout}", *site.key, "--records", records)
    expected = {name: site.images[name].digest for name in ("kept:1", "new:1")}
    started = time.monotonic()
    command.run(site.path, *words)
    duration = time.monotonic() - started
    for number in range(count):
        sites.remove(layout, records)
        os.sync()
        after = moments.uniform(0, duration)
        command.run(site.path, *words, killed_after=after, at_end=disk.cut)
        _restart(disk)
        named = sites.read_layout(layout)
        case = f"cut {number} after {after:.3f} s"
        violations.check(named if isinstance(named, str) else None, case)
        ended = command.run(site.path, *words)
        named = sites.read_layout(layout)
        problem = None if ended.status == 0 and named == expected else f"{ended}{named}"
        violations.check(problem, f"{case} again")
        log = command.run(site.path, "log", "verify", "--records", records)
        violations.check(str(log) if log.status else None, f"{case} log")
    return violations.result(f"{count} cuts")


def _restart(disk: Disk) -> None:
    disk.unmount()
    disk.mount()


def _call(*words: object) -> None:
    """Run a program; exit with its message if it fails."""
    ended = subprocess.run([*map(str, words)], capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}: {ended.stderr.strip()}")
