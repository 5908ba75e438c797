"""Retry an operation after a temporary failure, within a limit and with waits.

``Attempts`` is the only retry loop. The registry client and the engine limit the time since the
first failure; the command line limits the number of attempts.
"""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from bundler.errors import RateLimitedError
from bundler.events import Emit, Retrying

if TYPE_CHECKING:
    from bundler.cancel import Cancellation
    from bundler.errors import RegistryError

DEFAULT_PATIENCE = 60.0
"""Number of seconds for which a host may be unavailable."""
DEFAULT_RATE_LIMIT_PATIENCE = 240.0
"""Number of seconds for which a host may require waits by ``Retry-After``."""

_LONGEST_OUTAGE = 600.0
"""Seconds after which an operation is not retried, regardless of the number of attempts."""

_MAX_DOUBLINGS = 30  # 2^30 seconds are 34 years
_MARGIN = 0.05


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential backoff: waits in seconds, each twice as long as the previous one.

    The default jitter is the "full jitter" of
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    first: float
    longest: float = math.inf
    jitter: tuple[float, float] = (0.0, 1.0)
    """The range of the random factor by which each wait is multiplied."""
    longest_retry_after: float = math.inf
    """The limit to which a longer ``Retry-After`` is reduced; 0: ``Retry-After`` is ignored."""

    def wait(self, attempt: int, retry_after: float | None = None) -> float:
        """Return the number of seconds to wait after the failed ``attempt``, counted from 1.

        The wait is at least ``retry_after``, within ``longest_retry_after``, plus a jitter of up
        to one second.
        """
        wait = min(self.longest, self.first * 2.0 ** min(attempt - 1, _MAX_DOUBLINGS))
        wait *= random.uniform(*self.jitter)  # noqa: S311 - jitter, no secret
        if retry_after is None:
            return wait
        requested = min(retry_after, self.longest_retry_after)
        requested += random.uniform(0, min(1.0, requested / 10))  # noqa: S311 - jitter, no secret
        return max(wait, requested)


class RetryPolicy(Protocol):
    """Rule that decides whether and when an operation is retried."""

    def wait(self, error: RegistryError, attempt: int, elapsed: float) -> float | None:
        """Return the number of seconds to wait after the failed ``attempt``, counted from 1.

        ``elapsed`` is the number of seconds since the first failure. None: the operation must not
        be retried.
        """


@dataclass(frozen=True, slots=True)
class LimitedTime:
    """Retries until the patience with the failing host ends.

    The last attempt is made shortly after that, so that an outage of this length is survived.
    """

    backoff: Backoff
    rate_limit_backoff: Backoff
    """The waits after a response that the rate limit is exceeded."""
    patience: float = DEFAULT_PATIENCE
    """In seconds, unless the error has another one."""
    min_retries: int = 0
    """The minimum number of retries, even after the patience, for operations that take long."""

    def wait(self, error: RegistryError, attempt: int, elapsed: float) -> float | None:
        """As ``RetryPolicy.wait``."""
        limited = isinstance(error, RateLimitedError)
        patience = self.patience if error.patience is None else error.patience
        retries_due = attempt <= self.min_retries and elapsed < _LONGEST_OUTAGE
        last = patience * (1 + _MARGIN)
        exhausted = elapsed >= last and not retries_due
        if not error.temporary or not patience or exhausted:
            return None
        backoff = self.rate_limit_backoff if limited else self.backoff
        wait = backoff.wait(attempt, error.retry_after)
        if elapsed + wait <= last or elapsed >= last:
            return wait
        if error.retry_after is not None and elapsed + error.retry_after > patience:
            return None
        return last - elapsed


_AFTER_INTERRUPTION = Backoff(0.5, longest=5.0, jitter=(0.5, 1.0), longest_retry_after=300.0)
TRANSFER_POLICY = LimitedTime(
    _AFTER_INTERRUPTION, replace(_AFTER_INTERRUPTION, longest=30.0), min_retries=5
)
"""Policy of the engine for transfers that were interrupted."""


@dataclass(frozen=True, slots=True)
class LimitedAttempts:
    """Retries up to a number of attempts."""

    attempts: int
    backoff: Backoff
    attempts_on_500: int | None = None
    """The limit for HTTP status 500, which is often permanent; None: the same as ``attempts``."""

    def wait(self, error: RegistryError, attempt: int, elapsed: float) -> float | None:  # noqa: ARG002
        """As ``RetryPolicy.wait``."""
        attempts = self.attempts
        if error.status == 500 and self.attempts_on_500 is not None:
            attempts = self.attempts_on_500
        if not error.temporary or attempt >= attempts:
            return None
        return self.backoff.wait(attempt, error.retry_after)


@dataclass(slots=True, eq=False)
class Attempts:
    """Iterator over the attempts of one operation, which waits before each retry.

    The body of the loop leaves the loop when an attempt succeeds, and calls ``fail`` if it fails::

        attempts = Attempts(policy, subject, cancellation, emit)
        for _ in attempts:
            try:
                return request()
            except RegistryError as error:
                attempts.fail(error)
    """

    policy: RetryPolicy
    subject: str
    """The operation or its content, for the event ``Retrying``."""
    cancellation: Cancellation
    """Interrupts a wait."""
    emit: Emit
    """Receives ``Retrying`` before each wait."""
    repeats: int | None = field(default=None, kw_only=True)
    """The number of retries that the user requested for a command; None: the operation is a single
    request."""
    _attempt: int = field(default=0, init=False)
    _wait: float = field(default=0.0, init=False)
    _failed_at: float | None = field(default=None, init=False)
    """The time of the first failure."""

    def __iter__(self) -> Attempts:
        """Return the same iterator: a second loop continues to count the attempts."""
        return self

    def __next__(self) -> int:
        """Wait as long as the last failure requires; return the number of the attempt, from 1.

        Raises:
            CancelledError: the run was cancelled before or during the wait.
        """
        if self._attempt:
            self.cancellation.sleep(self._wait)
        self._attempt += 1
        return self._attempt

    def fail(self, error: RegistryError) -> float:
        """Schedule a retry; return the number of seconds that ``next`` will wait.

        An outage is announced by one event, however often and by however many operations its host
        is contacted meanwhile.

        Raises:
            RegistryError: ``error`` itself, if it is permanent or the policy allows no retry.
        """
        now = time.monotonic()
        if self._failed_at is None:
            self._failed_at = now
        wait = self.policy.wait(error, self._attempt, now - self._failed_at)
        if wait is None:
            if error.outage is not None and error.outage.announced and error.status is None:
                error.add_outage(now - error.outage.since)
            raise error
        self._wait = wait
        self.announce(error, wait)
        return wait

    def announce(self, error: RegistryError, wait: float = 0.0) -> None:
        """Emit the event for a retry after ``wait`` seconds, but only one for each outage."""
        outage, patience = error.outage, error.patience
        if outage is None:
            patience = None
        elif outage.announced and self.repeats is None:
            return
        else:
            outage.announced = True
        attempt, repeats = self._attempt, self.repeats
        self.emit(
            Retrying(self.subject, wait, error.message, attempt, repeats, error, patience or None)
        )

    def restart(self) -> None:
        """Restart the count and the time, because the operation has made progress."""
        self._attempt = 1
        self._failed_at = None
