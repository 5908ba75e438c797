"""Pipes to a client, each written by a thread of its own.

A *checked* pipe is not ended when its last byte is written, but when the client has asked whether
that went well: it cannot mistake a broken stream for a finished one. A *raw* pipe ends with its
stream; what went wrong stands in a second pipe.
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
from bundler.images.proxy import protocol as messages

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from bundler.content.streams.reader import Reader

MAX_PIPES = 48  # each may need a buffer of one mebibyte here, and one in the kernel

_LOOK = 0.2  # seconds between looks at whether the work has to stop
_WIND_DOWN = 1.0  # seconds for threads that wait for a silent server


class Pipes:
    """The pipes of one client; for one thread.

    ``look`` is called again and again while one waits, and may raise to stop that.
    """

    def __init__(self, cancellation: Cancellation, look: Callable[[], None]) -> None:
        self._stop = Cancellation(cancellation)
        self._look = look
        self._numbers = count(1)
        self._checked: dict[int, _PipeWriter] = {}
        self._raw: list[_PipeWriter] = []

    def open_checked(self, content: AbstractContextManager[Reader]) -> tuple[int, int]:
        """Send ``content``; the number to finish it by, and the end to read from.

        Raises:
            LimitError: there are too many pipes.
            BundlerError: ``content`` cannot be opened.
        """
        self._make_room()
        with ExitStack() as owned:
            stream = owned.enter_context(content)
            reading, writing = _pipe()
            sending = _PipeWriter(stream, writing, owned.pop_all(), self._stop)
        number = next(self._numbers)
        self._checked[number] = sending
        return number, reading

    def finish(self, number: int) -> None:
        """Wait until all of the pipe ``number`` is written, and end it.

        Raises:
            UsageError: there is no such pipe.
            Exception: what went wrong while it was written.
        """
        sending = self._checked.get(number)
        if sending is None:
            raise UsageError(f"there is no open pipe {number}")
        while not sending.wait(_LOOK):
            self._look()
        del self._checked[number]
        sending.end()
        if sending.failure is not None:
            raise sending.failure

    def open_raw(self, content: AbstractContextManager[Reader]) -> tuple[int, int]:
        """Send ``content``; the ends to read it and its failure from.

        Raises:
            LimitError: there are too many pipes.
            BundlerError: ``content`` cannot be opened.
        """
        self._make_room()
        with ExitStack() as owned:
            stream = owned.enter_context(content)
            reading, writing = _pipe()
            failure, told = _pipe()
            self._raw.append(_PipeWriter(stream, writing, owned.pop_all(), self._stop, told))
        return reading, failure

    def close(self) -> None:
        """Stop writing, whatever is left to be written."""
        self._stop.request()
        for sending in [*self._checked.values(), *self._raw]:
            if sending.wait(_WIND_DOWN):
                sending.end()

    def _make_room(self) -> None:
        self._raw = [sending for sending in self._raw if not sending.wait(0)]
        if len(self._checked) + len(self._raw) >= MAX_PIPES:
            raise LimitError(
                f"{MAX_PIPES} pipes are open, and there cannot be more",
                hint="finish some of them",
            )


class _PipeWriter:
    """A stream on its way into a pipe, in a thread; ``owned`` is let go of in the end.

    With ``told`` the pipe is ended at once, and a failure written there.
    """

    def __init__(
        self,
        stream: Reader,
        writing: int,
        owned: ExitStack,
        stop: Cancellation,
        told: int | None = None,
    ) -> None:
        self.failure: Exception | None = None
        self._writing: int | None = writing
        self._told = told
        self._stop = stop
        # A thread that waits for a silent server does not hold up the end of the program.
        self._thread = threading.Thread(target=self._run, args=(stream, owned), daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> bool:
        """Whether all is written, or nothing more will be."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def end(self) -> None:
        """End the pipe, if it has not been ended; only after ``wait`` said so."""
        if self._writing is not None:
            os.close(self._writing)
            self._writing = None

    def _run(self, stream: Reader, owned: ExitStack) -> None:
        try:
            with owned:
                self._copy(stream)
        except Exception as error:  # noqa: BLE001 - the client is told, whatever it is
            self.failure = error
        if self._told is not None:
            self._tell(self._told)
            self.end()

    def _copy(self, stream: Reader) -> None:
        assert self._writing is not None  # noqa: S101 - it is ended later
        for chunk in read_chunks(stream):
            _write(self._writing, chunk, self._stop)

    def _tell(self, told: int) -> None:
        if self.failure is not None:
            said = {
                "code": messages.find_error_code(self.failure),
                "message": messages.format_error(self.failure),
            }
            with suppress(OSError):
                os.write(told, json.dumps(said).encode())
        os.close(told)


def _pipe() -> tuple[int, int]:
    """The ends of a pipe: to read from, and to write to without being held up for ever."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(OSError):  # what one user may have of all pipes may be used up
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, BUFFER_SIZE)
    return reading, writing


def _write(descriptor: int, data: memoryview, stop: Cancellation) -> None:
    ready = select.poll()
    ready.register(descriptor, select.POLLOUT)
    while data:
        stop.check()
        if ready.poll(_LOOK * 1000):
            with suppress(BlockingIOError):
                data = data[os.write(descriptor, data) :]
