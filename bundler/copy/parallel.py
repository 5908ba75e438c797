"""Run independent tasks on an executor until one fails or the run is cancelled.

No task waits for another one, so a pool of any size cannot deadlock.
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

_POLL_INTERVAL = 0.1  # seconds between checks of the cancellation
_WIND_DOWN_CANCELLED = 1.0  # seconds for running tasks to end, while the user waits
_WIND_DOWN_FAILED = 10.0


def run_all(
    executor: Executor, tasks: Sequence[Callable[[], T]], cancellation: Cancellation
) -> list[T]:
    """Run ``tasks`` and return their results in order.

    Args:
        executor: runs the tasks.
        tasks: independent of each other; each checks ``cancellation`` while it runs.
        cancellation: checked here as well, and requested when a task fails, to end the others.

    Raises:
        CancelledError: ``cancellation`` was requested; tasks that have not started never run.
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
        # Running tasks end at their next chunk; their errors follow from the first one.
        timeout = _WIND_DOWN_CANCELLED if cancellation.requested else _WIND_DOWN_FAILED
        cancellation.request()
        wait([future for future in futures if not future.cancel()], timeout=timeout)
        raise
    return [future.result() for future in futures]


def run_collecting_errors(
    executor: Executor, tasks: Sequence[Callable[[], T]], cancellation: Cancellation
) -> list[T | BundlerError]:
    """As ``run_all``, but return the BundlerError of a task as its result, and continue."""

    def guarded(task: Callable[[], T]) -> Callable[[], T | BundlerError]:
        def call() -> T | BundlerError:
            try:
                return task()
            except CancelledError:
                raise
            except BundlerError as error:
                return error

        return call

    return run_all(executor, [guarded(task) for task in tasks], cancellation)
