"""Large temporary files, which have no name and are thus removed when they are closed."""

from __future__ import annotations

import os
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.content.files.os_errors import to_bundler_error
from bundler.content.files.safe_directory import RegularFile
from bundler.content.streams import write_all
from bundler.errors import LimitError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bundler.ports import OpenOptions

_DEFAULT_DIRECTORY = Path("/var/tmp")  # noqa: S108 - the files have no names


class ScratchFile:
    """A temporary file in the directory of ``options``, by default ``default`` or ``/var/tmp``.

    Raises:
        MediumError, NoSpaceError: the file cannot be created.
    """

    def __init__(self, options: OpenOptions, default: Path | None = None) -> None:
        self.path = options.scratch or default or _DEFAULT_DIRECTORY
        """The directory, for messages."""
        try:
            self._file = tempfile.TemporaryFile(dir=self.path, buffering=0)  # noqa: SIM115 - until close
        except OSError as error:
            raise to_bundler_error(error, self.path, "cannot write a temporary file") from error
        self.fd = self._file.fileno()

    def reader(self, path: Path | None = None) -> RegularFile:
        """Return a reader from the start of the file; ``path`` is its name in messages.

        The caller closes the reader, which remains usable after ``close``.
        """
        os.lseek(self.fd, 0, os.SEEK_SET)
        return RegularFile(path or self.path, os.dup(self.fd))

    def close(self) -> None:
        """Close the file, which is removed unless a reader is open."""
        self._file.close()


def copy_to_scratch(
    chunks: Iterable[bytes | memoryview],
    path: Path,
    options: OpenOptions,
    *,
    default: Path | None = None,
    limit: int | None = None,
) -> RegularFile:
    """Copy ``chunks`` to a temporary file, which the caller closes; see ``ScratchFile``.

    ``path`` is the name of the file in messages.

    Raises:
        LimitError: the content has more than ``limit`` bytes.
        NoSpaceError, MediumError: the file cannot be written.
    """
    size = 0
    with closing(ScratchFile(options, default)) as file:
        try:
            for chunk in chunks:
                options.cancellation.check()
                size += len(chunk)
                if limit is not None and size > limit:
                    raise LimitError(f"{path}: more than the {limit:,} bytes allowed")
                write_all(file.fd, chunk)
        except OSError as error:
            raise to_bundler_error(error, file.path, "cannot write a temporary file") from error
        return file.reader(path)
