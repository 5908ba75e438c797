"""Retries of a whole command."""

from __future__ import annotations

import pytest

from bundler.cancel import Cancellation
from bundler.cli.options.images.retry import RetryOptions
from bundler.errors import (
    BundlerError,
    CancelledError,
    DeniedError,
    NotFoundError,
    RateLimitedError,
    RegistryError,
    UnauthorizedError,
)
from bundler.events import Event, Retrying

SOON = 0.001


def count_attempts(error: BundlerError, retry: RetryOptions) -> tuple[int, list[Event]]:
    calls, events = [], list[Event]()

    def body() -> None:
        calls.append(1)
        raise error

    with pytest.raises(type(error)):
        retry.call(body, Cancellation(), events.append)
    return len(calls), events


@pytest.mark.parametrize(
    "error",
    [
        RegistryError("connection closed", temporary=True),
        RegistryError("status 503", status=503, temporary=True),
        RateLimitedError("too many requests"),
    ],
)
def test_temporary_failure_is_retried(error: BundlerError) -> None:
    count, events = count_attempts(error, RetryOptions(2, SOON))
    assert count == 3
    assert events == [Retrying("the command", SOON, error.message, n, 2, error) for n in (1, 2)]


@pytest.mark.parametrize(
    "error",
    [
        RegistryError("status 500", status=500, temporary=True),
        UnauthorizedError("not logged in"),
        DeniedError("denied"),
        NotFoundError("manifest unknown"),
        CancelledError(),
    ],
)
def test_permanent_failure_is_not_retried(error: BundlerError) -> None:
    assert count_attempts(error, RetryOptions(2, SOON)) == (1, [])


def test_command_is_not_retried_by_default() -> None:
    assert count_attempts(RateLimitedError("too many requests"), RetryOptions()) == (1, [])


def test_success_ends_the_retries() -> None:
    results = iter([RegistryError("connection closed", temporary=True), None])

    def body() -> str:
        if error := next(results):
            raise error
        return "done"

    assert RetryOptions(5, SOON).call(body, Cancellation(), lambda _: None) == "done"


@pytest.mark.parametrize(("attempt", "least"), [(1, 1.0), (2, 2.0), (5, 16.0)])
def test_wait_doubles_without_a_delay(attempt: int, least: float) -> None:
    waits = [RetryOptions(9).create_policy().backoff.wait(attempt) for _ in range(50)]
    assert all(least <= wait <= least * 1.1 for wait in waits)
    assert len(set(waits)) > 1


def test_cancellation_ends_the_wait_before_a_retry() -> None:
    cancellation = Cancellation()

    def body() -> None:
        cancellation.request()
        raise RegistryError("connection closed", temporary=True)

    with pytest.raises(CancelledError):
        RetryOptions(1, 3600.0).call(body, cancellation, lambda _: None)
