"""Open archives for reading and writing, as files or through pipes.

The members of an archive are read at their offsets, so a compressed archive is first decompressed
to a temporary file. A pipe has no offsets, so an archive is copied from a pipe to a temporary file,
and is written to a temporary file before it is copied to a pipe.
"""

from __future__ import annotations

import errno
import os
import select
import stat
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.content.compression import decompress
from bundler.content.compression.decompress import DecompressingReader
from bundler.content.files.os_errors import to_bundler_error
from bundler.content.files.replace_file import FileReplacement
from bundler.content.files.safe_directory import RegularFile
from bundler.content.streams import BUFFER_SIZE, read_chunks, write_all
from bundler.transports.shared.scratch_file import ScratchFile, copy_to_scratch

if TYPE_CHECKING:
    from collections.abc import Generator

    from bundler.cancel import Cancellation
    from bundler.ports import OpenOptions

# The descriptors of these are duplicated, because open() fails if the stream is a socket.
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
    with closing(read_pipe(path, options.cancellation)) as chunks:
        return copy_to_scratch(chunks, path, options)


def open_archive(archive: Path | RegularFile, options: OpenOptions) -> RegularFile:
    """Open an archive, decompressed; the caller closes the returned file.

    An open file is closed with it. Temporary files are created in the directory of the archive
    unless ``options`` specifies another.

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
        return copy_to_scratch(read_chunks(stream), archive.path, options, default=directory)


def create_archive(path: Path, options: OpenOptions) -> FileReplacement | PipeWriter:
    """Create an archive that, on publication, replaces the file or is written to the pipe ``path``.

    Raises:
        LockedError, NotFoundError, MediumError, NoSpaceError: ``path`` cannot be written.
        UsageError: ``path`` is neither a regular file nor a pipe.
    """
    return PipeWriter(path, options) if is_stream(path) else FileReplacement(path)


def is_stream(path: Path) -> bool:
    """Return whether ``path`` is a pipe or a standard stream, which has no offsets."""
    if str(path) in _STANDARD_STREAMS:
        return True
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except OSError:
        return False


def read_pipe(path: Path, cancellation: Cancellation) -> Generator[bytes, None, None]:
    """Yield the content of a pipe; the wait for data can be cancelled.

    Raises:
        CancelledError: the run was cancelled during the wait.
        MediumError: the pipe cannot be read.
    """
    standard = _STANDARD_STREAMS.get(str(path))
    try:
        if standard is None:
            fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        else:
            fd = os.dup(standard)
        try:
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            while True:
                while not poll.poll(_POLL_INTERVAL * 1000):
                    cancellation.check()
                chunk = os.read(fd, BUFFER_SIZE)
                if not chunk:
                    return
                yield chunk
        finally:
            os.close(fd)
    except OSError as error:
        raise to_bundler_error(error, path, "cannot read") from error


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
            standard = _STANDARD_STREAMS.get(str(self._pipe_path))
            pipe = -1 if standard is None else os.dup(standard)
            while pipe < 0:  # it can be opened as soon as it has a reader
                try:
                    pipe = os.open(self._pipe_path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
                except OSError as error:
                    if error.errno != errno.ENXIO:
                        raise
                    self._cancellation.sleep(_OPEN_INTERVAL)
                else:
                    os.set_blocking(pipe, True)
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
