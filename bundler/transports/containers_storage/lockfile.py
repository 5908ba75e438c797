"""The locks that all users of a storage share: one lock file per list of records.

A process that changes the records writes a new token into the lock file. Processes that have read
the former records detect the change by the token. All versions write 64-byte tokens.

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
from bundler.transports.containers_storage.os_errors import convert_os_errors

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bundler.cancel import Cancellation

TIMEOUT = 60.0
"""Timeout in seconds for a lock, which other tools hold while they write a layer."""

_TOKEN_SIZE = 64


class StorageLock:
    """A lock that this process holds."""

    def __init__(self, path: Path, fd: int) -> None:
        self.path = path
        self.fd = fd

    def touch(self) -> None:
        """Write a new token, which announces a change. Requires a lock for writing.

        Raises:
            MediumError, NoSpaceError: the token cannot be written.
        """
        token = struct.pack("<QQI", time.time_ns(), 0, os.getpid())
        token += secrets.token_bytes(_TOKEN_SIZE - len(token))
        with convert_os_errors(self.path, "cannot write"):
            os.pwrite(self.fd, token, 0)


@contextmanager
def acquire_lock(path: Path, cancellation: Cancellation, *, write: bool) -> Iterator[StorageLock]:
    """Hold the lock at ``path`` until the block ends.

    Args:
        path: the lock file, which is created if it does not exist.
        cancellation: ends the wait for the lock.
        write: acquire the lock exclusively; otherwise other readers may also hold it.

    Raises:
        LockedError: another process holds the lock for longer than ``TIMEOUT``.
        MediumError: the file cannot be opened or locked.
    """
    flags = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    with convert_os_errors(path, "cannot open"):
        try:
            fd = os.open(path, flags | os.O_RDWR | os.O_CREAT, 0o644)
        except PermissionError:
            if write:
                raise
            fd = os.open(path, flags | os.O_RDONLY)
    try:
        lock = StorageLock(path, fd)
        file_lock.lock(
            lock, method="fcntl", shared=not write, timeout=TIMEOUT, cancellation=cancellation
        )
        yield lock
    finally:
        os.close(fd)
