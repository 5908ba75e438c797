"""A command that fails for now is run again, as often as its user asked for."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bundler.cli.options import duration
from bundler.errors import RegistryError
from bundler.retry_policy import Attempts, Backoff, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.cancel import Cancellation
    from bundler.events import Emit

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a command is run again, and after how long."""

    times: int = 0
    delay: float = 0.0
    """In seconds; 0: 1, 2, 4 and so on, and up to a tenth more."""

    @property
    def policy(self) -> RetryPolicy:
        """As a policy. Each request respects ``Retry-After`` itself; the whole command does not."""
        backoff = (
            Backoff(self.delay, self.delay, jitter=(1.0, 1.0), longest_retry_after=0)
            if self.delay
            else Backoff(1.0, jitter=(1.0, 1.1), longest_retry_after=0)
        )
        return RetryPolicy(self.times + 1, backoff, attempts_on_500=1)


def retries(function: Decorated) -> Decorated:
    """``--retry-times`` and ``--retry-delay``, gathered in the parameter ``retry``."""

    @functools.wraps(function)
    def gather(*arguments: Any, retry_times: int, retry_delay: float, **given: Any) -> Any:  # noqa: ANN401
        return function(*arguments, retry=Retry(retry_times, retry_delay), **given)

    gather = click.option(
        "--retry-delay",
        metavar="DURATION",
        type=duration.parse_duration,
        default="0",
        help="Wait this long before it; 1 s, 2 s, 4 s and so on if not said.",
    )(gather)
    return click.option(
        "--retry-times",
        metavar="N",
        type=click.IntRange(0),
        default=0,
        help="Run the whole again so often when it fails for now.",
    )(gather)  # type: ignore[return-value]


def retrying(
    retry: Retry, cancellation: Cancellation, emit: Emit, body: Callable[[], Result]
) -> Result:
    """What ``body`` returns, in the end; it is called again while it fails for now.

    Each wait is told as ``Retrying`` with the number of attempts that there may be.

    Raises:
        BundlerError: the last failure.
        CancelledError: work has to stop.
    """
    attempts = Attempts(retry.policy, "all of it", cancellation, emit, repeats=retry.times)
    for _ in attempts:
        try:
            return body()
        except RegistryError as error:
            attempts.fail(error)
    raise AssertionError("an iteration over attempts has no end")
