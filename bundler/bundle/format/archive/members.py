"""Read the members of an archive strictly: each header has exactly the bytes that a writer writes.

A header with other bytes is refused, even if tar programs accept it. So no member can be a link, a
device or a sparse file, no extended header can change a name or a size, and every changed bit is
found. Padding is zero.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from bundler.bundle.format.archive.layout import MODE
from bundler.bundle.format.files import bundle_files, bundle_paths
from bundler.content.archives import tar_header
from bundler.content.archives.tar_header import BLOCK, padded
from bundler.content.archives.tar_writer import encode_header
from bundler.content.files.safe_directory import FileSlice
from bundler.errors import LimitError, MalformedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.content.files.safe_directory import RandomAccessFile

MAX_MEMBERS = bundle_files.MAX_ENTRIES
MAX_END = 16 * 1024 * 1024
"""Maximum number of zero bytes at the end, which tapes and dd(1) add."""
COPY_HINT = "copy the archive again"
CUT_HINT = "the copy was interrupted: copy the archive again"

_SECTIONS = (
    {bundle_paths.PLAN},
    {bundle_paths.CONTENTS},
    {bundle_paths.TRUST, bundle_paths.PRESUPPOSED, bundle_paths.SIGNATURES},
    {bundle_paths.BLOBS},
    set[str](),  # all others
    {bundle_paths.INVENTORY},
    set[str](),  # the signatures of the inventory
)
CONTENT, _OTHERS, _LAST = 3, 4, 6


class Member(NamedTuple):
    """A file in an archive; ``start`` is the offset of its content, in bytes."""

    path: str
    start: int
    size: int

    @property
    def end(self) -> int:
        """The offset of the next member."""
        return self.start + padded(self.size)


def read_member(read: Callable[[int], bytes], position: int, subject: str) -> Member | None:
    """Read the header at ``position``; return None at the end of the archive.

    ``read`` returns the next bytes of the archive: fewer than requested only where it ends.

    Raises:
        MalformedError: the archive is cut, or the header is not one of an archive.
    """
    raw = read(BLOCK)
    if len(raw) == BLOCK and not any(raw):
        return None
    needed, length = BLOCK, None
    if raw[156:157] == bytes([tar_header.LONG_NAME]):
        length = tar_header.read_size(raw, subject)
        if length > bundle_paths.MAX_PATH + 1:
            raise MalformedError(f"{subject}: too long a name at byte {position:,}")
        needed += padded(length) + BLOCK
        raw += read(padded(length)) + read(BLOCK)
    if len(raw) < needed:
        raise MalformedError(
            f"{subject}: cut after {position + len(raw):,} bytes, in the header of a member",
            hint=CUT_HINT,
        )
    name = tar_header.read_name(raw) if length is None else raw[BLOCK : BLOCK + length - 1]
    path = name.decode("ascii", "replace")
    is_path, size = bundle_paths.is_path(path), -1
    with suppress(MalformedError):
        size = tar_header.read_size(raw[-BLOCK:], subject)
    if not is_path or size < 0 or encode_header(path, size, MODE) != raw:
        raise MalformedError(
            f"{subject}: the header of {path if is_path else 'a member'} at byte {position:,} is"
            " damaged, or not one of an archive of a bundle",
            hint=COPY_HINT,
        )
    return Member(path, position + len(raw), size)


class MemberOrder:
    """Check of the names of members in their order."""

    def __init__(self, subject: str) -> None:
        self._subject = subject
        self._section = -1
        self._folded: set[str] = set()

    def check(self, path: str) -> None:
        """Check the name of the next member.

        Raises:
            MalformedError: it is out of order, or a duplicate, even with other upper and lower
                case.
            LimitError: there are too many members.
        """
        section = find_section(path)
        if self._section < 0 and section:
            raise MalformedError(
                f"{self._subject}: not an archive of a bundle (expected {bundle_paths.PLAN} at its"
                f" beginning, got {path})"
            )
        if section < self._section:
            raise MalformedError(f"{self._subject}: {path} is out of order")
        self._section = section
        folded = path.casefold()
        if folded in self._folded:
            raise MalformedError(f"{self._subject}: {path} is a duplicate")
        self._folded.add(folded)
        if len(self._folded) > MAX_MEMBERS:
            raise LimitError(
                f"{self._subject}: too many members (expected at most {MAX_MEMBERS:,})"
            )


def find_section(path: str) -> int:
    """Return the position of a file among those of other kinds in an archive, from 0."""
    if bundle_paths.parse_signature_name(path, bundle_paths.PLAN):
        return 0
    if bundle_paths.is_signature(path):
        return _LAST
    top = path.split("/", maxsplit=1)[0]
    return next((number for number, names in enumerate(_SECTIONS) if top in names), _OTHERS)


def index(file: RandomAccessFile, subject: str) -> dict[str, Member]:
    """Return the members of an archive by path, in their order; contents are not read.

    Raises:
        MalformedError: not an archive of a bundle, cut, or with a forbidden, misplaced or repeated
            member, or data between members.
        LimitError: there are too many members.
        MediumError: the file cannot be read.
    """
    members: dict[str, Member] = {}
    order = MemberOrder(subject)
    position = 0
    while True:
        member = read_member(FileSlice(file, position, 3 * BLOCK).read, position, subject)
        if member is None:
            check_end(FileSlice(file, position, MAX_END + 1).read, file.size - position, subject)
            return members
        order.check(member.path)
        if member.end > file.size:
            raise MalformedError(
                f"{subject}: cut after {file.size:,} bytes, in {member.path}", hint=CUT_HINT
            )
        padding = member.start + member.size
        if any(FileSlice(file, padding, member.end - padding).read()):
            raise MalformedError(f"{subject}: data after {member.path}", hint=COPY_HINT)
        members[member.path] = member
        position = member.end


def check_end(read: Callable[[int], bytes], left: int, subject: str) -> None:
    """Check that the ``left`` bytes from the end of the last member on are zero.

    Raises:
        MalformedError: they are not, or too many.
    """
    if left > MAX_END or left < 2 * BLOCK or any(read(left)):
        raise MalformedError(
            f"{subject}: wrong data at its end (expected {2 * BLOCK:,} to {MAX_END:,} zero bytes)",
            hint=COPY_HINT,
        )
