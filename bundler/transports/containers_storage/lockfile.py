"""The locks that all users of a storage share: one file each, locked from end to end.

Who changes what a lock guards leaves a new token in the file: others that have read the old state
see that it is old. The tokens are 64 bytes, as all versions write them.

https://github.com/containers/storage/blob/v1.59.1/pkg/lockfile/lastwrite.go
"""

from __future__ import annotations

import os
import secrets
import struct
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bundler.content.files import file_lock
from bundler.content.files.os_errors import explained

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bundler.cancel import Cancellation

PATIENCE = 60.0
"""Seconds to wait for a lock; others hold one while they write a layer."""

_TOKEN = 64


class Lock:
    """One lock that is held; ``touch`` tells the others of a change."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd

    def touch(self) -> None:
        """Say that what the lock guards has changed; only for who holds it for writing."""
        token = struct.pack("<QQI", time.time_ns(), 0, os.getpid())
        token += secrets.token_bytes(_TOKEN - len(token))
        try:
            os.pwrite(self.fd, token, 0)
        except OSError as error:
            raise explained(error, self.path, "cannot write") from error


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
        lock = Lock(path, fd)
        file_lock.lock(
            lock,
            method="fcntl",
            shared=not write,
            timeout=PATIENCE if patience is None else patience,
            cancellation=stop,
        )
        yield lock
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
