"""Run a program with limits of its output and time; it is killed if the run is cancelled."""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.errors import LimitError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from io import FileIO

    from bundler.cancel import Cancellation

LONGEST_RUN = 600.0
"""Default time limit in seconds, in which a person may enter a passphrase or find a card."""

_INTERVAL = 0.1  # seconds between checks of the cancellation
_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class Pipe:
    """An argument that is replaced by the number of the program's end of a pipe.

    The program reads ``data`` from the pipe, such as a passphrase; None: the program writes to it.
    """

    data: bytes | None = field(default=None, repr=False)
    prefix: str = ""
    """The argument before the number, such as ``/dev/fd/``."""


@dataclass(frozen=True, slots=True)
class ProgramResult:
    """The result of a program that ended by itself."""

    status: int
    """The exit status; negative: the number of the signal that killed it."""
    output: bytes = field(repr=False)
    written: Mapping[Pipe, bytes] = field(hash=False, repr=False)
    """The bytes that the program wrote to each of its pipes."""
    errors: bytes = field(default=b"", repr=False)
    """The end of its standard error; empty unless it was requested."""


def find_program(name: str, *, hint: str) -> str:
    """Return the path of a program; ``hint`` states how to install it.

    Raises:
        UnsupportedError: it is not installed.
    """
    path = shutil.which(name)
    if path is None:
        raise UnsupportedError(f"the program {name} is not installed", hint=hint)
    return path


def run_program(
    arguments: Sequence[str | Pipe],
    data: bytes | Iterator[bytes],
    cancellation: Cancellation,
    *,
    max_output: int,
    timeout: float | None = None,
    environment: Mapping[str, str] | None = None,
    on_terminal: bool = False,
    errors_size: int = 0,
) -> ProgramResult:
    """Run a program until it ends.

    Args:
        arguments: the program and its arguments, which all users of the machine can see.
        data: the standard input. From an iterator, the program is given everything, unless it
            closes its input or ends before; errors of the iterator kill the program.
        cancellation: its request kills the program.
        max_output: the maximum size in bytes of the standard output, and of each pipe.
        timeout: the maximum duration in seconds; None: ``LONGEST_RUN``.
        environment: the environment of the program; None: that of this process.
        on_terminal: whether the program may use the terminal, whose Ctrl-C then ends it too.
            Otherwise, the child processes that it leaves behind are killed.
        errors_size: the number of bytes at the end of its standard error that are returned; 0: it
            is discarded.

    Raises:
        OSError: the program cannot be started.
        LimitError: the program writes more, or runs longer, than allowed.
        CancelledError: the run is cancelled.
    """
    name = str(arguments[0]).rpartition("/")[2]
    timeout = LONGEST_RUN if timeout is None else timeout
    deadline = time.monotonic() + timeout

    def check() -> None:
        cancellation.check()
        if time.monotonic() > deadline:
            raise LimitError(f"{name}: not finished (expected at most {timeout:g} seconds)")
        if any(len(end.received) > max_output for end in ends.values()):
            raise LimitError(f"{name}: output too large (expected at most {max_output:,} bytes)")

    stdin, stdout = Pipe(data if isinstance(data, bytes) else b""), Pipe()
    stderr = Pipe() if errors_size else None
    with ExitStack() as opened:
        process, ends = _start(
            arguments, (stdin, stdout, stderr), opened, environment, own_session=not on_terminal
        )
        if stderr is not None:
            ends[stderr].kept = errors_size
        if not isinstance(data, bytes):
            ends[stdin].rest = data
        with process:
            try:
                _exchange(ends.values(), check)
                _wait(process, check)
            finally:  # it is not reaped, so its number is not that of another program
                with suppress(ProcessLookupError):
                    if on_terminal:
                        process.kill()
                    else:
                        os.killpg(process.pid, signal.SIGKILL)
        status = process.returncode
    written = {pipe: bytes(end.received) for pipe, end in ends.items() if pipe.data is None}
    output, errors = written.pop(stdout), b"" if stderr is None else written.pop(stderr)
    return ProgramResult(status, output, written, errors)


