"""Retries of a whole command after temporary failures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import click

from bundler.cli.options.option import option_group, parse_duration, spec
from bundler.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.cancel import Cancellation
    from bundler.events import Emit
    from bundler.retry_policy import LimitedAttempts

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class RetryOptions:
    """Number of retries of a command, and the wait before each retry."""

    times: int = 0
    delay: float = 0.0
    """Wait in seconds; 0: exponential backoff (1, 2, 4, … s) with up to 10 % jitter."""

    def create_policy(self) -> LimitedAttempts:
        """Return the retry policy; it ignores ``Retry-After``, which each request obeys."""
        from bundler.retry_policy import Backoff, LimitedAttempts  # noqa: PLC0415 - for retries only

        first, longest, jitter = 1.0, math.inf, (1.0, 1.1)
        if self.delay:
            first, longest, jitter = self.delay, self.delay, (1.0, 1.0)
        backoff = Backoff(first, longest, jitter, longest_retry_after=0)
        return LimitedAttempts(self.times + 1, backoff, attempts_on_500=1)

    def call(self, body: Callable[[], Result], cancellation: Cancellation, emit: Emit) -> Result:
        """Call ``body`` and return its result; call it again after a temporary failure.

        A ``Retrying`` event announces each wait. The last failure is raised.
        """
        if not self.times:
            return body()
        from bundler.retry_policy import Attempts  # noqa: PLC0415 - as above

        attempts = Attempts(
            self.create_policy(), "the command", cancellation, emit, repeats=self.times
        )
        for _ in attempts:
            try:
                return body()
            except RegistryError as error:
                attempts.fail(error)
        raise AssertionError("the iteration over attempts ended")


retry_options = option_group(
    RetryOptions,
    "retry",
    "Retries",
    {
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
            help="Wait before each retry (default: exponential backoff from 1s).",
        ),
    },
)
"""The options for retries; their values are in ``retry``."""
