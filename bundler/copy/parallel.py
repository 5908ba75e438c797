"""Run independent tasks on an executor, stopping soon when one fails or the user says so.

No task waits for another task, so nothing can deadlock however small the pool is.
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

_LOOK = 0.1  # seconds between looks at the cancellation
_WIND_DOWN_CANCELLED = 1.0  # seconds that running tasks get to end when the user waits
_WIND_DOWN_FAILED = 10.0


def run_all(
    executor: Executor, tasks: Sequence[Callable[[], T]], cancellation: Cancellation
) -> list[T]:
    """Run ``tasks`` and return their results in order.

    Args:
        executor: where they run.
        tasks: independent of one another; each looks at ``cancellation`` while it works.
        cancellation: looked at here too, and requested when a task fails, so that the others end.

    Raises:
        CancelledError: ``cancellation`` was requested; tasks that had not begun never run.
        BaseException: the first error of a task.
    """
    ended: SimpleQueue[Future[T]] = SimpleQueue()
    futures = [executor.submit(task) for task in tasks]
    for future in futures:
        future.add_done_callback(ended.put)
    left = len(futures)
    try:
        while left:
            cancellation.check()
            try:
                ended.get(timeout=_LOOK).result()
            except Empty:
                continue
            left -= 1
    except BaseException:
        _wind_down(futures, cancellation)
        raise
    return [future.result() for future in futures]


def run_collecting_errors(
    executor: Executor, tasks: Sequence[Callable[[], T]], cancellation: Cancellation
) -> list[T | BundlerError]:
    """As ``run``, but a task's BundlerError is its result, and the others go on."""

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


def _wind_down(futures: Sequence[Future[T]], cancellation: Cancellation) -> None:
    """Let running tasks end at their next chunk; their own errors are echoes of the first."""
    patience = _WIND_DOWN_CANCELLED if cancellation.requested else _WIND_DOWN_FAILED
    cancellation.request()
    wait([future for future in futures if not future.cancel()], timeout=patience)
