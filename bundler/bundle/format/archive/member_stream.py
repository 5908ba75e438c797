"""The members of an archive that arrives through a pipe, each read once, in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.format.archive import members
from bundler.bundle.format.archive.members import CUT_HINT, MAX_END, MemberOrder
from bundler.content.archives.tar_header import BLOCK
from bundler.content.streams import BUFFER_SIZE, ChunkedReader, Reader
from bundler.errors import LimitError, MalformedError

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import Self

    from bundler.bundle.format.archive.members import Member

MAX_KEPT = 256 * 1024 * 1024
"""Maximum size in bytes of the members that are kept in memory."""


class GeneratorReader(ChunkedReader):
    """Stream of the bytes of ``chunks``. For one thread."""

    def __init__(self, chunks: Generator[bytes, None, None]) -> None:
        self._chunks = chunks

    def _read_chunk(self) -> bytes:
        return next(self._chunks, b"")


class FileInMemory(ChunkedReader):
    """Stream of a file in memory from ``offset`` on."""

    def __init__(self, data: bytes, offset: int) -> None:
        self.size = len(data)
        self._unread = memoryview(data)[offset:]

    def _read_chunk(self) -> bytes:
        return b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """The content stays in memory."""


class MemberReader(Reader):
    """Stream of the member that arrives now."""

    def __init__(self, archive: MemberStream, member: Member) -> None:
        self.size = self.left = member.size
        self._archive = archive
        self._member = member

    def readinto(self, buffer: memoryview, /) -> int:
        """Read into ``buffer`` and return the number of bytes; 0 at the end.

        Raises:
            MalformedError: the stream ends too early.
            MediumError: it cannot be read.
        """
        room = buffer[: self.left]
        count = self._archive.receive(room) if room else 0
        if room and not count:
            raise self._archive.create_cut_error(self._member.path)
        self.left -= count
        return count

    def skip(self, size: int) -> None:
        """Skip the next ``size`` bytes; raises as ``readinto``."""
        end = max(self.left - size, 0)
        buffer = memoryview(bytearray(min(self.left - end, BUFFER_SIZE)))
        while self.left > end:
            self.readinto(buffer[: self.left - end])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """The stream stays open."""


class MemberStream:
    """The members of an archive that arrives in ``stream``, which the caller closes.

    ``advance`` goes to the next member, whose content is then read by ``open`` or ``read``, or
    skipped by the next ``advance``. For one thread.

    Raises:
        MalformedError: the stream is not an archive of a bundle, or is cut.
        LimitError: it has too many members.
        MediumError: it cannot be read.
    """

    def __init__(self, stream: Reader, location: str) -> None:
        self.location = location
        self._stream = stream
        self._offset = 0
        self._order = MemberOrder(location)
        self._kept = 0
        """The total size of the members that are kept in memory."""
        self._current: tuple[MemberReader, Member] | None = None
        self._next: Member | None = None
        """The member that was put back."""

    def advance(self) -> Member | None:
        """Read the header of the next member, after the rest of the current one; None: the end."""
        if self._current is not None:
            reader, member = self._current
            reader.skip(reader.left)
            self._read_padding(member)
            self._current = None
        found, self._next = self._next, None
        if found is None:
            found = members.read_member(self._read, self._offset, self.location)
            if found is not None:
                self._order.check(found.path)
        if found is not None:
            self._current = MemberReader(self, found), found
        return found

    def put_back(self) -> None:
        """Return the current member, of which nothing was read, with the next ``advance``."""
        assert self._current is not None  # noqa: S101 - it is called after ``advance``
        self._next, self._current = self._current[1], None

    def open(self) -> MemberReader:
        """Return the content of the current member."""
        assert self._current is not None  # noqa: S101 - it is called after ``advance``
        return self._current[0]

    def read(self) -> bytes:
        """Read the current member into memory.

        Raises:
            LimitError: there is too much in memory.
        """
        reader = self.open()
        self.keep(reader.size)
        return reader.read()

    def keep(self, size: int) -> None:
        """Add ``size`` bytes to those that are kept in memory.

        Raises:
            LimitError: there is too much in memory.
        """
        self._kept += size
        if self._kept > MAX_KEPT:
            raise LimitError(f"{self.location}: more than {MAX_KEPT:,} bytes without layers")

    def read_end(self) -> None:
        """Read what follows the last member, up to the end of the stream.

        Raises:
            MalformedError: it is cut, or not the end of an archive.
        """
        rest = self._read(MAX_END + 1)
        if len(rest) < BLOCK or len(rest) > MAX_END or any(rest):
            raise MalformedError(f"{self.location}: wrong data at the end", hint=CUT_HINT)

    def receive(self, buffer: memoryview) -> int:
        """Read the next bytes of the archive into ``buffer``; return 0 at its end."""
        count = self._stream.readinto(buffer)
        self._offset += count
        return count

    def create_cut_error(self, path: str) -> MalformedError:
        """Create the error for a stream that ends within a member."""
        return MalformedError(
            f"{self.location}: cut after {self._offset:,} bytes, in {path}",
            hint="the other side stopped: see its message, and run both commands again",
        )

    def _read_padding(self, member: Member) -> None:
        size = member.end - member.start - member.size
        padding = self._read(size)
        if len(padding) < size:
            raise self.create_cut_error(member.path)
        if any(padding):
            raise MalformedError(f"{self.location}: data after {member.path}")

    def _read(self, size: int) -> bytes:
        """Read ``size`` bytes; fewer only at the end of the stream."""
        data = bytearray()
        while len(data) < size:
            buffer = memoryview(bytearray(min(size - len(data), BUFFER_SIZE)))
            count = self.receive(buffer)
            if not count:
                break
            data += buffer[:count]
        return bytes(data)
