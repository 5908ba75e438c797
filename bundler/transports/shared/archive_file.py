"""Open archives for reading and writing, as files or through pipes.

The members of an archive are read at their offsets, so a compressed archive is first decompressed
to a temporary file, and an archive from a pipe is first copied to one.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bundler.content.compression import decompress
from bundler.content.compression.decompress import DecompressingReader
from bundler.content.files.replace_file import FileReplacement
from bundler.content.files.safe_directory import RegularFile
from bundler.transports.shared.pipes import PipeReader, PipeWriter, is_stream
from bundler.transports.shared.scratch_file import copy_to_scratch

if TYPE_CHECKING:
    from bundler.ports import OpenOptions


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
