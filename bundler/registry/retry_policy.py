"""When a request is made again, and how often requests may be made at all.

Only the start of a request is repeated here. A body that breaks off is the caller's: it knows
how far it got.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.cancel import Cancellation
    from bundler.errors import RegistryError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long a request is worth repeating; times in seconds."""

    attempts: int = 5
    attempts_on_500: int = 3
    """A server error that does not call itself temporary is often there to stay."""
    first_wait: float = 0.5
    longest_wait: float = 30.0
    budget: float = 240.0
    """What all waits of one request may add up to."""


def wait_before_retry(
    error: RegistryError, attempt: int, waited: float, patience: RetryPolicy
) -> float | None:
    """How many seconds to wait after failed ``attempt`` (from 1); None: give up.

    Full jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    A registry that says when to come back is taken at its word, with a little jitter on top.
    """
    attempts = patience.attempts_on_500 if error.status == 500 else patience.attempts
    if not error.temporary or attempt >= attempts:
        return None
    if error.retry_after is not None:
        wait = error.retry_after + random.uniform(0, min(1.0, error.retry_after / 10))  # noqa: S311 - jitter, no secret
    else:
        longest = min(patience.longest_wait, patience.first_wait * 2 ** (attempt - 1))
        wait = random.uniform(0, longest)  # noqa: S311 - jitter, no secret
    return wait if waited + wait <= patience.budget else None


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

    def take(self, cancellation: Cancellation) -> Callable[[], None]:
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
