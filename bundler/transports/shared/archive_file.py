"""Open archives for reading and writing, as files or through pipes.

The members of an archive are read at their offsets, so a compressed archive is first decompressed
to a temporary file. A pipe has no offsets: an archive from a pipe is first copied to a temporary
file, and an archive for a pipe is first written to one.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from bundler.content.compression import decompress
from bundler.content.compression.decompress import DecompressingReader
from bundler.content.files.os_errors import to_bundler_error
from bundler.content.files.replace_file import FileReplacement
from bundler.content.files.safe_directory import RegularFile
from bundler.content.streams.reader import BUFFER_SIZE, write_all
from bundler.transports.shared.scratch_file import ScratchFile, copy_to_scratch

if TYPE_CHECKING:
    from bundler.cancel import Cancellation
    from bundler.ports import OpenOptions

# These are duplicated, because open() fails if the stream is a socket.
_STANDARD_STREAMS = {"/dev/stdin": 0, "/dev/fd/0": 0, "/dev/stdout": 1, "/dev/fd/1": 1}
_POLL_INTERVAL = 0.5  # seconds between checks of the cancellation
_OPEN_INTERVAL = 0.05  # seconds between attempts to open a named pipe without a reader


def open_file_or_pipe(path: Path, options: OpenOptions) -> RegularFile:
    """Open a file for reading; the content of a pipe is first copied to a temporary file.

    Raises:
        NotFoundError, MediumError, NoSpaceError: ``path`` cannot be read or copied.
    """
    if not is_stream(path):
        return RegularFile.open(path)
    with PipeReader(path, options.cancellation) as stream:
        return copy_to_scratch(stream, path, options)


def open_archive(archive: Path | RegularFile, options: OpenOptions) -> RegularFile:
    """Open an archive, decompressed; the caller closes the returned file.

    Args:
        archive: a path, or an open file, of which this function takes ownership.
        options: the cancellation, and the directory for large temporary files; by default, they
            are created in the directory of the archive.

    Raises:
        LimitError: the decompressed archive is larger than allowed.
        MalformedError: the compressed stream is damaged.
        NotFoundError, MediumError, NoSpaceError: the archive cannot be read or decompressed.
    """
    with ExitStack() as undo:
        directory = None
        if isinstance(archive, Path):
            directory = None if is_stream(archive) else archive.parent
            archive = open_file_or_pipe(archive, options)
        undo.enter_context(archive)
        compression = decompress.detect(archive.read(decompress.MAGIC_SIZE))
        archive.seek(0)
        if compression is None:
            undo.pop_all()
            return archive
        stream = DecompressingReader(archive, compression, str(archive.path))
        return copy_to_scratch(stream, archive.path, options, default=directory)


class ArchiveFile(Protocol):
    """A new archive that is being written."""

    @property
    def path(self) -> Path:
        """The name of the file in messages."""

    @property
    def fd(self) -> int:
        """The descriptor of the open file, which is empty at first."""

    def publish(self, size: int) -> None:
        """Make the complete archive of ``size`` bytes visible at its path."""

    def close(self) -> None:
        """Close the file; an unpublished archive is removed."""


def create_archive(path: Path, options: OpenOptions) -> ArchiveFile:
    """Create an archive that, on publication, replaces the file or is written to the pipe ``path``.

    Raises:
        LockedError, NotFoundError, MediumError, NoSpaceError: ``path`` cannot be written.
        UsageError: ``path`` is neither a regular file nor a pipe.
    """
    return PipeWriter(path, options) if is_stream(path) else FileReplacement(path)


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
    """An archive in a temporary file that is written to the pipe ``path`` when it is complete."""

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
