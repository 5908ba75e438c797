"""The locks that all users of a storage share: one file each, locked from end to end.

Who changes what a lock guards leaves a new token in the file: others that have read the old state
see that it is old. The tokens are 64 bytes, as all versions write them.

https://github.com/containers/storage/blob/v1.59.1/pkg/lockfile/lastwrite.go
"""

from __future__ import annotations

import fcntl
import os
import secrets
import struct
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bundler.content.files.file_lock import process
from bundler.content.files.os_errors import explained
from bundler.errors import LockedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bundler.cancel import Cancellation

PATIENCE = 60.0
"""Seconds to wait for a lock; others hold one while they write a layer."""

_FLOCK = struct.Struct("hhqqi4x")
_PAUSE = 0.05
_TOKEN = 64


class Lock:
    """One lock that is held; ``touch`` tells the others of a change."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path = path
        self._fd = fd

    def touch(self) -> None:
        """Say that what the lock guards has changed; only for who holds it for writing."""
        token = struct.pack("<QQI", time.time_ns(), 0, os.getpid())
        token += secrets.token_bytes(_TOKEN - len(token))
        try:
            os.pwrite(self._fd, token, 0)
        except OSError as error:
            raise explained(error, self._path, "cannot write") from error


@contextmanager
def held(
    path: Path, stop: Cancellation, *, write: bool, patience: float | None = None
) -> Iterator[Lock]:
    """Hold the lock at ``path`` until the block ends; the file is made where it is missing.

    Args:
        path: the lock's file.
        stop: ends the waiting.
        write: alone, or together with others that only read.
        patience: seconds to wait for others; None: ``PATIENCE``.

    Raises:
        LockedError: others hold it for longer than that.
        MediumError: the file cannot be opened or locked.
    """
    fd = _opened(path, write=write)
    try:
        _wait(path, fd, stop, PATIENCE if patience is None else patience, write=write)
        yield Lock(path, fd)
    finally:
        os.close(fd)


def _opened(path: Path, *, write: bool) -> int:
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        try:
            return os.open(path, flags | os.O_RDWR | os.O_CREAT, 0o644)
        except PermissionError:
            if write:
                raise
            return os.open(path, flags | os.O_RDONLY)
    except OSError as error:
        raise explained(error, path, "cannot open") from error


def _wait(path: Path, fd: int, stop: Cancellation, patience: float, *, write: bool) -> None:
    kind = fcntl.F_WRLCK if write else fcntl.F_RDLCK
    deadline = time.monotonic() + patience
    while True:
        try:
            # Locks of the open file, not of the process: threads exclude each other too.
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, _FLOCK.pack(kind, os.SEEK_SET, 0, 0, 0))
        except (BlockingIOError, PermissionError) as error:
            if time.monotonic() >= deadline:
                raise LockedError(
                    f"{path}: locked by another process{_holder(fd, kind)}",
                    hint="wait until it ends, and run again",
                ) from error
            stop.sleep(_PAUSE)
        except OSError as error:
            raise explained(error, path, "cannot lock") from error
        else:
            return


def _holder(fd: int, kind: int) -> str:
    """Who holds the lock, where the system tells; of locks of open files it does not."""
    asked = fcntl.fcntl(fd, fcntl.F_GETLK, _FLOCK.pack(kind, os.SEEK_SET, 0, 0, 0))
    pid = _FLOCK.unpack(asked)[4]
    return process(pid) if pid > 0 else ""
