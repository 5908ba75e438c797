"""Write a tar archive member by member.

The header of a file is written after its content, because the size, and often the name, are known
only then. The length of a header depends only on the name: if it does not fit in a ustar block, the
GNU format is used. Archives are reproducible: every member is owned by root and has mtime 0.
"""

from __future__ import annotations

import os
import tarfile
from typing import TYPE_CHECKING

from bundler.content.archives.tar_header import BLOCK, padded
from bundler.content.files.os_errors import to_bundler_error
from bundler.content.streams import read_chunks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bundler.content.streams import Content
    from bundler.oci.descriptor import Descriptor

END = bytes(2 * BLOCK)
"""The end of an archive."""
_OWNER = b"0000000\0" * 2
_TIME = b"00000000000\0"
_USTAR = (b"ustar\x0000" + bytes(64) + b"0000000\0" * 2).ljust(355 - 100, b"\0")
"""The magic number, the names of the owner and the group, the device numbers, and the prefix."""
_MAX_NAME = 100
_MAX_OCTAL = 8**11 - 1


class TarWriter:
    """Writer of an archive in the open, empty file ``fd``, which the caller closes.

    ``path`` is used in messages, and ``mode`` is the mode of all files; ``position`` is the offset
    of the next member. For one thread.
    """

    def __init__(self, fd: int, path: Path, *, mode: int = 0o644) -> None:
        self._fd = fd
        self._path = path
        self._mode = mode
        self.position = 0

    def add_directory(self, name: str) -> None:
        """Add a directory; it must be added before the files in it."""
        self._put_header(encode_header(f"{name}/", 0, 0o755, tarfile.DIRTYPE))

    def add_link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        self._put_header(encode_header(name, 0, 0, tarfile.SYMTYPE, target))

    def add_bytes(self, name: str, data: bytes) -> None:
        """Add a file whose content is in memory."""
        header = encode_header(name, len(data), self._mode)
        self._put(header + data, self.position)
        self.position = padded(self.position + len(header) + len(data))

    def add(self, name: str | Callable[[Descriptor], str], content: Content) -> Descriptor:
        """Add ``content`` as a file, and return its descriptor; an error leaves no partial member.

        Args:
            name: the file's name, or a function that returns a name of at most 100 bytes once
                the content is known.
            content: read to the end.

        Raises:
            NoSpaceError, MediumError: the file cannot be written.
        """
        start = self.position
        room = len(encode_header(name, 0, self._mode)) if isinstance(name, str) else BLOCK
        try:
            end = start + room
            for chunk in read_chunks(content):
                self._put(chunk, end)
                end += len(chunk)
            stored = content.descriptor()
            final = name if isinstance(name, str) else name(stored)
            self._put(encode_header(final, end - start - room, self._mode, room=room), start)
        except BaseException:
            self.rewind(start)
            raise
        self.position = padded(end)
        return stored

    def rewind(self, position: int) -> None:
        """Truncate the archive at ``position``, which must be the offset of a member."""
        try:
            os.ftruncate(self._fd, position)
        except OSError as error:
            raise to_bundler_error(error, self._path, "cannot write") from error
        self.position = position

    def finish(self) -> int:
        """Write the end of the archive, and return its size in bytes."""
        self._put(END, self.position)
        self.position += len(END)
        return self.position

    def _put_header(self, header: bytes) -> None:
        self._put(header, self.position)
        self.position += len(header)

    def _put(self, data: bytes | memoryview, position: int) -> None:
        left = memoryview(data)
        try:
            while left:
                count = os.pwrite(self._fd, left, position)
                left, position = left[count:], position + count
        except OSError as error:
            raise to_bundler_error(error, self._path, "cannot write") from error


def encode_header(
    name: str,
    size: int,
    mode: int,
    kind: bytes = tarfile.REGTYPE,
    link: str = "",
    *,
    room: int | None = None,
) -> bytes:
    """Return a header of one block, or of three blocks if a name has more than 100 bytes.

    If ``room`` is set, the header must have that many bytes.
    """
    encoded, target = name.encode(), link.encode()
    if max(len(encoded), len(target)) > _MAX_NAME or size > _MAX_OCTAL:
        member = tarfile.TarInfo(name)
        member.size, member.mode, member.type, member.linkname = size, mode, kind, link
        header = member.tobuf(tarfile.GNU_FORMAT)
    else:  # as tarfile writes it, but faster
        before = encoded.ljust(100, b"\0") + b"%07o\0" % mode + _OWNER + b"%011o\0" % size + _TIME
        after = kind + target.ljust(100, b"\0") + _USTAR
        header = before + b"%06o\0 " % (sum(before) + sum(after) + 8 * ord(" ")) + after
    if room is not None and len(header) != room:
        raise ValueError(f"{name!r} does not fit in the {room} bytes reserved for its header")
    return header
