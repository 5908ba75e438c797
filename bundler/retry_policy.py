"""Retry an operation after a temporary failure, with a limited number of attempts and with waits.

``Attempts`` is the only retry loop. The registry client, the engine and the command line each use
it with their own policy.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.events import Emit, Retrying

if TYPE_CHECKING:
    from bundler.cancel import Cancellation
    from bundler.errors import RegistryError

_MAX_DOUBLINGS = 30  # 2^30 seconds are 34 years


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


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Limits on the attempts of an operation; times in seconds."""

    attempts: int
    backoff: Backoff
    attempts_on_500: int | None = None
    """The limit for HTTP status 500, which is often permanent; None: the same as ``attempts``."""
    budget: float = math.inf
    """The maximum sum of all waits."""

    def wait(self, error: RegistryError, attempt: int, waited: float = 0.0) -> float | None:
        """Return the number of seconds to wait after the failed ``attempt``, counted from 1.

        ``waited`` is the sum of the previous waits. None: the operation must not be retried.
        """
        attempts = self.attempts
        if error.status == 500 and self.attempts_on_500 is not None:
            attempts = self.attempts_on_500
        if not error.temporary or attempt >= attempts:
            return None
        wait = self.backoff.wait(attempt, error.retry_after)
        return wait if waited + wait <= self.budget else None


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
    _waited: float = field(default=0.0, init=False)

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
            self._waited += self._wait
        self._attempt += 1
        return self._attempt

    def fail(self, error: RegistryError) -> float:
        """Schedule a retry; return the number of seconds that ``next`` will wait.

        Raises:
            RegistryError: ``error`` itself, if it is permanent or the policy allows no retry.
        """
        wait = self.policy.wait(error, self._attempt, self._waited)
        if wait is None:
            raise error
        self._wait = wait
        self.emit(Retrying(self.subject, wait, error.message, self._attempt, self.repeats, error))
        return wait
