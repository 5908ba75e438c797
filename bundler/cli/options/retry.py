"""Retries of a whole command after temporary failures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bundler.cli.options.go_values import parse_duration
from bundler.cli.options.group import option_group, spec
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
    """Number of retries of a command, and the wait before each."""

    times: int = 0
    delay: float = 0.0
    """In seconds. 0: 1, 2, 4 and so on, each plus up to 10 %."""

    @property
    def policy(self) -> RetryPolicy:
        """The same as a policy. ``Retry-After`` is obeyed by each request, not by the command."""
        backoff = (
            Backoff(self.delay, self.delay, jitter=(1.0, 1.0), longest_retry_after=0)
            if self.delay
            else Backoff(1.0, jitter=(1.0, 1.1), longest_retry_after=0)
        )
        return RetryPolicy(self.times + 1, backoff, attempts_on_500=1)


def retry_options(function: Decorated) -> Decorated:
    """Add the options for retries; their values are in ``retry``."""
    return option_group(Retry, "retry", "Retries", _OPTIONS)(function)


_OPTIONS = {
    "times": spec(
        "--retry-times",
        metavar="N",
        type=click.IntRange(0),
        default=0,
        help="Retry the command up to N times on temporary failures (default: 0).",
    ),
    "delay": spec(
        "--retry-delay",
        metavar="DURATION",
        type=parse_duration,
        default="0",
        help="Wait before each retry (default: 1s, 2s, 4s and so on).",
    ),
}


def run_with_retries(
    retry: Retry, cancellation: Cancellation, emit: Emit, body: Callable[[], Result]
) -> Result:
    """Call ``body``, again after each temporary failure, and return its result.

    A ``Retrying`` event announces each wait.

    Raises:
        BundlerError: the last failure.
        CancelledError: if the run was cancelled.
    """
    attempts = Attempts(retry.policy, "all of it", cancellation, emit, repeats=retry.times)
    for _ in attempts:
        try:
            return body()
        except RegistryError as error:
            attempts.fail(error)
    raise AssertionError("an iteration over attempts has no end")
