from __future__ import annotations

import threading
import time

import pytest

from bundler.cancel import Cancellation
from bundler.errors import CancelledError, RegistryError
from bundler.registry.retry_policy import (
    ConnectionLimiter,
    RateLimiter,
    RetryPolicy,
    wait_before_retry,
)


def failure(*, temporary=True, **more) -> RegistryError:
    return RegistryError("x", temporary=temporary, **more)


def test_what_will_not_change_is_not_tried_again():
    assert wait_before_retry(failure(temporary=False), 1, 0, RetryPolicy()) is None


def test_waits_grow_and_end():
    patience = RetryPolicy(attempts=6, first_wait=1, longest_wait=4)
    for attempt, longest in [(1, 1), (2, 2), (3, 4), (4, 4), (5, 4)]:
        waits = [wait_before_retry(failure(), attempt, 0, patience) for _ in range(200)]
        assert 0 <= min(waits) < longest / 4
        assert longest * 3 / 4 < max(waits) <= longest
    assert wait_before_retry(failure(), 6, 0, patience) is None


def test_a_server_error_is_given_fewer_chances():
    assert wait_before_retry(failure(status=500), 2, 0, RetryPolicy()) is not None
    assert wait_before_retry(failure(status=500), 3, 0, RetryPolicy()) is None
    assert wait_before_retry(failure(status=503), 4, 0, RetryPolicy()) is not None


def test_the_registry_says_when():
    assert 7 <= wait_before_retry(failure(retry_after=7), 1, 0, RetryPolicy()) <= 8


def test_a_wait_beyond_the_budget_is_not_begun():
    patience = RetryPolicy(budget=60)
    assert wait_before_retry(failure(retry_after=3600), 1, 0, patience) is None
    assert wait_before_retry(failure(retry_after=30), 2, 40, patience) is None


def test_requests_keep_their_distance():
    pace, started = RateLimiter(50), time.monotonic()
    threads = [threading.Thread(target=pace.wait, args=(Cancellation(),)) for _ in range(11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - started >= 10 / 50


def test_waiting_ends_with_the_run():
    pace, cancellation = RateLimiter(None), Cancellation()
    pace.hold(60)
    threading.Timer(0.05, cancellation.request).start()
    with pytest.raises(CancelledError):
        pace.wait(cancellation)


def test_slots_bound_the_threads_not_one_thread():
    slots, cancellation = ConnectionLimiter(1), Cancellation()
    download = slots.take(cancellation)
    upload = slots.take(cancellation)
    order = []

    def other() -> None:
        give_back = slots.take(cancellation)
        order.append("other")
        give_back()

    thread = threading.Thread(target=other)
    thread.start()
    time.sleep(0.05)
    upload()
    time.sleep(0.05)
    order.append("done")
    download()
    thread.join()
    assert order == ["done", "other"]
    slots.take(cancellation)()


def test_waiting_for_a_slot_ends_with_the_run():
    slots, cancellation = ConnectionLimiter(1), Cancellation()
    held = threading.Event()

    def hold() -> None:
        slots.take(cancellation)
        held.set()

    threading.Thread(target=hold).start()
    held.wait()
    threading.Timer(0.05, cancellation.request).start()
    with pytest.raises(CancelledError):
        slots.take(cancellation)
