"""Locks on open files and directories."""

from __future__ import annotations

import os
import threading
import time

import pytest

from bundler.cancel import Cancellation
from bundler.content.files.file_lock import lock
from bundler.content.files.safe_directory import Directory
from bundler.errors import CancelledError, LockedError


class OpenFile:
    def __init__(self, path):
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT)


@pytest.fixture
def files(tmp_path):
    """Three open files of the same path."""
    opened = [OpenFile(tmp_path / "lock") for _ in range(3)]
    yield opened
    for file in opened:
        os.close(file.fd)


def test_directory_lock_reports_its_holder_and_is_released_on_close(tmp_path):
    with Directory.open(tmp_path) as first, Directory.open(tmp_path) as second:
        lock(first)
        with pytest.raises(LockedError) as raised:
            lock(second)
        assert str(os.getpid()) in str(raised.value)
        first.close()
        lock(second)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("method", ["flock", "fcntl"])
def test_exclusive_lock_excludes_all_other_locks(files, method):
    first, second, third = files
    lock(first, method=method)
    with pytest.raises(LockedError):
        lock(second, method=method)
    with pytest.raises(LockedError):
        lock(third, method=method, shared=True)


@pytest.mark.parametrize("method", ["flock", "fcntl"])
def test_shared_locks_exclude_exclusive_lock(files, method):
    first, second, third = files
    lock(first, method=method, shared=True)
    lock(second, method=method, shared=True)
    with pytest.raises(LockedError):
        lock(third, method=method)


@pytest.mark.parametrize("method", ["flock", "fcntl"])
def test_lock_released_before_timeout_is_acquired(files, tmp_path, method):
    holder = OpenFile(tmp_path / "lock")
    lock(holder, method=method)
    timer = threading.Timer(0.2, os.close, [holder.fd])
    timer.start()
    lock(files[0], method=method, timeout=10)
    timer.join()


def test_timeout_ends_the_wait(files):
    lock(files[0])
    begun = time.monotonic()
    with pytest.raises(LockedError):
        lock(files[1], timeout=0.2)
    assert time.monotonic() - begun >= 0.2


def test_cancellation_ends_the_wait(files):
    lock(files[0])
    cancellation = Cancellation()
    timer = threading.Timer(0.1, cancellation.request)
    timer.start()
    with pytest.raises(CancelledError):
        lock(files[1], timeout=60, cancellation=cancellation)
    timer.join()
