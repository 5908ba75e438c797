"""Read the tar of a layer as a stream, and optionally record everything except file contents.

The tar can be reproduced byte for byte from the recorded bytes and the files. Names are not checked
here: they are untrusted until ``member_names`` has parsed them.
"""

from __future__ import annotations

import os
import stat
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.content.archives import tar_header
from bundler.content.archives.tar_header import BLOCK
from bundler.content.streams import new_buffer, read_chunks
from bundler.errors import LimitError, MalformedError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from bundler.content.archives.tar_split import SplitWriter
    from bundler.content.streams import Reader

MAX_ENTRIES = 2_000_000
_MAX_EXTENSION = 4 * 1024 * 1024
_MAX_NAME = 4096
_MAX_MODE = _MAX_DEVICE = 2**31 - 1
_MAX_ID = 2**32 - 2  # chown treats the next number as "leave unchanged"
_MAX_SECONDS = 2**33  # approximate maximum time of common file systems
_XATTR = "SCHILY.xattr."
_GNU_SPARSE = ord("S")

_FORMATS = {
    **dict.fromkeys(tar_header.REGULAR_FILES, stat.S_IFREG),
    tar_header.HARD_LINK: 0,
    tar_header.SYMBOLIC_LINK: stat.S_IFLNK,
    ord("3"): stat.S_IFCHR,
    ord("4"): stat.S_IFBLK,
    tar_header.DIRECTORY: stat.S_IFDIR,
    ord("6"): stat.S_IFIFO,
}


@dataclass(frozen=True, slots=True)
class TarEntry:
    """A member of a layer. Times are in nanoseconds since 1970."""

    name: str
    """The name as in the tar; non-UTF-8 bytes are decoded with surrogateescape."""
    format: int
    """The file type as in ``stat``; 0 for a hard link to ``target``."""
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int = 0
    target: str = ""
    """The target of a link."""
    device: int = 0
    xattrs: Mapping[str, bytes] = field(default_factory=dict, hash=False)
    written_mode: int = 0
    """The mode as in the tar, which may include the file type."""
    atime: int | None = None
    ctime: int | None = None


