"""Limits of the requests to one registry: per second, and at once."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.cancel import Cancellation


class RateLimiter:
    """Spreads requests out to so many a second, and holds all of them back when told to.

    For any number of threads.
    """

    def __init__(self, requests_per_second: float | None) -> None:
        self._gap = 1 / requests_per_second if requests_per_second else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self, cancellation: Cancellation) -> None:
        """Return when the next request may be made.

        Raises:
            CancelledError: work has to stop.
        """
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._gap
        if turn > now:
            cancellation.sleep(turn - now)

    def hold(self, seconds: float) -> None:
        """Let no request start for so long."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)


class ConnectionLimiter:
    """So many connections at once; None: any number.

    A thread that holds a slot gets further ones at once. Else a copy within one registry, which
    reads from one connection and writes to another, could wait for itself.
    """

    def __init__(self, count: int | None) -> None:
        self._free = count
        self._held: Counter[int] = Counter()
        self._changed = threading.Condition()

    def acquire(self, cancellation: Cancellation) -> Callable[[], None]:
        """Wait for a slot; call what is returned, once, to give it back.

        Raises:
            CancelledError: work has to stop.
        """
        if self._free is None:
            return _nothing
        thread = threading.get_ident()
        with self._changed:
            while not self._held[thread] and not self._free:
                cancellation.check()
                self._changed.wait(0.1)
            if not self._held[thread]:
                self._free -= 1
            self._held[thread] += 1
        return lambda: self._give_back(thread)

    def _give_back(self, thread: int) -> None:
        with self._changed:
            self._held[thread] -= 1
            if not self._held[thread]:
                del self._held[thread]
                self._free = (self._free or 0) + 1
                self._changed.notify()


def _nothing() -> None:
    """There is no slot to give back."""
