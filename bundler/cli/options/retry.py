"""A command that fails for now is run again, as often as its user asked for."""

from __future__ import annotations

import functools
import random
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

import click

from bundler.cli.options import duration
from bundler.errors import RegistryError
from bundler.events import Retrying

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.cancel import Cancellation
    from bundler.events import Emit

Decorated = TypeVar("Decorated", bound="Callable[..., Any]")
Result = TypeVar("Result")

_JITTER = 0.1
_LONGEST_DOUBLING = 30  # 2^30 seconds are 34 years


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a command is run again, and after how long."""

    times: int = 0
    delay: float = 0.0
    """In seconds; 0: 1, 2, 4 and so on, and up to a tenth more."""

    def wait(self, attempt: int) -> float:
        """Seconds to wait after failed ``attempt``, counted from 1."""
        if self.delay:
            return self.delay
        wait = float(2 ** min(attempt - 1, _LONGEST_DOUBLING))
        return wait * (1 + random.uniform(0, _JITTER))  # noqa: S311 - jitter, no secret


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
    for attempt in count(1):
        try:
            return body()
        except RegistryError as error:
            if attempt > retry.times or not _for_now(error):
                raise
            wait = retry.wait(attempt)
            emit(Retrying("all of it", wait, error.message, attempt, retry.times, error))
        cancellation.sleep(wait)
    raise AssertionError("count() ends never")


def _for_now(error: RegistryError) -> bool:
    """A server error that does not call itself temporary is often there to stay."""
    return error.temporary and error.status != 500
