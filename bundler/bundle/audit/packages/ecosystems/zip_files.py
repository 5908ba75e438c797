"""Zip files that are untrusted: the list of files and the texts in them are limited."""

from __future__ import annotations

import struct
import threading
import zipfile
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from bundler.bundle.audit.packages.found_file import PackageFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DIRECTORY = 8 * 1024 * 1024
"""The maximum size of the list of files in bytes, about 100,000 files."""
MAX_TEXT = 256 * 1024
_END = 128 * 1024  # bytes at the end of a zip file, where zipfile looks for the list
_ONE_THREAD = threading.RLock()
_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    ValueError,
    OverflowError,
    NotImplementedError,
    OSError,
)


@contextmanager
def open_zip(stream: IO[bytes], limit: int = MAX_DIRECTORY) -> Iterator[zipfile.ZipFile]:
    """Open a zip file for reading; the owner of ``stream`` closes it.

    One thread at a time has zip files open, because a list of files needs much memory. ``limit`` is
    the maximum size of the list in bytes.

    Raises:
        PackageFileError: it is damaged, or has too many files; also in the block.
    """
    try:
        with _ONE_THREAD, zipfile.ZipFile(_BoundedFile(stream, limit)) as archive:
            yield archive
    except _ERRORS as error:
        raise PackageFileError("a damaged archive") from error


def open_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> IO[bytes]:
    """Open a file for reading.

    Raises:
        PackageFileError: it is encrypted, or its compression could need much memory.
    """
    if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise PackageFileError("encrypted, or with a rare compression", "package-file-unsupported")
    return archive.open(info)


def read_text(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> str:
    """Read a file with lines of text.

    Raises:
        PackageFileError: it is larger than ``MAX_TEXT``.
    """
    with open_member(archive, info) as source:
        data = source.read(MAX_TEXT + 1)
    if len(data) > MAX_TEXT:
        raise PackageFileError("a file with metadata is too large", "package-file-too-large")
    return data.decode(errors="replace").replace("\r\n", "\n").replace("\r", "\n")


class _BoundedFile:
    """A file whose single reads are limited, since zipfile reads a list of files at once."""

    def __init__(self, stream: IO[bytes], limit: int) -> None:
        self._limit = limit
        self.seek, self.tell, self._read = stream.seek, stream.tell, stream.read

    def seekable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Read at most ``size`` bytes, or to the end."""
        most = max(self._limit, _END) + 1
        data = self._read(min(size, most) if size >= 0 else most)
        if len(data) >= most:
            raise PackageFileError("too many files in an archive", "package-file-too-large")
        return data
