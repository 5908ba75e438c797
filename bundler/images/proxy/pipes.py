"""Pipes to a client, each written by a separate thread.

A *checked* pipe is closed only when the client sends ``FinishPipe``, whose reply reports errors, so
an interrupted stream cannot be mistaken for a complete one. A *raw* pipe is closed at the end of
its stream; an error is written to a second pipe.
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
from bundler.content.streams import BUFFER_SIZE, read_chunks
from bundler.errors import LimitError, UsageError
from bundler.images.proxy import protocol

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from bundler.content.streams import Reader

MAX_PIPES = 48  # each may need a buffer of one MiB in this process, and another in the kernel

_POLL_INTERVAL = 0.2  # seconds between checks for cancellation
_WIND_DOWN = 1.0  # seconds to wait for each thread; one that waits for a server may take longer


class Pipes:
    """The pipes of one client. Not thread-safe.

    ``check`` is called repeatedly while a method waits, and may raise an exception to end the wait.
    """

    def __init__(self, cancellation: Cancellation, check: Callable[[], None]) -> None:
        self._cancellation = Cancellation(cancellation)
        self._check = check
        self._numbers = count(1)
        self._checked: dict[int, _PipeWriter] = {}
        self._raw: list[_PipeWriter] = []

    def open_checked(self, content: AbstractContextManager[Reader]) -> tuple[int, int]:
        """Write ``content`` to a new pipe; return its number, and the file descriptor to read.

        Raises:
            LimitError: too many pipes are open.
            BundlerError: ``content`` cannot be opened.
        """
        writer, read_fd = self._start(content)
        number = next(self._numbers)
        self._checked[number] = writer
        return number, read_fd

    def open_raw(self, content: AbstractContextManager[Reader]) -> tuple[int, int]:
        """Write ``content`` to a new pipe, and an error to a second one; return the read ends.

        Raises the errors of ``open_checked``.
        """
        failure, failure_fd = _open_pipe()
        try:
            writer, read_fd = self._start(content, failure_fd)
        except BaseException:
            os.close(failure)
            os.close(failure_fd)
            raise
        self._raw.append(writer)
        return read_fd, failure

    def finish(self, number: int) -> None:
        """Wait until a checked pipe is completely written, and close it.

        Raises:
            UsageError: no pipe with this number is open.
            Exception: the error of the writing thread.
        """
        writer = self._checked.get(number)
        if writer is None:
            raise UsageError(f"pipe {number} is not open")
        while not writer.wait(_POLL_INTERVAL):
            self._check()
        del self._checked[number]
        writer.close()
        if writer.failure is not None:
            raise writer.failure

    def close(self) -> None:
        """Stop all threads and close all pipes; unwritten content is discarded."""
        self._cancellation.request()
        for writer in [*self._checked.values(), *self._raw]:
            if writer.wait(_WIND_DOWN):
                writer.close()

    def _start(
        self, content: AbstractContextManager[Reader], failure_fd: int | None = None
    ) -> tuple[_PipeWriter, int]:
        self._raw = [writer for writer in self._raw if not writer.wait(0)]
        if len(self._checked) + len(self._raw) >= MAX_PIPES:
            raise LimitError(
                f"too many open pipes (at most {MAX_PIPES})", hint="finish some of them"
            )
        with ExitStack() as stack:
            stream = stack.enter_context(content)
            read_fd, write_fd = _open_pipe()
            writer = _PipeWriter(stream, write_fd, stack.pop_all(), self._cancellation, failure_fd)
        return writer, read_fd


class _PipeWriter:
    """Thread that copies a stream to a pipe, and finally closes ``stack``.

    With ``failure_fd``, the thread also closes the pipe, and writes an error to that descriptor.
    """

    def __init__(
        self,
        stream: Reader,
        write_fd: int,
        stack: ExitStack,
        cancellation: Cancellation,
        failure_fd: int | None = None,
    ) -> None:
        self.failure: Exception | None = None
        self._write_fd: int | None = write_fd
        self._failure_fd = failure_fd
        self._cancellation = cancellation
        # A daemon thread does not delay the end of the program while it waits for a server.
        self._thread = threading.Thread(
            target=self._run, args=(stream, write_fd, stack), daemon=True
        )
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Wait for the thread; return whether it has ended."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def close(self) -> None:
        """Close the pipe if it is open. The thread must have ended."""
        if self._write_fd is not None:
            os.close(self._write_fd)
            self._write_fd = None

    def _run(self, stream: Reader, write_fd: int, stack: ExitStack) -> None:
        poll = select.poll()
        poll.register(write_fd, select.POLLOUT)
        try:
            with stack:
                for chunk in read_chunks(stream):
                    data = chunk
                    while data:
                        self._cancellation.check()
                        if poll.poll(_POLL_INTERVAL * 1000):
                            with suppress(BlockingIOError):
                                data = data[os.write(write_fd, data) :]
        except Exception as error:  # noqa: BLE001 - any error is reported to the client
            self.failure = error
        if self._failure_fd is not None:
            if self.failure is not None:
                failure = {
                    "code": protocol.find_error_code(self.failure),
                    "message": protocol.format_error(self.failure),
                }
                with suppress(OSError):
                    os.write(self._failure_fd, json.dumps(failure).encode())
            os.close(self._failure_fd)
            self.close()


def _open_pipe() -> tuple[int, int]:
    """Create a pipe whose write end does not block; return the read end and the write end."""
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    with suppress(OSError):  # the user's limit on pipe buffers may be reached
        fcntl.fcntl(write_fd, fcntl.F_SETPIPE_SZ, BUFFER_SIZE)
    return read_fd, write_fd
