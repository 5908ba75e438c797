"""Cancellation of a run."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from bundler.cancel import Cancellation
from bundler.errors import CancelledError


def test_unrequested_cancellation_has_no_effect():
    cancellation = Cancellation()
    cancellation.check()
    cancellation.sleep(0)
    assert not cancellation.requested


def test_requested_cancellation_raises_with_status_of_signal():
    cancellation = Cancellation()
    cancellation.request(15)
    assert cancellation.requested
    for act in (cancellation.check, lambda: cancellation.sleep(0), lambda: cancellation.sleep(100)):
        with pytest.raises(CancelledError) as caught:
            act()
        assert caught.value.status == 143


def test_first_request_determines_status():
    """The end of a run requests a cancellation too, which must not replace the signal."""
    cancellation = Cancellation()
    child = Cancellation(cancellation)
    cancellation.request(15)
    child.request()
    cancellation.request()
    for each in (cancellation, child):
        with pytest.raises(CancelledError) as caught:
            each.check()
        assert caught.value.status == 143


def test_request_ends_sleep_within_one_second():
    cancellation = Cancellation()
    threading.Timer(0.05, cancellation.request).start()
    started = time.monotonic()
    with pytest.raises(CancelledError):
        cancellation.sleep(60)
    assert time.monotonic() - started < 1


def test_sleep_lasts_for_given_time():
    started = time.monotonic()
    Cancellation().sleep(0.25)
    assert 0.25 <= time.monotonic() - started < 5


def test_request_applies_to_children_but_not_to_parent():
    parent = Cancellation()
    first, second = Cancellation(parent), Cancellation(parent)
    grandchild = Cancellation(first)
    first.request()
    assert grandchild.requested
    assert not parent.requested
    assert not second.requested
    parent.request()
    assert second.requested


def test_child_of_requested_cancellation_is_requested():
    parent = Cancellation()
    parent.request(15)
    with pytest.raises(CancelledError) as caught:
        Cancellation(parent).check()
    assert caught.value.status == 143


def test_callbacks_run_on_request():
    cancellation = Cancellation()
    calls = []
    cancellation.on_request(lambda: calls.append("early"))
    cancellation.request()
    cancellation.on_request(lambda: calls.append("late"))
    assert calls == ["early", "late"]


def test_signal_ends_sleep_in_main_thread():
    cancellation = Cancellation()
    former = signal.signal(signal.SIGUSR1, lambda *_: cancellation.request(15))
    try:
        threading.Timer(0.05, signal.raise_signal, [signal.SIGUSR1]).start()
        with pytest.raises(CancelledError):
            cancellation.sleep(30)
    finally:
        signal.signal(signal.SIGUSR1, former)
