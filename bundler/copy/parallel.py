"""Run independent tasks on an executor until one fails or the run is cancelled.

Tasks must not wait for one another, so that a pool of any size cannot deadlock.
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import FIRST_COMPLETED, wait
from typing import TYPE_CHECKING, TypeVar

from bundler.errors import BundlerError, CancelledError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor

    from bundler.cancel import Cancellation

T = TypeVar("T")

MAX_AT_ONCE = 64
"""The maximum number of tasks that run at the same time, as of the option ``--jobs``."""
_POLL_INTERVAL = 0.1  # seconds between checks for cancellation
_WIND_DOWN_CANCELLED = 1.0  # seconds to wait for running tasks; short, because the user waits
_WIND_DOWN_FAILED = 10.0


def run_all(
    executor: Executor,
    tasks: Sequence[Callable[[], T]],
    cancellation: Cancellation,
    *,
    at_once: int = MAX_AT_ONCE,
) -> list[T]:
    """Run ``tasks`` and return their results in order.

    Args:
        executor: runs the tasks.
        tasks: independent functions, which check ``cancellation`` while they run.
        cancellation: ends all tasks; this function requests it if a task fails.
        at_once: the maximum number of tasks that run at the same time.

    Raises:
        CancelledError: ``cancellation`` was requested; the remaining tasks are not started.
        BaseException: the first error of a task.
    """
    results: dict[int, T] = {}
    waiting = deque(enumerate(tasks))

    def work() -> None:
        # One call of the executor runs many tasks, because each call wakes two threads.
        while not cancellation.requested:
            try:
                number, task = waiting.popleft()
            except IndexError:
                return
            results[number] = task()

    futures = [executor.submit(work) for _ in range(min(len(tasks), at_once))]
    left = set(futures)
    try:
        while left:
            cancellation.check()
            done, left = wait(left, _POLL_INTERVAL, FIRST_COMPLETED)
            for future in done:
                future.result()
        cancellation.check()
    except BaseException:
        # Running tasks end at their next chunk. Their errors are consequences and are ignored.
        timeout = _WIND_DOWN_CANCELLED if cancellation.requested else _WIND_DOWN_FAILED
        cancellation.request()
        wait([future for future in futures if not future.cancel()], timeout=timeout)
        raise
    return [results[number] for number in range(len(tasks))]


def run_collecting_errors(
    executor: Executor,
    tasks: Sequence[Callable[[], T]],
    cancellation: Cancellation,
    collected: type[BundlerError] = BundlerError,
    *,
    at_once: int = MAX_AT_ONCE,
) -> list[T | BundlerError]:
    """Run ``tasks`` as ``run_all`` does, but return an error as the result of its task.

    Errors of other classes than ``collected`` are raised.
    """

    def catch_error(task: Callable[[], T]) -> Callable[[], T | BundlerError]:
        def call() -> T | BundlerError:
            try:
                return task()
            except CancelledError:
                raise
            except collected as error:
                return error.without_traceback()

        return call

    calls = [catch_error(task) for task in tasks]
    return run_all(executor, calls, cancellation, at_once=at_once)
