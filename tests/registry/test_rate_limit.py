from __future__ import annotations

import threading
import time

import pytest

from bundler.cancel import Cancellation
from bundler.errors import CancelledError
from bundler.registry.rate_limit import ConnectionLimiter, RateLimiter


def test_rate_limiter_spaces_requests_of_all_threads():
    pace, started = RateLimiter(50), time.monotonic()
    threads = [threading.Thread(target=pace.wait, args=(Cancellation(),)) for _ in range(11)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - started >= 10 / 50


def test_rate_limiter_stops_waiting_when_cancelled():
    pace, cancellation = RateLimiter(None), Cancellation()
    pace.delay(60)
    threading.Timer(0.05, cancellation.request).start()
    with pytest.raises(CancelledError):
        pace.wait(cancellation)


def test_connection_limiter_never_blocks_a_thread_that_has_a_connection():
    slots, cancellation = ConnectionLimiter(1), Cancellation()
    download = slots.acquire(cancellation)
    upload = slots.acquire(cancellation)
    order = []

    def other() -> None:
        give_back = slots.acquire(cancellation)
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
    slots.acquire(cancellation)()


def test_connection_limiter_stops_waiting_when_cancelled():
    slots, cancellation = ConnectionLimiter(1), Cancellation()
    held = threading.Event()

    def hold() -> None:
        slots.acquire(cancellation)
        held.set()

    threading.Thread(target=hold).start()
    held.wait()
    threading.Timer(0.05, cancellation.request).start()
    with pytest.raises(CancelledError):
        slots.acquire(cancellation)
