"""Lock open files and directories against other processes and threads of this host.

A lock is bound to the open file: it is released when the file is closed or the process ends. No
lock file is created. ``write_lock`` also excludes other hosts.
"""

from __future__ import annotations

import contextlib
import errno
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

CHECK_INTERVAL = 0.05
"""The seconds after which a lock that another process holds is tried again."""

_FLOCK = struct.Struct("hhqqi4x")
_PROC = Path("/proc")
_UNSUPPORTED = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EBADF})


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
            return _lock(target.fd, method, shared=shared)
        except (BlockingIOError, PermissionError) as error:
            if time.monotonic() >= deadline:
                raise LockedError(str(target.path), find_holder(target.fd, method)) from error
            if cancellation is None:
                time.sleep(CHECK_INTERVAL)
            else:
                cancellation.sleep(CHECK_INTERVAL)
        except OSError as error:
            raise to_bundler_error(error, target.path, "cannot lock") from error


def try_lock(target: Lockable, *, shared: bool = False) -> Literal["locked", "busy", "unsupported"]:
    """Lock ``target`` with flock(2) until it is closed, unless another process has locked it.

    Returns:
        ``unsupported`` if the file system has no such locks.

    Raises:
        MediumError: the lock fails for another reason.
    """
    try:
        _lock(target.fd, "flock", shared=shared)
    except BlockingIOError:
        return "busy"
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return "unsupported"
        raise to_bundler_error(error, target.path, "cannot lock") from error
    return "locked"


def find_holder(fd: int, method: Method = "flock") -> str:
    """Describe the process on this host that holds the lock; empty if it is unknown.

    A process in another PID namespace, such as that of a container, is not visible.
    """
    if method == "fcntl":
        pid = _FLOCK.unpack(fcntl.fcntl(fd, fcntl.F_GETLK, _pack(shared=False)))[4]
        return _describe(pid) if pid > 0 else ""  # -1: an open file description lock
    with contextlib.suppress(OSError, ValueError):
        status = os.fstat(fd)
        device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
        for line in (_PROC / "locks").read_text().splitlines():
            # 1: FLOCK  ADVISORY  WRITE 1234 fe:00:5662003 0 EOF
            _, kind, _, _, holder, locked, *_ = line.split()
            if kind == "FLOCK" and locked == device:
                return _describe(int(holder))
    return ""


def _describe(process: int) -> str:
    from bundler.content.files.lock_holder import LockHolder  # noqa: PLC0415 - rare

    return str(LockHolder.of_process(process))


def _lock(fd: int, method: Method, *, shared: bool) -> None:
    if method == "flock":
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    else:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _pack(shared=shared))


def _pack(*, shared: bool) -> bytes:
    """Return a ``struct flock`` that covers the whole file."""
    return _FLOCK.pack(fcntl.F_RDLCK if shared else fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
