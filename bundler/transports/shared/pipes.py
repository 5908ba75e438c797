"""Archives that come out of a pipe or go into one: stdin, stdout, or a pipe that has a name.

An archive is read and written by places in it, and a pipe has none. So it lies in a file without a
name, in the directory for large temporary files, until a pipe has given or taken all of it.
"""

from __future__ import annotations

import errno
import os
import select
import stat
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bundler.content.files.os_errors import explained
from bundler.content.files.safe_directory import RegularFile
from bundler.content.streams.reader import BUFFER_SIZE

if TYPE_CHECKING:
    from bundler.cancel import Cancellation
    from bundler.ports import OpenOptions

DEFAULT_SCRATCH = Path("/var/tmp")  # noqa: S108 - the files there have no names
"""Where large temporary files go if nobody said."""

# By these names stdin and stdout may be something that cannot be opened a second time.
_OWN = {"/dev/stdin": 0, "/dev/fd/0": 0, "/dev/stdout": 1, "/dev/fd/1": 1}
_GLANCE = 0.5  # seconds between two looks at the cancellation while nothing comes


def is_stream(path: Path) -> bool:
    """Whether ``path`` is read or written once only, from the first byte to the last."""
    if str(path) in _OWN:
        return True
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except OSError:
        return False


def open_pipe(path: Path, cancellation: Cancellation) -> PipeReader:
    """What comes out of ``path``, which is a stream.

    Raises:
        MediumError: it cannot be read.
    """
    own = _OWN.get(str(path))
    try:
        fd = (
            os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            if own is None
            else os.dup(own)
        )
    except OSError as error:
        raise explained(error, path, "cannot read") from error
    return PipeReader(path, fd, cancellation)


class PipeReader:
    """What comes out of the open stream ``fd``, which it closes. For one thread."""

    def __init__(self, path: Path, fd: int, cancellation: Cancellation) -> None:
        self.path = path
        self._fd = fd
        self._cancellation = cancellation
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes, or all that is left."""
        if size < 0:
            return b"".join(iter(lambda: self.read(BUFFER_SIZE), b""))
        buffer = bytearray(size)
        return bytes(buffer[: self.readinto(memoryview(buffer))])

    def readinto(self, buffer: memoryview, /) -> int:
        """Wait for something, and fill part of ``buffer`` with it; 0 at the end.

        Raises:
            CancelledError: work has to stop.
        """
        try:
            while not self._poll.poll(_GLANCE * 1000):
                self._cancellation.check()
            return os.readv(self._fd, [buffer])
        except OSError as error:
            raise explained(error, self.path, "cannot read") from error

    def close(self) -> None:
        """Let go of the pipe."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ScratchFile:
    """An empty file without a name, where large temporary files go; ``path`` is that directory.

    Raises:
        MediumError, NoSpaceError: none can be made there.
    """

    def __init__(self, options: OpenOptions) -> None:
        self.path = options.scratch or DEFAULT_SCRATCH
        try:
            self._file = tempfile.TemporaryFile(dir=self.path, buffering=0)  # noqa: SIM115 - until close
        except OSError as error:
            raise explained(error, self.path, "cannot keep a temporary file here") from error
        self.fd = self._file.fileno()

    def reader(self) -> RegularFile:
        """The file from its beginning; the caller closes it."""
        os.lseek(self.fd, 0, os.SEEK_SET)
        return RegularFile(self.path, os.dup(self.fd))

    def close(self) -> None:
        """Let go of the file, which is gone then."""
        self._file.close()


class PipeWriter:
    """What goes into the stream ``to`` once it is whole; it is used as a ``FileReplacement`` is."""

    def __init__(self, to: Path, options: OpenOptions) -> None:
        self._to = to
        self._cancellation = options.cancellation
        self._file = ScratchFile(options)
        self.path, self.fd = self._file.path, self._file.fd

    def publish(self, size: int) -> None:
        """Write all ``size`` bytes into the stream.

        Raises:
            MediumError: nobody reads it to its end.
        """
        try:
            pipe = self._open()
            try:
                sent = 0
                while sent < size:
                    self._cancellation.check()
                    rest = memoryview(os.pread(self.fd, BUFFER_SIZE, sent))
                    sent += len(rest)
                    while rest:
                        rest = rest[os.write(pipe, rest) :]
            finally:
                os.close(pipe)
        except OSError as error:
            raise explained(error, self._to, "cannot write") from error

    def close(self) -> None:
        """Let go of what was not written."""
        self._file.close()

    def _open(self) -> int:
        own = _OWN.get(str(self._to))
        if own is not None:
            return os.dup(own)
        while True:  # a pipe with a name can be opened once somebody reads it
            try:
                fd = os.open(self._to, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                self._cancellation.sleep(_GLANCE / 10)
            else:
                os.set_blocking(fd, True)
                return fd
