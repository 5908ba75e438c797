from __future__ import annotations

import math
import time

import pytest

from bundler.cancel import Cancellation
from bundler.errors import CancelledError, Outage, RateLimitedError, RegistryError
from bundler.events import Event, Retrying, discard
from bundler.retry_policy import Attempts, Backoff, LimitedAttempts, LimitedTime, RetryPolicy

SOON = Backoff(0.001, 0.001)


class RecordingCancellation(Cancellation):
    """A cancellation that records the waits instead of sleeping."""

    def __init__(self) -> None:
        super().__init__()
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def failure(*, temporary=True, **fields) -> RegistryError:
    return RegistryError("busy", temporary=temporary, **fields)


def fail_always(policy: RetryPolicy, error: RegistryError, emit=discard) -> list[float]:
    """Return the waits until ``policy`` gives up on ``error``."""
    cancellation = RecordingCancellation()
    attempts = Attempts(policy, "it", cancellation, emit)

    def run() -> None:
        for _ in attempts:
            attempts.fail(error)

    with pytest.raises(type(error)) as raised:
        run()
    assert raised.value is error
    return cancellation.slept


def test_backoff_doubles_up_to_longest_wait():
    backoff = Backoff(first=1, longest=4, jitter=(1.0, 1.0))
    assert [backoff.wait(attempt) for attempt in range(1, 6)] == [1, 2, 4, 4, 4]


def test_backoff_has_full_jitter_by_default():
    backoff = Backoff(first=1, longest=4)
    for attempt, longest in [(1, 1), (2, 2), (3, 4), (4, 4), (5, 4)]:
        waits = [backoff.wait(attempt) for _ in range(200)]
        assert 0 <= min(waits) < longest / 4
        assert longest * 3 / 4 < max(waits) <= longest


def test_backoff_stays_within_jitter_and_varies():
    backoff = Backoff(first=1, longest=30, jitter=(0.5, 1.0))
    waits = [backoff.wait(attempt) for attempt in range(1, 40)]
    assert 0.5 <= waits[0] <= 1
    assert max(waits) <= 30
    assert len(set(waits)) == len(waits)


def test_backoff_of_very_many_attempts_is_finite():
    assert math.isfinite(Backoff(1.0, jitter=(1.0, 1.1)).wait(10**6))


def test_retry_after_is_shortest_wait():
    waits = [Backoff(0.5, 30).wait(1, retry_after=7) for _ in range(50)]
    assert all(7 <= wait <= 8 for wait in waits)
    assert len(set(waits)) > 1


def test_retry_after_is_bounded():
    assert 300 <= Backoff(1, 30, longest_retry_after=300).wait(1, retry_after=10**9) <= 301


def test_retry_after_can_be_ignored():
    assert Backoff(1, 1, (1.0, 1.0), longest_retry_after=0).wait(1, retry_after=77) == 1


@pytest.mark.parametrize(
    ("error", "attempts"),
    [
        (failure(temporary=False), 1),
        (failure(), 5),
        (failure(status=503), 5),
        (failure(status=500), 3),
        (RateLimitedError("slow down"), 5),
    ],
)
def test_number_of_attempts_depends_on_error(error, attempts):
    policy = LimitedAttempts(5, SOON, attempts_on_500=3)
    assert len(fail_always(policy, error)) == attempts - 1


def test_retries_end_with_patience():
    policy = LimitedTime(Backoff(5, 5, (1.0, 1.0)), SOON, patience=60)
    assert policy.wait(failure(), 1, 0) == 5
    assert policy.wait(failure(), 9, 63) is None
    assert policy.wait(failure(temporary=False), 1, 0) is None


def test_last_attempt_is_made_shortly_after_the_patience():
    policy = LimitedTime(Backoff(5, 5, (1.0, 1.0)), SOON, patience=60)
    assert policy.wait(failure(), 9, 58) == 5
    assert policy.wait(failure(), 9, 59.9) == pytest.approx(3.1)


def test_attempt_at_the_end_of_the_patience_is_not_the_last():
    """Otherwise an outage of this length is not survived if that attempt is made a moment early."""
    policy = LimitedTime(Backoff(5, 5, (1.0, 1.0)), SOON, patience=60)
    assert policy.wait(failure(), 9, 60.01) == pytest.approx(2.99)


def test_patience_of_the_error_has_precedence():
    policy, error = LimitedTime(SOON, SOON, patience=60), failure()
    error.patience = 0
    assert policy.wait(error, 1, 0) is None
    error.patience = 300
    assert policy.wait(error, 1, 200) is not None


def test_long_operations_are_retried_a_minimum_number_of_times():
    policy = LimitedTime(SOON, SOON, patience=60, min_retries=3)
    assert [policy.wait(failure(), attempt, 500) is None for attempt in range(1, 6)] == [
        False,
        False,
        False,
        True,
        True,
    ]


def test_slow_failures_end_a_long_operation():
    """Each attempt may take as long as the limit of a response."""
    policy = LimitedTime(SOON, SOON, patience=60, min_retries=3)
    assert policy.wait(failure(), 1, 600) is None


def test_retry_after_beyond_the_patience_is_not_awaited():
    policy = LimitedTime(SOON, SOON, patience=60)
    assert policy.wait(failure(retry_after=3600), 1, 0) is None
    assert 25 <= (policy.wait(failure(retry_after=25), 1, 0) or 0) < 27


def test_outage_is_announced_once():
    emitted: list[Event] = []
    outage = Outage(0.0)
    for _ in range(2):
        error = failure()
        error.outage, error.patience = outage, 60
        attempts = Attempts(LimitedTime(SOON, SOON), "it", Cancellation(), emitted.append)
        next(attempts)
        attempts.fail(error)
    assert [event.patience for event in emitted if isinstance(event, Retrying)] == [60]


def test_error_states_the_outage_and_the_next_step():
    error = RegistryError("connection refused", temporary=True, hint="check the port")
    error.outage = Outage(time.monotonic() - 61)
    attempts = Attempts(LimitedTime(SOON, SOON), "it", Cancellation(), discard)
    next(attempts)
    attempts.fail(error)
    error.patience = 0
    with pytest.raises(RegistryError) as raised:
        attempts.fail(error)
    assert str(raised.value) == "connection refused; it was unavailable for 61 s"
    assert raised.value.hint is not None
    assert "run the same command again" in raised.value.hint
    assert "--patience" in raised.value.hint


def test_restart_forgets_earlier_failures():
    attempts = Attempts(LimitedTime(SOON, SOON, patience=0.05), "it", Cancellation(), discard)
    next(attempts)
    attempts.fail(failure())
    time.sleep(0.06)
    with pytest.raises(RegistryError):
        attempts.fail(failure())
    attempts.restart()
    attempts.fail(failure())


def test_each_retry_emits_event():
    emitted: list[Event] = []
    error = failure()
    waits = fail_always(LimitedAttempts(3, SOON), error, emitted.append)
    assert emitted == [
        Retrying("it", wait, "busy", number, error=error) for number, wait in enumerate(waits, 1)
    ]


def test_cancellation_ends_wait():
    cancellation = Cancellation()
    attempts = Attempts(
        LimitedAttempts(2, Backoff(60, 60, (1.0, 1.0))), "it", cancellation, discard
    )
    assert next(attempts) == 1
    attempts.fail(failure())
    cancellation.request()
    with pytest.raises(CancelledError):
        next(attempts)
