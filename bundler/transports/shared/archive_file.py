"""Open an archive for reading in place, whether it is compressed or not; begin a new one.

A compressed one is decompressed first, to a file without a name, since its members are reached by
their offsets. That file lies in the directory for large temporary files, or beside the archive.
What comes out of a pipe is kept in the same way.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bundler.content.compression import decompress
from bundler.content.compression.decompress import DecompressingReader
from bundler.content.files.os_errors import explained
from bundler.content.files.replace_file import FileReplacement
from bundler.content.files.safe_directory import RegularFile
from bundler.content.streams.reader import read_chunks, write_all
from bundler.errors import LimitError
from bundler.transports.shared import pipes

if TYPE_CHECKING:
    from contextlib import ExitStack

    from bundler.content.streams.reader import Reader
    from bundler.ports import OpenOptions


def open_archive(
    archive: Path | RegularFile, options: OpenOptions, stack: ExitStack
) -> RegularFile:
    """The archive at a path, or the open one, uncompressed; ``stack`` closes it.

    Raises:
        LimitError: more comes out of it than is allowed.
        MalformedError: a compressed stream that is damaged.
        NotFoundError, MediumError, NoSpaceError: it cannot be read, or what is in it not kept.
    """
    if isinstance(archive, Path):
        archive = _opened_path(archive, options)
    stack.enter_context(archive)
    kind = decompress.detect(archive.read(decompress.MAGIC_SIZE))
    archive.seek(0)
    if kind is None:
        return archive
    stream = DecompressingReader(archive, kind, str(archive.path))
    return stack.enter_context(
        copy_to_temporary_file(
            stream, archive.path, options.scratch or _beside(archive.path), options
        )
    )


class ArchiveFile(Protocol):
    """Where a new archive grows."""

    @property
    def path(self) -> Path:
        """Where it lies, for messages."""
        ...

    @property
    def fd(self) -> int:
        """The open file, empty at first."""
        ...

    def publish(self, size: int) -> None:
        """Put the whole archive, ``size`` bytes of it, in its place."""
        ...

    def close(self) -> None:
        """Let go of it; what was not published is gone."""
        ...


def create_archive(path: Path, options: OpenOptions) -> ArchiveFile:
    """A new archive that will take the place of what is at ``path``, or go into that pipe.

    Raises:
        LockedError, NotFoundError, MediumError, NoSpaceError: it cannot be written.
        UsageError: something is there that is neither a plain file nor a pipe.
    """
    return pipes.PipeWriter(path, options) if pipes.is_stream(path) else FileReplacement(path)


def copy_to_temporary_file(
    stream: Reader, path: Path, folder: Path, options: OpenOptions, *, limit: int | None = None
) -> RegularFile:
    """All of ``stream`` in a file without a name in ``folder``; messages call it ``path``.

    Raises:
        LimitError: it holds more than ``limit`` bytes.
        NoSpaceError, MediumError: it cannot be kept there.
    """
    size = 0
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            for chunk in read_chunks(stream):
                options.cancellation.check()
                size += len(chunk)
                if limit is not None and size > limit:
                    raise LimitError(f"{path}: more than the {limit:,} bytes allowed")
                write_all(file.fileno(), chunk)
            os.lseek(file.fileno(), 0, os.SEEK_SET)
            return RegularFile(path, os.dup(file.fileno()))
    except OSError as error:
        raise explained(error, folder, "cannot keep a temporary file here") from error


def _opened_path(path: Path, options: OpenOptions) -> RegularFile:
    if not pipes.is_stream(path):
        return RegularFile.open(path)
    with pipes.open_pipe(path, options.cancellation) as stream:
        return copy_to_temporary_file(
            stream, path, options.scratch or pipes.DEFAULT_SCRATCH, options
        )


def _beside(path: Path) -> Path:
    return pipes.DEFAULT_SCRATCH if pipes.is_stream(path) else path.parent
