"""One flag stops all work."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from bundler.cancel import Cancellation
from bundler.errors import CancelledError


def test_nothing_happens_until_it_is_requested():
    stop = Cancellation()
    stop.check()
    stop.sleep(0)
    assert not stop.requested


def test_a_request_raises_with_the_signals_status():
    stop = Cancellation()
    stop.request(15)
    assert stop.requested
    for act in (stop.check, lambda: stop.sleep(0), lambda: stop.sleep(100)):
        with pytest.raises(CancelledError) as caught:
            act()
        assert caught.value.status == 143


def test_the_first_request_gives_the_status():
    """Winding down requests a stop too, which must not hide the signal that began it."""
    stop = Cancellation()
    child = Cancellation(stop)
    stop.request(15)
    child.request()
    stop.request()
    for each in (stop, child):
        with pytest.raises(CancelledError) as caught:
            each.check()
        assert caught.value.status == 143


def test_a_sleeper_wakes_within_a_second():
    stop = Cancellation()
    threading.Timer(0.05, stop.request).start()
    begun = time.monotonic()
    with pytest.raises(CancelledError):
        stop.sleep(60)
    assert time.monotonic() - begun < 1


def test_sleep_takes_its_time():
    begun = time.monotonic()
    Cancellation().sleep(0.25)
    assert 0.25 <= time.monotonic() - begun < 5


def test_children_stop_with_their_parent_and_not_the_other_way():
    parent = Cancellation()
    one, two = Cancellation(parent), Cancellation(parent)
    grandchild = Cancellation(one)
    one.request()
    assert grandchild.requested
    assert not parent.requested
    assert not two.requested
    parent.request()
    assert two.requested


def test_a_child_of_one_that_was_stopped_is_born_stopped():
    parent = Cancellation()
    parent.request(15)
    with pytest.raises(CancelledError) as caught:
        Cancellation(parent).check()
    assert caught.value.status == 143


def test_those_who_wait_elsewhere_are_told_at_once():
    stop = Cancellation()
    told = []
    stop.on_request(lambda: told.append("early"))
    stop.request()
    stop.on_request(lambda: told.append("late"))
    assert told == ["early", "late"]


def test_a_real_signal_ends_a_sleep_in_the_main_thread():
    stop = Cancellation()
    former = signal.signal(signal.SIGUSR1, lambda *_: stop.request(15))
    try:
        threading.Timer(0.05, signal.raise_signal, [signal.SIGUSR1]).start()
        with pytest.raises(CancelledError):
            stop.sleep(30)
    finally:
        signal.signal(signal.SIGUSR1, former)
