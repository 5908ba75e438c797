"""Run independent tasks on an executor until one fails or the run is cancelled.

Tasks must not wait for one another, so that a pool of any size cannot deadlock.
"""

from __future__ import annotations

from concurrent.futures import wait
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from bundler.errors import BundlerError, CancelledError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from concurrent.futures import Executor, Future

    from bundler.cancel import Cancellation

T = TypeVar("T")

_POLL_INTERVAL = 0.1  # seconds between checks for cancellation
_WIND_DOWN_CANCELLED = 1.0  # seconds to wait for running tasks; short, because the user waits
_WIND_DOWN_FAILED = 10.0


def run_all(
    executor: Executor, tasks: Sequence[Callable[[], T]], cancellation: Cancellation
) -> list[T]:
    """Run ``tasks`` and return their results in order.

    Args:
        executor: runs the tasks.
        tasks: independent functions, which check ``cancellation`` while they run.
        cancellation: ends all tasks; this function requests it if a task fails.

    Raises:
        CancelledError: ``cancellation`` was requested; the remaining tasks are not started.
        BaseException: the first error of a task.
    """
    done: SimpleQueue[Future[T]] = SimpleQueue()
    futures = [executor.submit(task) for task in tasks]
    for future in futures:
        future.add_done_callback(done.put)
    left = len(futures)
    try:
        while left:
            cancellation.check()
            try:
                done.get(timeout=_POLL_INTERVAL).result()
            except Empty:
                continue
            left -= 1
    except BaseException:
        # Running tasks end at their next chunk. Their errors are consequences and are ignored.
        timeout = _WIND_DOWN_CANCELLED if cancellation.requested else _WIND_DOWN_FAILED
        cancellation.request()
        wait([future for future in futures if not future.cancel()], timeout=timeout)
        raise
    return [future.result() for future in futures]


def run_collecting_errors(
    executor: Executor,
    tasks: Sequence[Callable[[], T]],
    cancellation: Cancellation,
    collected: type[BundlerError] = BundlerError,
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

    return run_all(executor, [catch_error(task) for task in tasks], cancellation)
