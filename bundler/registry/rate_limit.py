"""Limits for one registry: requests per second and parallel connections."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.cancel import Cancellation


class RateLimiter:
    """Limiter for requests per second to one registry (None: no limit); thread-safe."""

    def __init__(self, requests_per_second: float | None) -> None:
        self._interval = 1 / requests_per_second if requests_per_second else 0.0
        self._next = 0.0
        self._lock = threading.Lock()

    def wait(self, cancellation: Cancellation) -> float:
        """Wait until the next request may be sent, or raise CancelledError.

        Returns the number of seconds for which ``delay`` has prolonged the wait at most.
        """
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._interval
        if turn > now:
            cancellation.sleep(turn - now)
        return 0.0 if self._interval else turn - now

    def delay(self, seconds: float) -> None:
        """Delay all requests by ``seconds``, for example after a ``Retry-After`` header."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)


class ConnectionLimiter:
    """Limiter for the number of threads with connections (None: no limit); thread-safe.

    A thread that holds a connection gets another one without waiting. Otherwise, a copy within one
    registry, which reads from one connection and writes to another, could deadlock.
    """

    def __init__(self, count: int | None) -> None:
        self._free = count
        self._held: Counter[int] = Counter()
        self._changed = threading.Condition()

    def acquire(self, cancellation: Cancellation) -> Callable[[], None]:
        """Wait for a connection; return the function that releases it, to be called once.

        Raises:
            CancelledError: the run was cancelled.
        """
        if self._free is None:
            return lambda: None
        thread = threading.get_ident()
        with self._changed:
            while not self._held[thread] and not self._free:
                cancellation.check()
                self._changed.wait(0.1)
            if not self._held[thread]:
                self._free -= 1
            self._held[thread] += 1

        def release() -> None:
            with self._changed:
                self._held[thread] -= 1
                if not self._held[thread]:
                    del self._held[thread]
                    self._free = (self._free or 0) + 1
                    self._changed.notify()

        return release
