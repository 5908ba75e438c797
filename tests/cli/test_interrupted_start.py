"""Interruptions before a command handles signals, and after it has ended."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import termios
import time

import pytest

from tests.cli.launcher import AIRBUNDLE

MOMENTS = 60
COMMAND = (*AIRBUNDLE, "inspect", "oci:nowhere")


@pytest.fixture
def start(hermetic_environment):
    """Start a program whose stderr lists each module after its import."""

    def run(*command, **more):
        environment = hermetic_environment | {"PYTHONPROFILEIMPORTTIME": "1"}
        return subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            **more,
        )

    return run


def read_until_started(process):
    """Read the imports up to the first one of ``main``, which has set its handler before."""
    for line in process.stderr:
        if line.rstrip().endswith("bundler.cli.frontends"):
            return
    raise AssertionError("the program did not start")


def echoes(terminal):
    return bool(termios.tcgetattr(terminal)[3] & termios.ECHO)


def measure_duration(start):
    with start(*COMMAND) as process:
        read_until_started(process)
        began = time.monotonic()
        process.communicate()
        return time.monotonic() - began


def test_interruption_at_any_moment_ends_the_process_without_traceback(start, sample):
    duration = measure_duration(start)
    statuses = set()
    for number in sample(range(MOMENTS), 3):
        with start(*COMMAND) as process:
            read_until_started(process)
            time.sleep(duration * number / MOMENTS)
            process.send_signal(signal.SIGINT)
            _, output = process.communicate(timeout=20)
        assert "Traceback" not in output
        assert "Exception ignored" not in output
        assert process.returncode in (130, 9), output
        assert process.returncode == 130 or "error: " in output
        statuses.add(process.returncode)
    assert 130 in statuses


def test_ignored_interruption_stays_ignored(start):
    ignore = """if True:
        import os, signal, sys
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
    """
    with start(sys.executable, "-c", ignore, *COMMAND[1:]) as process:
        read_until_started(process)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == 9


@pytest.mark.parametrize("program", [(), ("--as", "skopeo")], ids=["airbundle", "skopeo"])
def test_interrupted_prompt_restores_the_terminal(hermetic_environment, program):
    controller, terminal = pty.openpty()
    assert echoes(terminal)
    with subprocess.Popen(
        [*AIRBUNDLE, *program, "login", "--username", "me", "127.0.0.1:1"],
        env=hermetic_environment,
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 30
        while echoes(terminal):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
    assert echoes(terminal)
    assert b"Traceback" not in os.read(controller, 65536)
    os.close(controller)
    os.close(terminal)
