"""Repeat an operation after a temporary failure: how often, and after which waits.

``Attempts`` is the only retry loop. The registry client, the engine and the command line use it
with policies of their own.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.events import Emit, Retrying

if TYPE_CHECKING:
    from bundler.cancel import Cancellation
    from bundler.errors import RegistryError

_MAX_DOUBLINGS = 30  # 2^30 seconds are 34 years


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits between attempts, in seconds, which double from one to the next.

    The default is the "full jitter" of
    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
    """

    first: float
    longest: float = math.inf
    jitter: tuple[float, float] = (0.0, 1.0)
    """The range of the random factor that each wait is multiplied by."""
    longest_retry_after: float = math.inf
    """The upper bound of a ``Retry-After`` that is respected; 0: none is."""

    def wait(self, attempt: int, retry_after: float | None = None) -> float:
        """Return the seconds to wait after failed ``attempt``, counted from 1.

        With ``retry_after``, the wait is not shorter than that, and at most a second longer if
        the backoff alone would be shorter.
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
    """How often an operation is attempted; times in seconds."""

    attempts: int
    backoff: Backoff
    attempts_on_500: int | None = None
    """For status 500, which is often permanent. None: as many as ``attempts``."""
    budget: float = math.inf
    """The upper bound of the sum of all waits."""

    def wait(self, error: RegistryError, attempt: int, waited: float = 0.0) -> float | None:
        """Return the seconds to wait after failed ``attempt``, counted from 1. None: give up.

        ``waited`` is the sum of the waits before this one.
        """
        attempts = self.attempts
        if error.status == 500 and self.attempts_on_500 is not None:
            attempts = self.attempts_on_500
        if not error.temporary or attempt >= attempts:
            return None
        wait = self.backoff.wait(attempt, error.retry_after)
        return wait if waited + wait <= self.budget else None


class Attempts:
    """Iterator over the attempts of one operation, which waits before each but the first.

    The body of the loop ends it when an attempt succeeds, and calls ``fail`` when one fails::

        attempts = Attempts(policy, subject, cancellation, emit)
        for _ in attempts:
            try:
                return request()
            except RegistryError as error:
                attempts.fail(error)

    Args:
        policy: how often, and after which waits.
        subject: the operation or its content, as the event ``Retrying`` names it.
        cancellation: ends a wait.
        emit: receives ``Retrying`` before each wait.
        repeats: for a whole command, the number of retries that its user requested.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        subject: str,
        cancellation: Cancellation,
        emit: Emit,
        *,
        repeats: int | None = None,
    ) -> None:
        self._policy = policy
        self._subject = subject
        self._cancellation = cancellation
        self._emit = emit
        self._repeats = repeats
        self._attempt = 0
        self._wait = 0.0
        self._waited = 0.0

    def __iter__(self) -> Attempts:
        """Return itself: the count continues if the iteration does."""
        return self

    def __next__(self) -> int:
        """Wait as long as the last failure requires; return the attempt's number, from 1.

        Raises:
            CancelledError: the run was cancelled before or during the wait.
        """
        if self._attempt:
            self._cancellation.sleep(self._wait)
            self._waited += self._wait
        self._attempt += 1
        return self._attempt

    def fail(self, error: RegistryError) -> float:
        """Announce the retry of the failed attempt; return the seconds that ``next`` will wait.

        Raises:
            RegistryError: ``error``, if it is permanent or there is no attempt left.
        """
        wait = self._policy.wait(error, self._attempt, self._waited)
        if wait is None:
            raise error
        self._wait = wait
        self._emit(
            Retrying(self._subject, wait, error.message, self._attempt, self._repeats, error)
        )
        return wait
