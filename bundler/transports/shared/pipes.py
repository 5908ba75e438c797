"""Pipes: standard input, standard output, and named pipes.

A pipe cannot be read or written at an offset, so an archive that is read from a pipe or written to
a pipe is stored in a temporary file.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from typing import TYPE_CHECKING, Self

from bundler.content.files.os_errors import to_bundler_error
from bundler.content.streams.reader import BUFFER_SIZE, write_all
from bundler.transports.shared.scratch_file import ScratchFile

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.cancel import Cancellation
    from bundler.ports import OpenOptions

# These are duplicated, because open() fails if the stream is a socket.
_STANDARD_STREAMS = {"/dev/stdin": 0, "/dev/fd/0": 0, "/dev/stdout": 1, "/dev/fd/1": 1}
_POLL_INTERVAL = 0.5  # seconds between checks of the cancellation
_OPEN_INTERVAL = 0.05  # seconds between attempts to open a named pipe without a reader


def is_stream(path: Path) -> bool:
    """Whether ``path`` is a pipe or a standard stream, which has no offsets."""
    if str(path) in _STANDARD_STREAMS:
        return True
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except OSError:
        return False


class PipeReader:
    """Reader of a pipe. Not thread-safe.

    Raises:
        MediumError: the pipe cannot be read.
    """

    def __init__(self, path: Path, cancellation: Cancellation) -> None:
        self._path = path
        self._cancellation = cancellation
        standard = _STANDARD_STREAMS.get(str(path))
        try:
            if standard is None:
                self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            else:
                self._fd = os.dup(standard)
        except OSError as error:
            raise to_bundler_error(error, path, "cannot read") from error
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)

    def read(self, size: int = -1, /) -> bytes:
        """Read at most ``size`` bytes; to the end if ``size`` is negative."""
        if size < 0:
            return b"".join(iter(lambda: self.read(BUFFER_SIZE), b""))
        buffer = bytearray(size)
        return bytes(buffer[: self.readinto(memoryview(buffer))])

    def readinto(self, buffer: memoryview, /) -> int:
        """Wait for data and read it; return the number of bytes, which is 0 at the end.

        Raises:
            CancelledError: the run was cancelled during the wait.
        """
        try:
            while not self._poll.poll(_POLL_INTERVAL * 1000):
                self._cancellation.check()
            return os.readv(self._fd, [buffer])
        except OSError as error:
            raise to_bundler_error(error, self._path, "cannot read") from error

    def close(self) -> None:
        """Close the pipe."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class PipeWriter:
    """A temporary file that is written to the pipe ``path`` when it is complete.

    It has the same interface as ``FileReplacement``.
    """

    def __init__(self, path: Path, options: OpenOptions) -> None:
        self._pipe_path = path
        self._cancellation = options.cancellation
        self._file = ScratchFile(options)
        self.path, self.fd = self._file.path, self._file.fd

    def publish(self, size: int) -> None:
        """Write all ``size`` bytes to the pipe.

        Raises:
            MediumError: the reader closed the pipe early, or the pipe cannot be written.
        """
        try:
            pipe = self._open_pipe()
            try:
                sent = 0
                while sent < size:
                    self._cancellation.check()
                    chunk = os.pread(self.fd, BUFFER_SIZE, sent)
                    write_all(pipe, chunk)
                    sent += len(chunk)
            finally:
                os.close(pipe)
        except OSError as error:
            raise to_bundler_error(error, self._pipe_path, "cannot write") from error

    def close(self) -> None:
        """Remove the temporary file."""
        self._file.close()

    def _open_pipe(self) -> int:
        """Open the pipe as soon as it has a reader."""
        standard = _STANDARD_STREAMS.get(str(self._pipe_path))
        if standard is not None:
            return os.dup(standard)
        while True:
            try:
                fd = os.open(self._pipe_path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                self._cancellation.sleep(_OPEN_INTERVAL)
            else:
                os.set_blocking(fd, True)
                return fd
