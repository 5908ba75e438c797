"""Read a file from its medium, and not from the page cache of the kernel.

The cache would return the written bytes even if the medium has lost or changed them.
"""

from __future__ import annotations

import fcntl
import mmap
import os
from typing import TYPE_CHECKING, Literal, Self

from bundler.content.files.os_errors import to_bundler_error
from bundler.content.streams import BUFFER_SIZE, ChunkedReader

if TYPE_CHECKING:
    from bundler.content.files.safe_directory import RegularFile

ReadMethod = Literal["direct", "dropped"]
"""``direct``: direct I/O. ``dropped``: the kernel was asked to drop the cached pages of the file
first, because its file system does not support direct I/O; pages that are in use remain."""
DESCRIPTIONS: dict[ReadMethod, str] = {
    "direct": "with direct I/O",
    "dropped": "after the cache was dropped",
}
"""How the cache was avoided, for people."""


class UncachedFile(ChunkedReader):
    """Stream of a file, from its medium, and a context manager that closes it. For one thread.

    ``file`` is at its start.
    """

    def __init__(self, file: RegularFile) -> None:
        self._file = file
        self.size = file.size
        # Direct I/O needs a buffer that begins at a page.
        self._buffer = mmap.mmap(-1, BUFFER_SIZE)
        self.method: ReadMethod = "direct"
        fd = file.fileno()
        try:
            fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_DIRECT)
        except OSError:
            self.method = "dropped"
            drop_cache(file)

    def _read_chunk(self) -> memoryview:
        """Read the next bytes from the medium.

        Raises:
            MediumError: the medium cannot be read.
        """
        try:
            count = os.readv(self._file.fileno(), [self._buffer])
        except OSError as error:
            raise to_bundler_error(error, self._file.path, "cannot read") from error
        return memoryview(self._buffer)[:count]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def drop_cache(file: RegularFile, offset: int = 0, size: int = 0) -> None:
    """Ask the kernel to drop the cached pages of a file, so that it is read from its medium.

    ``size`` is the number of bytes from ``offset`` on; 0: all of them.

    Raises:
        MediumError: pages of the file cannot be written to the medium first.
    """
    fd = file.fileno()
    try:
        os.fdatasync(fd)
        os.posix_fadvise(fd, offset, size, os.POSIX_FADV_DONTNEED)
    except OSError as error:
        raise to_bundler_error(error, file.path, "cannot read") from error
