"""A signal cancels the command, and ends the process soon even if a thread hangs."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

_PREPARE = """
import signal, sys, threading, time
from bundler.cli.frontends.native import NativeFrontend
from bundler.cli.options.command import GlobalOptions
from bundler.cli.runtime.context import CommandContext
from bundler.cli.runtime.environment import read_environment
from bundler.errors import CancelledError
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # ignored by nohup
environment = read_environment()
frontend = NativeFrontend(environment)
context = CommandContext(environment, frontend, GlobalOptions())
def ready():
    print("ready", flush=True)
"""

_CANCELLABLE = """
try:
    with context.run() as run:
        ready()
        while True:
            run.cancellation.sleep(60)
except CancelledError as error:
    sys.exit(frontend.report_error(error))
"""

_HANGING_WORKER = """
def hang():
    time.sleep(60)
try:
    with context.run() as run:
        threading.Thread(target=hang).start()
        ready()
        run.cancellation.sleep(60)
except CancelledError as error:
    sys.exit(frontend.report_error(error))
"""

_HANGING = """
with context.run() as run:
    ready()
    while True:
        time.sleep(60)
"""

_FINISHED = """
with context.run() as run:
    pass
ready()
time.sleep(60)
"""


@dataclass(frozen=True)
class Ended:
    status: int
    stderr: str
    seconds: float


def interrupt(
    program: str,
    environment: dict[str, str],
    *numbers: signal.Signals,
) -> Ended:
    with subprocess.Popen(
        [sys.executable, "-c", _PREPARE + program],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        began = time.monotonic()
        for number in numbers:
            process.send_signal(number)
            time.sleep(0.1)
        _, stderr = process.communicate(timeout=30)
        return Ended(process.returncode, stderr, time.monotonic() - began)


REPORT = (
    "nothing was transferred yet\nairbundle: error: stopped\nhint: run the same command again\n"
)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_cancelled_command_ends_at_once(
    hermetic_environment: dict[str, str], number: signal.Signals, status: int
) -> None:
    ended = interrupt(_CANCELLABLE, hermetic_environment, number)
    assert (ended.status, ended.stderr) == (status, REPORT)
    assert ended.seconds < 1.2


@pytest.mark.parametrize("program", [_HANGING_WORKER, _HANGING])
def test_hanging_command_ends_within_two_seconds(
    hermetic_environment: dict[str, str], program: str
) -> None:
    ended = interrupt(program, hermetic_environment, signal.SIGINT)
    assert (ended.status, ended.stderr) == (130, REPORT)
    assert ended.seconds < 2.5


def test_second_signal_ends_the_process_at_once(hermetic_environment: dict[str, str]) -> None:
    ended = interrupt(_HANGING, hermetic_environment, signal.SIGINT, signal.SIGINT)
    assert ended.status == 130
    assert ended.seconds < 1.2


def test_former_signal_handlers_are_restored(
    hermetic_environment: dict[str, str],
) -> None:
    ended = interrupt(_FINISHED, hermetic_environment, signal.SIGTERM)
    assert ended.status == -signal.SIGTERM