class TarEntries:
    """Iterator over the members of a tar, which also passes the stream to ``recorder``.

    For each entry with a size, ``content`` or ``chunks`` must be called once before the next entry
    is requested. ``recorder`` is None if the tar need not be reproduced. ``subject`` is the layer's
    name in messages. For one thread.
    """

    def __init__(self, stream: Reader, recorder: SplitWriter | None, subject: str) -> None:
        self._stream = stream
        self._recorder = recorder
        self._subject = subject
        self._member = subject
        """The current member, for messages."""
        self._buffer = new_buffer()
        self._extended: dict[str, bytes] = {}
        """Records of the extended headers that precede the current member."""
        self._extended_size = 0
        """The total size of these headers in bytes."""
        self._unread = 0
        self._padding = 0

    def __iter__(self) -> Iterator[TarEntry]:
        """Iterate over the members in their order.

        Raises:
            MalformedError: the stream is not a tar, or is truncated.
            LimitError: there are too many members, or a name is too long.
            UnsupportedError: a member has a type that cannot be stored.
        """
        count = 0
        while block := self._read_header():
            typeflag = block[156]
            if typeflag == tar_header.GLOBAL_PAX:  # contains no metadata that is stored
                self._read_extension(block)
            elif typeflag == tar_header.PAX:
                records = dict(tar_header.parse_pax(self._read_extension(block), self._member))
                self._extended |= records
                if any("\0" in key for key in records):
                    raise MalformedError(f"{self._member}: malformed extended header")
                if len(self._extended) > tar_header.MAX_RECORDS:
                    raise LimitError(f"{self._member}: too many records in extended headers")
            elif typeflag in (tar_header.LONG_NAME, tar_header.LONG_LINK):
                key = "path" if typeflag == tar_header.LONG_NAME else "linkpath"
                self._extended[key] = self._read_extension(block).partition(b"\0")[0]
            else:
                count += 1
                if count > MAX_ENTRIES:
                    raise LimitError(
                        f"{self._subject}: more than the {MAX_ENTRIES:,} members allowed"
                    )
                entry = self._create_entry(block, typeflag)
                self._extended, self._extended_size = {}, 0
                self._unread, self._padding = entry.size, -entry.size % BLOCK
                yield entry
                if self._unread:
                    raise RuntimeError("the content of a member was not read")
        if self._extended:
            raise MalformedError(f"{self._subject}: truncated archive after an extended header")
        for chunk in read_chunks(self._stream):
            self._record(chunk)

    def content(self, name: str, write: Callable[[memoryview], None]) -> None:
        """Pass the content of the current entry to ``write``."""
        for chunk in self.chunks(name):
            write(chunk)

    def chunks(self, name: str) -> Iterator[memoryview]:
        """Yield the content of the current entry; each chunk is valid until the next one."""
        recorder = self._recorder
        recording = recorder.start_file(name, self._unread) if recorder else nullcontext()
        with recording as record:
            while self._unread:
                count = self._stream.readinto(self._buffer[: self._unread])
                if not count:
                    raise MalformedError(f"{self._member}: truncated archive")
                if record is not None:
                    record(self._buffer[:count])
                self._unread -= count
                yield self._buffer[:count]
        self._record(self._read_exactly(self._padding))

    def _record(self, data: bytes | memoryview) -> None:
        """Record bytes that are not the content of a member."""
        if self._recorder is not None:
            self._recorder.write_raw(data)

    def _read_header(self) -> bytes | None:
        """Read and record a header; None at the end of the archive."""
        block = self._read_up_to(BLOCK)
        if not block:
            return None  # some programs omit the end-of-archive blocks
        if len(block) < BLOCK:
            raise MalformedError(f"{self._subject}: truncated archive")
        self._record(block)
        if not any(block):
            return None
        name = block[:100].partition(b"\0")[0].decode("utf-8", "replace")
        self._member = f"{self._subject}: {name!r}"
        tar_header.verify_checksum(block, self._member)
        return block

    def _read_extension(self, block: bytes) -> bytes:
        """Read the content of an extended header."""
        size = tar_header.read_size(block, self._member)
        self._extended_size += size
        if self._extended_size > _MAX_EXTENSION:
            raise LimitError(
                f"{self._member}: extended headers too large ({self._extended_size:,} bytes)"
            )
        data = self._read_exactly(tar_header.padded(size))
        self._record(data)
        return data[:size]

    def _create_entry(self, block: bytes, typeflag: int) -> TarEntry:
        extended = self._extended
        name = extended.get("path") or tar_header.read_name(block)
        target = extended.get("linkpath") or tar_header.read_link(block)
        longest = max(len(name), len(target))
        if longest > _MAX_NAME or b"\0" in name + target:
            raise LimitError(f"{self._member}: name too long ({longest:,} bytes)")
        if typeflag == _GNU_SPARSE or any(map(tar_header.is_sparse, extended)):
            raise UnsupportedError(f"{self._member}: sparse members are not supported")
        if typeflag not in _FORMATS:
            raise UnsupportedError(f"{self._member}: unsupported type {chr(typeflag)!r}")
        file_type = _FORMATS[typeflag]
        if typeflag == 0 and name.endswith(b"/"):
            file_type = stat.S_IFDIR
        mode = self._read_number(block[100:108], _MAX_MODE)
        device = size = 0
        if file_type in (stat.S_IFCHR, stat.S_IFBLK):
            major = self._read_number(block[329:337], _MAX_DEVICE)
            device = os.makedev(major, self._read_number(block[337:345], _MAX_DEVICE))
        elif file_type == stat.S_IFREG:
            size = self._read_number(block[124:136], tar_header.MAX_NUMBER, "size")
        gnu_times = block if block[257:265] == b"ustar  \0" else bytes(BLOCK)
        return TarEntry(
            name=os.fsdecode(name),
            format=file_type,
            mode=stat.S_IMODE(mode),
            uid=self._read_number(block[108:116], _MAX_ID, "uid"),
            gid=self._read_number(block[116:124], _MAX_ID, "gid"),
            mtime=self._read_time(block[136:148], "mtime") or 0,
            size=size,
            target=os.fsdecode(target),
            device=device,
            xattrs={
                key.removeprefix(_XATTR): value
                for key, value in extended.items()
                if key.startswith(_XATTR)
            },
            written_mode=mode,
            atime=self._read_time(gnu_times[345:357], "atime"),
            ctime=self._read_time(gnu_times[357:369], "ctime"),
        )

    def _read_number(self, octal: bytes, limit: int, key: str | None = None) -> int:
        """Read a number from the extended header if present, else from the ustar field."""
        digits = self._extended.get(key) if key else None
        if digits is None:
            number = tar_header.parse_number(octal, self._member)
        elif digits.isdigit() and len(digits) <= 18:
            number = int(digits)
        else:
            raise MalformedError(f"{self._member}: {digits[:40]!r} is not a valid {key}")
        if number > limit:
            raise MalformedError(f"{self._member}: number in the header out of range")
        return number

    def _read_time(self, octal: bytes, key: str) -> int | None:
        """Read a time in nanoseconds like ``_read_number``; None if neither header contains one."""
        decimal = self._extended.get(key)
        if decimal is None:
            if not octal[0] and key != "mtime":
                return None
            return min(tar_header.parse_number(octal, self._member), _MAX_SECONDS) * 10**9
        sign = -1 if decimal.startswith(b"-") else 1
        whole, _, fraction = decimal.removeprefix(b"-").partition(b".")
        if not (whole.isdigit() and len(whole) <= 18 and (fraction.isdigit() or not fraction)):
            raise MalformedError(f"{self._member}: {decimal[:40]!r} is not a valid time")
        nanoseconds = int(fraction[:9].ljust(9, b"0"))
        return sign * (min(int(whole), _MAX_SECONDS) * 10**9 + nanoseconds)

    def _read_exactly(self, size: int) -> bytes:
        data = self._read_up_to(size)
        if len(data) < size:
            raise MalformedError(f"{self._member}: truncated archive")
        return data

    def _read_up_to(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size and (chunk := self._stream.read(size - len(data))):
            data += chunk
        return bytes(data)
