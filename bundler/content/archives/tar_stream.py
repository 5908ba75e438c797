"""Read a layer's tar as it streams by, and keep all that is not a file's content.

What is kept makes it possible to give the same tar back later, byte for byte. Names are not judged
here: they are bytes of whoever made the layer until a ``ImageTree`` has looked at them.

POSIX.1-2017 pax (ustar and extended headers) and GNU's long names.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from bundler.content.archives import tar_index
from bundler.content.streams.reader import BUFFER_SIZE
from bundler.errors import LimitError, MalformedError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from bundler.content.streams.reader import Reader

MAX_ENTRIES = 2_000_000
_MAX_EXTENSION = 4 * 1024 * 1024
_MAX_NAME = 4096
_XATTR = "SCHILY.xattr."

_FORMATS = {
    ord("0"): stat.S_IFREG,
    0: stat.S_IFREG,
    ord("7"): stat.S_IFREG,
    ord("2"): stat.S_IFLNK,
    ord("3"): stat.S_IFCHR,
    ord("4"): stat.S_IFBLK,
    ord("5"): stat.S_IFDIR,
    ord("6"): stat.S_IFIFO,
}
_HARD_LINK = ord("1")
_GLOBAL = ord("g")


@dataclass(frozen=True, slots=True)
class Entry:
    """One member of a layer."""

    name: str
    """As it was written; bytes that are not UTF-8 stand as surrogates."""
    format: int
    """As in ``stat``; 0: a hard link to ``target``."""
    mode: int
    uid: int
    gid: int
    mtime: int
    """In nanoseconds since 1970."""
    size: int = 0
    target: str = ""
    """Of a link."""
    device: int = 0
    xattrs: Mapping[str, bytes] = field(default_factory=dict, hash=False)
    written_mode: int = 0
    """The mode as the header has it, which may hold the type too."""
    atime: int | None = None
    """As ``mtime``; None: not said."""
    ctime: int | None = None


class Split(Protocol):
    """Who is given what is no content, and told of each content, as ``SplitWriter``."""

    def raw(self, data: bytes | memoryview, /) -> None:
        """Bytes that are no file's content."""
        ...

    def file(self, name: str, size: int, /) -> AbstractContextManager[Callable[[memoryview], None]]:
        """A file; what this yields is shown its content."""
        ...


