"""Write a tar archive from its beginning to its end, each file as it comes.

A file's header is written after its content, since only then its size is certain, and often its
name too. So a header's length depends on the name alone: what POSIX's form of one block cannot say
is said in GNU's. What is written depends on names and contents only: everything belongs to root,
and is from 1970.
"""

from __future__ import annotations

import os
import tarfile
from typing import TYPE_CHECKING

from bundler.content.files.os_errors import to_bundler_error
from bundler.content.streams.reader import read_chunks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bundler.content.streams.reader import Content
    from bundler.oci.descriptor import Descriptor

_BLOCK = tarfile.BLOCKSIZE
_END = bytes(2 * _BLOCK)
_MAX_NAME = 100
_MAX_OCTAL = 8**11 - 1


class TarWriter:
    """An archive in the open, empty file ``fd``, whose owner closes it. For one thread.

    ``path`` is for messages, ``mode`` what files may be used for; ``position`` is where the next
    member will begin.
    """

    def __init__(self, fd: int, path: Path, *, mode: int = 0o644) -> None:
        self._fd = fd
        self._path = path
        self._mode = mode
        self.position = 0

    def add_directory(self, name: str) -> None:
        """Add a directory; the files in it come later."""
        self._put_header(_member(f"{name}/", 0, 0o755, tarfile.DIRTYPE))

    def add_link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        self._put_header(_member(name, 0, 0, tarfile.SYMTYPE, target))

    def add_bytes(self, name: str, data: bytes) -> None:
        """Add a small file."""
        header = self._file_header(name, len(data))
        self._put(header + data, self.position)
        self.position = padded(self.position + len(header) + len(data))

    def add(self, name: str | Callable[[Descriptor], str], content: Content) -> Descriptor:
        """Add all of ``content`` as a file, or nothing; what was added.

        Args:
            name: the file's name, or what makes one of at most 100 bytes from the content.
            content: read to its end.

        Raises:
            NoSpaceError, MediumError: it cannot be written.
        """
        start = self.position
        room = len(self._file_header(name, 0)) if isinstance(name, str) else _BLOCK
        try:
            end = self._pour(content, start + room)
            stored = content.descriptor()
            called = name if isinstance(name, str) else name(stored)
            self._put(self._file_header(called, end - start - room, room=room), start)
        except BaseException:
            self.rewind(start)
            raise
        self.position = padded(end)
        return stored

    def rewind(self, position: int) -> None:
        """Forget everything from ``position`` on, where a member began."""
        try:
            os.ftruncate(self._fd, position)
        except OSError as error:
            raise to_bundler_error(error, self._path, "cannot write") from error
        self.position = position

    def finish(self) -> int:
        """End the archive; its size in bytes."""
        self._put(_END, self.position)
        self.position += len(_END)
        return self.position

    def _pour(self, content: Content, position: int) -> int:
        """Write all of ``content`` from ``position`` on; where it ends."""
        for chunk in read_chunks(content):
            self._put(chunk, position)
            position += len(chunk)
        return position

    def _file_header(self, name: str, size: int, *, room: int = 0) -> bytes:
        header = _header(_member(name, size, self._mode))
        if room and len(header) != room:
            raise ValueError(f"{name!r} does not fit in the {room} bytes kept for its header")
        return header

    def _put_header(self, member: tarfile.TarInfo) -> None:
        header = _header(member)
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


def _member(
    name: str, size: int, mode: int, kind: bytes = tarfile.REGTYPE, link: str = ""
) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.type, member.linkname = size, mode, kind, link
    return member


def _header(member: tarfile.TarInfo) -> bytes:
    """One block, and two more in front of it for a name of more than 100 bytes."""
    longest = max(len(member.name.encode()), len(member.linkname.encode()))
    if longest > _MAX_NAME or member.size > _MAX_OCTAL:
        return member.tobuf(tarfile.GNU_FORMAT)
    block = bytearray(member.tobuf(tarfile.USTAR_FORMAT))
    block[329:345] = b"0000000\0" * 2  # no device's numbers, as other writers tell them
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def padded(position: int) -> int:
    """Where the next member begins after one that ends at ``position``; or what a size takes."""
    return -(-position // _BLOCK) * _BLOCK
