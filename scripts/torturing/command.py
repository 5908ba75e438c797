"""Run ``airbundle`` in a forked process, which needs no time for imports, and end it on the way."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import os
import pkgutil
import select
import signal
import socket
import sys
import tempfile
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

import bundler
from scripts.torturing import system_calls

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from scripts.torturing.system_calls import Calls, Fault


@dataclass(frozen=True, slots=True)
class Ended:
    """A command that has ended."""

    command: tuple[str, ...]
    status: int
    """Negative: the number of the signal that ended it."""
    output: str
    """Its stdout and stderr."""
    calls: Calls | None = None

    def __str__(self) -> str:
        return f"airbundle {' '.join(self.command)} ended with {self.status}:\n{self.output}"


def run(
    home: Path,
    *arguments: object,
    killed_after: float | None = None,
    at_end: Callable[[], object] = lambda: None,
) -> Ended:
    """Run a command to its end, or kill it after some seconds; ``home`` is its directory.

    If it is to be killed, ``at_end`` is called immediately before.
    """
    words = tuple(map(str, arguments))
    with tempfile.TemporaryFile() as output:
        process = _fork(home, words, output.fileno())
        if killed_after is not None:
            _wait(process, killed_after)
            at_end()
            with contextlib.suppress(ProcessLookupError):  # before its own group exists
                os.killpg(process, signal.SIGKILL)
            os.kill(process, signal.SIGKILL)
        return Ended(words, _reap(process), _read(output.fileno()))


def run_announced(home: Path, *arguments: object, fault: Fault | None = None) -> Ended:
    """Run a command with its system calls announced, and with one fault."""
    words = tuple(map(str, arguments))
    parent, child = socket.socketpair()
    with tempfile.TemporaryFile() as output, parent:
        with child:
            process = _fork(home, words, output.fileno(), child)
        _, (listener,), _, _ = socket.recv_fds(parent, 1, 1)
        try:
            calls = system_calls.attend(listener, process, fault)
        finally:
            os.close(listener)
        return Ended(words, _reap(process), _read(output.fileno()), calls)


def run_well(home: Path, *arguments: object) -> str:
    """Run a command that has to succeed, without syncs; return its output."""
    ended = run_announced(home, *arguments)
    if ended.status != 0:
        sys.exit(str(ended))
    return ended.output


def _fork(
    home: Path, words: Sequence[str], output: int, announced: socket.socket | None = None
) -> int:
    _import_all()
    process = os.fork()
    if process:
        return process
    try:
        _become_command(home, words, output, announced)
    except BaseException:  # noqa: BLE001 - nothing of the parent may run in this process
        traceback.print_exc()
        sys.stderr.flush()
    os._exit(70)


@functools.cache
def _import_all() -> None:
    for item in pkgutil.walk_packages(bundler.__path__, "bundler."):
        importlib.import_module(item.name)
    gc.freeze()  # the collector of a child would copy all pages


def _become_command(
    home: Path, words: Sequence[str], output: int, announced: socket.socket | None
) -> NoReturn:
    from bundler.cli.main import main  # noqa: PLC0415 - runs in this process alone

    os.setsid()
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.chdir(home)
    os.environ.clear()  # noqa: TID251 - the environment of the command
    os.environ.update(HOME=str(home), PATH=os.defpath, LC_ALL="C.UTF-8", XDG_RUNTIME_DIR=str(home))  # noqa: TID251
    sys.argv = ["airbundle", *words]
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w", 1)  # noqa: SIM115
    if announced is not None:
        listener = system_calls.announce()
        socket.send_fds(announced, [b"x"], [listener])
        os.close(listener)
        announced.close()
    try:
        main()
    except SystemExit as end:
        sys.stdout.flush()
        os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))
    os._exit(0)


def _wait(process: int, seconds: float) -> None:
    """Wait for the end of a process, but not longer."""
    descriptor = os.pidfd_open(process)
    try:
        select.select([descriptor], [], [], seconds)
    finally:
        os.close(descriptor)


def _reap(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def _read(output: int) -> str:
    os.lseek(output, 0, os.SEEK_SET)
    return os.read(output, 1_000_000).decode(errors="replace")