class TarEntries:
    """The members of the tar in ``stream``; ``split`` is given everything but contents.

    Iterate, and after each entry with a size call ``content`` once. ``subject`` is the layer's
    name in messages. For one thread.
    """

    def __init__(self, stream: Reader, split: Split, subject: str) -> None:
        self._stream = stream
        self._split = split
        self._what = subject
        self._where = subject
        self._buffer = memoryview(bytearray(BUFFER_SIZE))
        self._unread = 0
        self._padding = 0

    def __iter__(self) -> Iterator[Entry]:
        """The members in their order.

        Raises:
            MalformedError: no tar, or a truncated one.
            LimitError: too many members, or names that are too long.
            UnsupportedError: a member that no storage can keep.
        """
        extended: dict[str, bytes] = {}
        count = 0
        while block := self._header():
            kind = block[156]
            if kind in b"xLK":
                self._extend(extended, kind, self._small(block))
                continue
            if kind == _GLOBAL:  # says nothing that a file system keeps
                self._small(block)
                continue
            count += 1
            if count > MAX_ENTRIES:
                raise LimitError(f"{self._what}: more than the {MAX_ENTRIES:,} members allowed")
            entry = self._entry(block, kind, extended)
            extended = {}
            self._unread, self._padding = entry.size, -entry.size % tar_index.BLOCK
            yield entry
            if self._unread:
                raise RuntimeError("the content of a member was not asked for")
        if extended:
            raise MalformedError(f"{self._what}: the archive ends with half a member")
        while count := self._stream.readinto(self._buffer):
            self._split.raw(self._buffer[:count])

    def content(self, name: str, write: Callable[[memoryview], None]) -> None:
        """Hand the content of the last entry, piece by piece, to ``write``."""
        for piece in self.pieces(name):
            write(piece)

    def pieces(self, name: str) -> Iterator[memoryview]:
        """The content of the last entry; each piece is valid until the next."""
        with self._split.file(name, self._unread) as seen:
            while self._unread:
                count = self._stream.readinto(self._buffer[: self._unread])
                if not count:
                    raise MalformedError(f"{self._where}: the archive ends early")
                seen(self._buffer[:count])
                self._unread -= count
                yield self._buffer[:count]
        self._split.raw(self._exactly(self._padding))

    def _header(self) -> bytes | None:
        """The next header; None: the end, whose first block is kept."""
        block = self._at_most(tar_index.BLOCK)
        if not block:
            return None  # some tools leave the end mark out
        if len(block) < tar_index.BLOCK:
            raise MalformedError(f"{self._what}: the archive ends early")
        self._split.raw(block)
        if not any(block):
            return None
        name = block[:100].partition(b"\0")[0].decode("utf-8", "replace")
        self._where = f"{self._what}: {name!r}"
        tar_index.check_sum(block, self._where)
        return block

    def _small(self, block: bytes) -> bytes:
        """The content of an extended header."""
        size = tar_index.number(block[124:136], self._where)
        if size > _MAX_EXTENSION:
            raise LimitError(f"{self._where}: an extended header of {size:,} bytes")
        data = self._exactly(size + -size % tar_index.BLOCK)
        self._split.raw(data)
        return data[:size]

    def _extend(self, extended: dict[str, bytes], kind: int, data: bytes) -> None:
        if kind == ord("x"):
            extended.update(tar_index.records(data, self._where))
            if any("\0" in key for key in extended):
                raise MalformedError(f"{self._where}: its extended header is damaged")
        else:
            key = "path" if kind == ord("L") else "linkpath"
            extended[key] = data.partition(b"\0")[0]

    def _entry(self, block: bytes, kind: int, extended: Mapping[str, bytes]) -> Entry:
        name = extended.get("path") or _name(block)
        target = extended.get("linkpath") or block[157:257].partition(b"\0")[0]
        if max(len(name), len(target)) > _MAX_NAME or b"\0" in name + target:
            raise LimitError(f"{self._where}: a name of {max(len(name), len(target)):,} bytes")
        if kind == ord("S") or any(key.startswith("GNU.sparse.") for key in extended):
            raise UnsupportedError(f"{self._where}: sparse members are not supported")
        if kind != _HARD_LINK and kind not in _FORMATS:
            raise UnsupportedError(f"{self._where}: a member of the type {chr(kind)!r}")
        kept = 0 if kind == _HARD_LINK else _FORMATS[kind]
        if kind == 0 and name.endswith(b"/"):
            kept = stat.S_IFDIR
        mode = self._number(block, 100, 108)
        device = 0
        if kept in (stat.S_IFCHR, stat.S_IFBLK):
            device = os.makedev(self._number(block, 329, 337), self._number(block, 337, 345))
        return Entry(
            name=os.fsdecode(name),
            format=kept,
            mode=stat.S_IMODE(mode),
            uid=self._held(self._said(extended, "uid", block[108:116]), _MAX_ID),
            gid=self._held(self._said(extended, "gid", block[116:124]), _MAX_ID),
            mtime=self._time(extended.get("mtime"), block[136:148]),
            size=self._said(extended, "size", block[124:136]) if kept == stat.S_IFREG else 0,
            target=os.fsdecode(target),
            device=device,
            xattrs={
                key.removeprefix(_XATTR): value
                for key, value in extended.items()
                if key.startswith(_XATTR)
            },
            written_mode=mode,
            atime=self._other_time(extended.get("atime"), block, 345),
            ctime=self._other_time(extended.get("ctime"), block, 357),
        )

    def _number(self, block: bytes, start: int, end: int) -> int:
        return self._held(tar_index.number(block[start:end], self._where), _MAX_NUMBER)

    def _held(self, number: int, most: int) -> int:
        if number > most:
            raise MalformedError(f"{self._where}: a number in its header is out of range")
        return number

    def _said(self, extended: Mapping[str, bytes], key: str, octal: bytes) -> int:
        digits = extended.get(key)
        if digits is None:
            return tar_index.number(octal, self._where)
        if not digits.isdigit() or len(digits) > 18:
            raise MalformedError(f"{self._where}: {digits[:40]!r} is no {key}")
        return int(digits)

    def _time(self, decimal: bytes | None, octal: bytes) -> int:
        if decimal is None:
            return min(tar_index.number(octal, self._where), _LATEST) * 10**9
        sign = -1 if decimal.startswith(b"-") else 1
        whole, _, fraction = decimal.removeprefix(b"-").partition(b".")
        if not (whole.isdigit() and len(whole) <= 18 and (fraction.isdigit() or not fraction)):
            raise MalformedError(f"{self._where}: {decimal[:40]!r} is no time")
        return sign * (min(int(whole), _LATEST) * 10**9 + int(fraction[:9].ljust(9, b"0")))

    def _other_time(self, decimal: bytes | None, block: bytes, place: int) -> int | None:
        """A time that pax may say, or else the old form of GNU's headers at ``place``."""
        octal = block[place : place + 12] if block[257:265] == b"ustar  \0" else b"\0"
        return self._time(decimal, octal) if decimal is not None or octal[0] else None

    def _exactly(self, size: int) -> bytes:
        data = self._at_most(size)
        if len(data) < size:
            raise MalformedError(f"{self._where}: the archive ends early")
        return data

    def _at_most(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size and (chunk := self._stream.read(size - len(data))):
            data += chunk
        return bytes(data)


_MAX_NUMBER = 2**31 - 1  # of a mode, or of a part of a device's number
_MAX_ID = 2**32 - 2  # the next one means none to chown
_LATEST = 2**33  # seconds; what file systems can keep ends about there


def _name(block: bytes) -> bytes:
    name = block[:100].partition(b"\0")[0]
    prefix = block[345:500].partition(b"\0")[0] if block[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name
