"""Locks that other users of a storage respect, and tokens that announce changes."""

from __future__ import annotations

import threading
import time

import pytest

from bundler.cancel import Cancellation
from bundler.errors import CancelledError, LockedError
from bundler.transports.containers_storage import lockfile
from bundler.transports.containers_storage.lockfile import acquire_lock
from tests.transports.containers_storage.sample_storage import NAME


def test_wait_for_a_lock_ends_with_an_error(storage, monkeypatch):
    storage.add_image()
    monkeypatch.setattr(lockfile, "TIMEOUT", 0.2)
    lock = storage.record_directory("images") / "images.lock"
    with acquire_lock(lock, Cancellation(), write=True), pytest.raises(LockedError):
        storage.source().resolve(NAME)


def test_cancellation_ends_the_wait_for_a_lock(tmp_path):
    cancellation = Cancellation()
    cancellation.request()
    with (
        acquire_lock(tmp_path / "lock", Cancellation(), write=True),
        pytest.raises(CancelledError),
        acquire_lock(tmp_path / "lock", cancellation, write=False),
    ):
        pytest.fail("acquired a lock that was held")


def test_released_lock_is_acquired(storage):
    storage.add_image()
    lock = storage.record_directory("images") / "images.lock"
    acquired, released = threading.Event(), threading.Event()

    def hold():
        with acquire_lock(lock, Cancellation(), write=True):
            acquired.set()
            time.sleep(0.3)
            released.set()

    thread = threading.Thread(target=hold)
    thread.start()
    assert acquired.wait(5)
    assert storage.source().tags() == [NAME]
    assert released.is_set()
    thread.join()


def test_readers_share_a_lock(tmp_path, monkeypatch):
    monkeypatch.setattr(lockfile, "TIMEOUT", 0.2)
    with (
        acquire_lock(tmp_path / "lock", Cancellation(), write=False),
        acquire_lock(tmp_path / "lock", Cancellation(), write=False),
        pytest.raises(LockedError),
        acquire_lock(tmp_path / "lock", Cancellation(), write=True),
    ):
        pytest.fail("acquired a lock that was held")


def test_every_change_writes_another_token(storage):
    tokens = set()
    for data in (b"1", b"2"):
        storage.add_image(data)
        token = (storage.record_directory("layers") / "layers.lock").read_bytes()
        assert len(token) == 64
        tokens.add(token)
    assert len(tokens) == 2
