"""Pipes to a client, each written by a thread of its own.

A *checked* pipe is closed only when the client asks whether everything was written, so that an
interrupted stream cannot be mistaken for a complete one. A *raw* pipe is closed at the end of its
stream; a failure is written to a second pipe.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import threading
from contextlib import ExitStack, suppress
from itertools import count
from typing import TYPE_CHECKING

from bundler.cancel import Cancellation
from bundler.content.streams.reader import BUFFER_SIZE, read_chunks
from bundler.errors import LimitError, UsageError
from bundler.images.proxy import protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from bundler.content.streams.reader import Reader

MAX_PIPES = 48  # each may need a buffer of one MiB here, and one in the kernel

_POLL_INTERVAL = 0.2  # seconds between checks of the cancellation
_WIND_DOWN = 1.0  # seconds for threads that wait for a silent server


class Pipes:
    """The pipes of one client. Not thread-safe.

    ``check`` is called repeatedly while a method waits, and may raise an exception to end it.
    """

    def __init__(self, cancellation: Cancellation, check: Callable[[], None]) -> None:
        self._cancellation = Cancellation(cancellation)
        self._check = check
        self._numbers = count(1)
        self._checked: dict[int, _PipeWriter] = {}
        self._raw: list[_PipeWriter] = []

    def open_checked(self, content: AbstractContextManager[Reader]) -> tuple[int, int]:
        """Write ``content`` to a new pipe.

        Returns:
            The number of the pipe for ``finish``, and the file descriptor to read from.

        Raises:
            LimitError: too many pipes are open.
            BundlerError: ``content`` cannot be opened.
        """
        writer, reading = self._start(content)
        number = next(self._numbers)
        self._checked[number] = writer
        return number, reading

    def open_raw(self, content: AbstractContextManager[Reader]) -> tuple[int, int]:
        """Write ``content`` to a new pipe, and a failure to another one.

        Returns:
            The file descriptors to read the content and the failure from.

        Raises:
            LimitError: too many pipes are open.
            BundlerError: ``content`` cannot be opened.
        """
        failure, failure_writing = _open_pipe()
        try:
            writer, reading = self._start(content, failure_writing)
        except BaseException:
            os.close(failure)
            os.close(failure_writing)
            raise
        self._raw.append(writer)
        return reading, failure

    def finish(self, number: int) -> None:
        """Wait until everything is written to a checked pipe, and close it.

        Raises:
            UsageError: no such pipe is open.
            Exception: the failure of the writing thread.
        """
        writer = self._checked.get(number)
        if writer is None:
            raise UsageError(f"there is no open pipe {number}")
        while not writer.wait(_POLL_INTERVAL):
            self._check()
        del self._checked[number]
        writer.close()
        if writer.failure is not None:
            raise writer.failure

    def close(self) -> None:
        """Stop all threads, and close all pipes, whatever is left to write."""
        self._cancellation.request()
        for writer in [*self._checked.values(), *self._raw]:
            if writer.wait(_WIND_DOWN):
                writer.close()

    def _start(
        self, content: AbstractContextManager[Reader], failure_writing: int | None = None
    ) -> tuple[_PipeWriter, int]:
        self._raw = [writer for writer in self._raw if not writer.wait(0)]
        if len(self._checked) + len(self._raw) >= MAX_PIPES:
            raise LimitError(
                f"too many open pipes (at most {MAX_PIPES})", hint="finish some of them"
            )
        with ExitStack() as stack:
            stream = stack.enter_context(content)
            reading, writing = _open_pipe()
            writer = _PipeWriter(
                stream, writing, stack.pop_all(), self._cancellation, failure_writing
            )
        return writer, reading


class _PipeWriter:
    """Copies a stream to a pipe in a thread, and closes ``stack`` at the end.

    With ``failure_writing``, the thread closes the pipe itself, and writes a failure there.
    """

    def __init__(
        self,
        stream: Reader,
        writing: int,
        stack: ExitStack,
        cancellation: Cancellation,
        failure_writing: int | None = None,
    ) -> None:
        self.failure: Exception | None = None
        self._writing: int | None = writing
        self._failure_writing = failure_writing
        self._cancellation = cancellation
        # A daemon thread that waits for a silent server does not keep the program alive.
        self._thread = threading.Thread(
            target=self._run, args=(stream, writing, stack), daemon=True
        )
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait for the thread; returns whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def close(self) -> None:
        """Close the pipe, unless it is closed already; only after the thread has ended."""
        if self._writing is not None:
            os.close(self._writing)
            self._writing = None

    def _run(self, stream: Reader, writing: int, stack: ExitStack) -> None:
        try:
            with stack:
                for chunk in read_chunks(stream):
                    _write(writing, chunk, self._cancellation)
        except Exception as error:  # noqa: BLE001 - any error is reported to the client
            self.failure = error
        if self._failure_writing is not None:
            if self.failure is not None:
                failure = {
                    "code": protocol.find_error_code(self.failure),
                    "message": protocol.format_error(self.failure),
                }
                with suppress(OSError):
                    os.write(self._failure_writing, json.dumps(failure).encode())
            os.close(self._failure_writing)
            self.close()


def _open_pipe() -> tuple[int, int]:
    """Open a pipe to read from, and to write to without blocking."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(OSError):  # the limit for all pipes of the user may be reached
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, BUFFER_SIZE)
    return reading, writing


def _write(descriptor: int, data: memoryview, cancellation: Cancellation) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    while data:
        cancellation.check()
        if poll.poll(_POLL_INTERVAL * 1000):
            with suppress(BlockingIOError):
                data = data[os.write(descriptor, data) :]
