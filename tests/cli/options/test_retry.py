"""A command is run again only where that may help."""

from __future__ import annotations

import pytest

from bundler.cancel import Cancellation
from bundler.cli.options.retry import Retry, run_with_retries
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


def attempts(error: BundlerError, retry: Retry) -> tuple[int, list[Event]]:
    calls, told = [], list[Event]()

    def body() -> None:
        calls.append(1)
        raise error

    with pytest.raises(type(error)):
        run_with_retries(retry, Cancellation(), told.append, body)
    return len(calls), told


@pytest.mark.parametrize(
    "error",
    [
        RegistryError("the connection was cut", temporary=True),
        RegistryError("answered 503", status=503, temporary=True),
        RateLimitedError("asked too often"),
    ],
)
def test_what_fails_for_now_is_done_again(error: BundlerError) -> None:
    count, told = attempts(error, Retry(2, SOON))
    assert count == 3
    assert told == [Retrying("all of it", SOON, error.message, n, 2, error) for n in (1, 2)]


@pytest.mark.parametrize(
    "error",
    [
        RegistryError("answered 500", status=500, temporary=True),
        UnauthorizedError("who are you?"),
        DeniedError("not you"),
        NotFoundError("manifest unknown"),
        CancelledError(),
    ],
)
def test_what_will_fail_again_is_not_done_again(error: BundlerError) -> None:
    assert attempts(error, Retry(2, SOON)) == (1, [])


def test_nobody_retries_unless_asked_to() -> None:
    assert attempts(RateLimitedError("asked too often"), Retry()) == (1, [])


def test_success_ends_it() -> None:
    answers = iter([RegistryError("cut", temporary=True), None])

    def body() -> str:
        if error := next(answers):
            raise error
        return "done"

    assert run_with_retries(Retry(5, SOON), Cancellation(), lambda _: None, body) == "done"


@pytest.mark.parametrize(("attempt", "least"), [(1, 1.0), (2, 2.0), (5, 16.0)])
def test_without_a_delay_waits_double(attempt: int, least: float) -> None:
    waits = [Retry(9).policy.backoff.wait(attempt) for _ in range(50)]
    assert all(least <= wait <= least * 1.1 for wait in waits)
    assert len(set(waits)) > 1


def test_waiting_ends_at_once_when_the_user_has_enough() -> None:
    cancellation = Cancellation()

    def body() -> None:
        cancellation.request()
        raise RegistryError("cut", temporary=True)

    with pytest.raises(CancelledError):
        run_with_retries(Retry(1, 3600.0), cancellation, lambda _: None, body)
