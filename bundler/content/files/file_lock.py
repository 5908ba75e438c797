"""Lock open files and directories against other processes and threads.

A lock is bound to the open file: it is released when the file is closed or the process ends. No
lock file is created.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from bundler.content.files.os_errors import to_bundler_error
from bundler.errors import LockedError

if TYPE_CHECKING:
    from bundler.cancel import Cancellation

Method = Literal["flock", "fcntl"]
"""``flock``: flock(2). ``fcntl``: an open file description lock of all bytes, which also excludes
programs that use the record locks of fcntl(2)."""

_CHECK_INTERVAL = 0.05  # seconds
_FLOCK = struct.Struct("hhqqi4x")
_PROC = Path("/proc")


class Lockable(Protocol):
    """An open directory or file."""

    @property
    def path(self) -> Path:
        """The path for messages."""
        ...

    @property
    def fd(self) -> int:
        """The file descriptor."""
        ...


def lock(
    target: Lockable,
    *,
    method: Method = "flock",
    shared: bool = False,
    timeout: float = 0.0,
    cancellation: Cancellation | None = None,
) -> None:
    """Lock ``target`` until it is closed.

    Args:
        target: an open file, which must be writable for an exclusive lock with ``fcntl``.
        method: the kind of lock, which must be the same in all programs that share the file.
        shared: whether other processes may hold a shared lock at the same time.
        timeout: seconds to wait until other processes release the lock.
        cancellation: ends the wait.

    Raises:
        LockedError: another process or thread holds the lock; the message names it if known.
        MediumError: the file system does not support locks.
        CancelledError: cancellation was requested during the wait.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            if method == "flock":
                operation = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
                return fcntl.flock(target.fd, operation | fcntl.LOCK_NB)
            fcntl.fcntl(target.fd, fcntl.F_OFD_SETLK, _pack(shared=shared))
        except (BlockingIOError, PermissionError) as error:
            if time.monotonic() >= deadline:
                raise LockedError(
                    f"{target.path}: locked by another process{_find_holder(target.fd, method)}",
                    hint="run the command again when that process has ended",
                ) from error
            if cancellation is None:
                time.sleep(_CHECK_INTERVAL)
            else:
                cancellation.sleep(_CHECK_INTERVAL)
        except OSError as error:
            raise to_bundler_error(error, target.path, "cannot lock") from error
        else:
            return None


def _pack(*, shared: bool) -> bytes:
    """Return a ``struct flock`` that covers the whole file."""
    return _FLOCK.pack(fcntl.F_RDLCK if shared else fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


def _find_holder(fd: int, method: Method) -> str:
    """Describe the process that holds the lock, or return an empty string if it is unknown."""
    if method == "fcntl":
        pid = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, _pack(shared=False)))[4]
        return _describe_process(str(pid)) if pid > 0 else ""  # -1: an open file description lock
    with contextlib.suppress(OSError, ValueError, IndexError):
        status = os.fstat(fd)
        device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        for line in (_PROC / "locks").read_text().splitlines():
            _, kind, _, _, holder, locked, *_ = line.split()
            if kind == "FLOCK" and locked == device:
                return _describe_process(holder)
    return ""


def _describe_process(pid: str) -> str:
    """Return `` (PID, NAME, since TIME)``, or an empty string if the process is unknown."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        name = (_PROC / pid / "comm").read_text().strip()
        printable = "".join(char for char in name if char.isprintable())
        # Field 22: the start time of the process, in clock ticks since boot.
        fields = (_PROC / pid / "stat").read_text().rpartition(")")[2].split()
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        running = float((_PROC / "uptime").read_text().split()[0]) - started
        since = time.strftime("%H:%M:%S", time.localtime(time.time() - running))
        return f" ({pid}, {printable}, since {since})"
    return ""
