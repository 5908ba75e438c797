"""One writer at a time in a directory or file, without leaving another file there.

The lock lies on what is open itself, so it ends with the process, however that ends.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import time
from pathlib import Path
from typing import Protocol

from bundler.content.files.os_errors import explained
from bundler.errors import LockedError

_PROC = Path("/proc")


class Lockable(Protocol):
    """An open directory or file."""

    path: Path
    fd: int


def lock(place: Lockable) -> None:
    """Lock ``place`` until it is closed.

    Raises:
        LockedError: somebody else holds it; who and since when, where the system tells.
        MediumError: its file system has no locks.
    """
    try:
        fcntl.flock(place.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise explained(error, place.path, "cannot lock") from error
        raise LockedError(
            f"{place.path}: locked by another process{_holder(place.fd)}",
            hint="wait until it ends, and run again",
        ) from error


def process(pid: int) -> str:
    """`` (PID, NAME, since TIME)`` of a process, or nothing where the system does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return f" ({pid}, {_name(str(pid))}, since {_start(str(pid))})"
    return ""


def _holder(fd: int) -> str:
    """`` (PID, NAME, since TIME)`` of whoever holds the lock, or nothing where it is not told."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        status = os.fstat(fd)
        device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        for line in (_PROC / "locks").read_text().splitlines():
            _, kind, _, _, pid, place, *_ = line.split()
            if kind == "FLOCK" and place == device:
                return process(int(pid))
    return ""


def _name(pid: str) -> str:
    name = (_PROC / pid / "comm").read_text().strip()
    return "".join(char for char in name if char.isprintable())


def _start(pid: str) -> str:
    """When the process started; field 22 of its stat, in ticks since the machine's start."""
    fields = (_PROC / pid / "stat").read_text().rpartition(")")[2].split()
    running = float((_PROC / "uptime").read_text().split()[0]) - int(fields[19]) / os.sysconf(
        "SC_CLK_TCK"
    )
    return time.strftime("%H:%M:%S", time.localtime(time.time() - running))