@dataclass(slots=True)
class _End:
    """This process's end of a pipe, the data to send, and the received data."""

    file: FileIO
    unsent: bytes | None
    """None: the program writes to the pipe."""
    received: bytearray = field(default_factory=bytearray)
    kept: int | None = None
    """The number of bytes at the end of the received data that are kept; None: all."""
    rest: Iterator[bytes] | None = None
    """The data to send after ``unsent``; None: there is none."""


def _start(
    arguments: Sequence[str | Pipe],
    streams: tuple[Pipe, Pipe, Pipe | None],
    opened: ExitStack,
    environment: Mapping[str, str] | None,
    *,
    own_session: bool,
) -> tuple[subprocess.Popen[bytes], dict[Pipe, _End]]:
    """Start a program; return this process's ends of all pipes, which ``opened`` closes.

    ``streams`` are its standard input, output and error; None: the standard error is discarded.
    """
    stdin, stdout, stderr = streams
    ends: dict[Pipe, _End] = {}
    numbers: dict[Pipe, int] = {}
    passed = [item for item in arguments if isinstance(item, Pipe)]
    with ExitStack() as inherited:
        for pipe in (*filter(None, streams), *passed):
            reader, writer = os.pipe()
            files = os.fdopen(reader, "rb", 0), os.fdopen(writer, "wb", 0)
            own_file, child_file = files if pipe.data is None else files[::-1]
            ends[pipe] = _End(opened.enter_context(own_file), pipe.data)
            numbers[pipe] = inherited.enter_context(child_file).fileno()
        process = subprocess.Popen(
            [
                f"{item.prefix}{numbers[item]}" if isinstance(item, Pipe) else item
                for item in arguments
            ],
            stdin=numbers[stdin],
            stdout=numbers[stdout],
            stderr=subprocess.DEVNULL if stderr is None else numbers[stderr],
            pass_fds=[numbers[pipe] for pipe in passed],
            env=environment,
            start_new_session=own_session,
        )
    return process, ends


def _exchange(ends: Iterable[_End], check: Callable[[], None]) -> None:
    """Send and receive until the program has closed all pipes to which it writes.

    It may end before it has read everything that is sent to it; the data of an iterator is sent
    until it does.
    """
    with selectors.DefaultSelector() as selector:
        pending = 0
        for end in ends:
            os.set_blocking(end.file.fileno(), False)
            pending += end.unsent is None or end.rest is not None
            event = selectors.EVENT_READ if end.unsent is None else selectors.EVENT_WRITE
            selector.register(end.file, event, end)
        while pending:
            check()
            for key, _ in selector.select(_INTERVAL):
                end = key.data
                if end.unsent is None:
                    chunk = os.read(end.file.fileno(), _CHUNK)
                    end.received += chunk
                    if end.kept is not None:
                        del end.received[: -end.kept]
                    if chunk:
                        continue
                    pending -= 1
                elif _send(end):
                    continue
                else:
                    pending -= end.rest is not None
                selector.unregister(end.file)
                end.file.close()
    check()


def _send(end: _End) -> bool:
    """Send a part of the data; return whether more may follow."""
    if not end.unsent and end.rest is not None:
        end.unsent = next(end.rest, b"")
    if not end.unsent:
        return False
    try:
        end.unsent = end.unsent[os.write(end.file.fileno(), end.unsent) :]
    except BrokenPipeError:
        return False
    return bool(end.unsent) or end.rest is not None


def _wait(process: subprocess.Popen[bytes], check: Callable[[], None]) -> None:
    """Wait until the program has ended, but do not reap it."""
    delay = 0.001
    check()
    while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(delay)
        delay = min(2 * delay, _INTERVAL)
        check()
