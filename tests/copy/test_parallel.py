"""Parallel tasks: order of results, failures, cancellation."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from bundler.cancel import Cancellation
from bundler.copy.parallel import run_all, run_collecting_errors
from bundler.errors import CancelledError, MediumError, NotFoundError


@pytest.fixture
def executor():
    with ThreadPoolExecutor(2) as pool:
        yield pool


def failing(error):
    def task():
        raise error

    return task


def test_results_are_in_the_order_of_the_tasks(executor):
    tasks = [lambda n=n: (time.sleep(0.01 * (5 - n)), n)[1] for n in range(5)]
    assert run_all(executor, tasks, Cancellation()) == [0, 1, 2, 3, 4]
    assert run_all(executor, [], Cancellation()) == []


def test_many_small_tasks_share_calls_of_the_executor(executor, monkeypatch):
    calls, submit = [], executor.submit
    monkeypatch.setattr(executor, "submit", lambda call: (calls.append(call), submit(call))[1])
    assert run_all(executor, [lambda n=n: n for n in range(1000)], Cancellation()) == [*range(1000)]
    assert len(calls) <= 64


def test_first_failure_is_raised_and_queued_tasks_never_run(executor):
    begun = []

    def task():
        begun.append(1)
        time.sleep(0.05)

    cancellation = Cancellation()
    error = MediumError("broken")
    with pytest.raises(MediumError) as caught:
        run_all(executor, [failing(error), *[task] * 50], cancellation)
    assert caught.value is error
    assert cancellation.requested
    assert len(begun) < 10


def test_running_tasks_have_ended_when_a_failure_is_raised(executor):
    cancellation, ended = Cancellation(), threading.Event()

    def careful():
        while not cancellation.requested:
            time.sleep(0.01)
        time.sleep(0.1)
        ended.set()
        raise CancelledError

    with pytest.raises(MediumError):
        run_all(executor, [careful, failing(MediumError("broken"))], cancellation)
    assert ended.is_set()


def test_running_tasks_have_ended_when_a_cancellation_is_raised(executor):
    """The caller closes the destination next, so no task may still write to it."""
    cancellation, ended = Cancellation(), threading.Event()

    def careful():
        while not cancellation.requested:
            time.sleep(0.01)
        time.sleep(0.3)
        ended.set()

    threading.Timer(0.1, cancellation.request, [15]).start()
    with pytest.raises(CancelledError) as caught:
        run_all(executor, [careful], cancellation)
    assert caught.value.status == 143
    assert ended.is_set()


def test_hanging_task_delays_a_cancellation_by_one_second():
    cancellation, release = Cancellation(), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        threading.Timer(0.05, cancellation.request).start()
        begun = time.monotonic()
        with pytest.raises(CancelledError):
            run_all(pool, [lambda: release.wait(20), lambda: None], cancellation)
        assert time.monotonic() - begun < 2
        release.set()


def test_no_task_starts_after_a_cancellation(executor):
    cancellation = Cancellation()
    cancellation.request()
    begun = []
    with pytest.raises(CancelledError):
        run_all(executor, [lambda: (time.sleep(0.02), begun.append(1))] * 100, cancellation)
    time.sleep(0.1)
    assert len(begun) <= 4


def test_errors_are_collected_as_results(executor):
    found = run_collecting_errors(
        executor, [lambda: 1, failing(NotFoundError("no")), lambda: 3], Cancellation()
    )
    assert found[0::2] == [1, 3]
    assert isinstance(found[1], NotFoundError)


@pytest.mark.parametrize("error", [CancelledError(), ValueError("a defect")])
def test_cancellations_and_unexpected_errors_are_not_collected(executor, error):
    with pytest.raises(type(error)):
        run_collecting_errors(executor, [lambda: 1, failing(error)], Cancellation())
