"""Files in a zip archive with hundreds of thousands of them, one after the other.

``zipfile`` keeps a list of all files, of about a kilobyte each. Here, the list is read as a stream.

https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, cast

from isal import isal_zlib

from bundler.errors import MalformedError, UnexpectedFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

_ISAL_ERROR = cast("type[Exception]", isal_zlib.error)  # the stub types it as an instance
_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LISTED = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_MAX_COMMENT = 0xFFFF
_UNSET = 0xFFFFFFFF
_STORED, _DEFLATED = 0, 8
_ENCRYPTED, _UTF8 = 0x1, 0x800
_LIST_CHUNK = 1024 * 1024


class ZippedFileError(Exception):
    """One file in an archive that cannot be read; those after it can."""

    def __init__(self, problem: str, *, is_too_large: bool = False) -> None:
        super().__init__(problem)
        self.problem = problem
        self.is_too_large = is_too_large


@dataclass(frozen=True, slots=True)
class ZippedFile:
    """An entry of the list of files."""

    name: str
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    offset: int


def list_files(stream: IO[bytes], subject: str) -> Iterator[ZippedFile]:
    """Yield the files of an archive in the order of its list.

    Raises:
        UnexpectedFileError: it is not a zip archive.
        MalformedError: it is truncated, or its list is damaged.
    """
    start, length = _find_list(stream, subject)
    buffer, position = b"", 0
    while length or position < len(buffer):
        if len(buffer) - position < _LISTED.size + 3 * _MAX_COMMENT and length:
            stream.seek(start)
            chunk = stream.read(min(length, _LIST_CHUNK))
            if not chunk:
                raise MalformedError(f"{subject}: the list of files is truncated")
            start, length = start + len(chunk), length - len(chunk)
            buffer, position = buffer[position:] + chunk, 0
            continue
        try:
            (magic, _, _, flags, method, _, _, crc, packed, size, name, extra, comment,
             _, _, _, offset) = _LISTED.unpack_from(buffer, position)  # fmt: skip
        except struct.error:
            raise MalformedError(f"{subject}: the list of files is damaged") from None
        if magic != b"PK\1\2":
            raise MalformedError(f"{subject}: the list of files is damaged")
        position += _LISTED.size
        raw = buffer[position : position + name]
        wide = _read_wide(buffer[position + name : position + name + extra])
        size, packed, offset = (
            next(wide, item) if item == _UNSET else item for item in (size, packed, offset)
        )
        position += name + extra + comment
        text = raw.decode("utf-8" if flags & _UTF8 else "cp437", errors="replace")
        yield ZippedFile(text, flags, method, crc, packed, size, offset)


def read_file(stream: IO[bytes], file: ZippedFile, limit: int) -> bytes:
    """Read a file of at most ``limit`` bytes, and verify its checksum.

    Raises:
        ZippedFileError: it is damaged or too large, or has a form that is not read.
    """
    if file.flags & _ENCRYPTED or file.method not in (_STORED, _DEFLATED):
        raise ZippedFileError("encrypted, or with a rare compression")
    if max(file.size, file.packed) > limit:
        problem = f"too large (expected at most {limit:,} bytes, got {file.size:,})"
        raise ZippedFileError(problem, is_too_large=True)
    try:
        stream.seek(file.offset)
        magic, *_, name, extra = _LOCAL.unpack(stream.read(_LOCAL.size))
        stream.seek(name + extra, 1)
        data = stream.read(file.packed)
        if file.method == _DEFLATED:
            data = isal_zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, file.size + 1)
    except (struct.error, _ISAL_ERROR, OverflowError, ValueError):
        raise ZippedFileError("damaged in the archive") from None
    if magic != b"PK\3\4" or len(data) != file.size or zlib.crc32(data) != file.crc:
        raise ZippedFileError("damaged in the archive")
    return data


def _find_list(stream: IO[bytes], subject: str) -> tuple[int, int]:
    """Return the offset and the size of the list of files in bytes."""
    total = stream.seek(0, 2)
    tail_start = max(total - _END.size - _MAX_COMMENT, 0)
    stream.seek(tail_start)
    tail = stream.read(_END.size + _MAX_COMMENT)
    found = tail.rfind(b"PK\5\6")
    if found < 0 or found + _END.size > len(tail):
        stream.seek(0)
        if stream.read(2) != b"PK":
            raise UnexpectedFileError(subject, "not a zip archive", "a zip archive of OSV records")
        raise MalformedError(f"{subject}: the end of the archive is missing")
    *_, length, start, _ = _END.unpack_from(tail, found)
    end = tail_start + found
    if _UNSET in (length, start):
        try:
            stream.seek(max(end - _END64_LOCATOR.size, 0))
            _, _, end, _ = _END64_LOCATOR.unpack(stream.read(_END64_LOCATOR.size))
            stream.seek(min(end, total))
            magic, *_, length, start = _END64.unpack(stream.read(_END64.size))
        except struct.error:
            magic = b""
        if magic != b"PK\6\6":
            raise MalformedError(f"{subject}: the end of the archive is damaged")
    if start + length > end:
        raise MalformedError(f"{subject}: the list of files is truncated")
    return start, length


def _read_wide(extra: bytes) -> Iterator[int]:
    """Yield the numbers of 64 bits that replace those that do not fit into 32."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, position)
        position += 4
        if kind == 1:
            for start in range(position, min(position + length, len(extra)) - 7, 8):
                yield struct.unpack_from("<Q", extra, start)[0]
        position += length
