"""Index tar archives strictly, without extracting them.

Headers are read, and contents are skipped. An archive is refused if it contains absolute names,
names with ``..``, devices or sparse files, or if it is ambiguous, so that other programs might read
it differently. Links, repeated members and a missing end are allowed only for archives that other
programs write in this way.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bundler.content.archives import tar_header
from bundler.content.archives.tar_header import BLOCK
from bundler.content.files.safe_directory import FileSlice
from bundler.errors import LimitError, MalformedError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bundler.content.files.safe_directory import RegularFile

MAX_MEMBERS = 200_000
_MAX_EXTENSION = 1024 * 1024
_MAX_NAME = 4096
_MAX_NAMES = 32 * 1024 * 1024
"""Maximum total length of all names, which are kept in memory."""
_MAX_LINKS = 16

_LINKS = (tar_header.HARD_LINK, tar_header.SYMBOLIC_LINK)
_EXTENDED = (tar_header.PAX, tar_header.GLOBAL_PAX, tar_header.LONG_NAME, tar_header.LONG_LINK)
_USED_PAX = ("path", "linkpath", "size")
_IGNORED_PAX = frozenset(
    {"mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment", "hdrcharset", "charset"}
)


@dataclass(frozen=True, slots=True)
class ArchiveMember:
    """A file or a link in an archive."""

    name: str
    """Relative path without ``.`` and ``..``."""
    kind: Literal["file", "link"]
    offset: int
    """Offset of the content in the archive, in bytes."""
    size: int
    target: str = ""
    """For a link: the name of another member."""


def index(
    file: RegularFile,
    *,
    links: bool = False,
    repeated: Literal["first", "last"] | None = None,
) -> dict[str, ArchiveMember]:
    """Return all files and links of an archive by name.

    Args:
        file: an uncompressed archive.
        links: whether links are allowed; ``find`` follows them.
        repeated: which of several members with the same name counts. If set, a missing end is
            allowed as well; if not, both are errors.

    Raises:
        MalformedError: the file is not a tar archive, is truncated, or has a forbidden member.
        LimitError: the archive has too many members, or their names are too long.
    """
    members: dict[str, ArchiveMember] = {}
    length = 0
    subject = str(file.path)
    for header in _read_headers(file, subject, lenient=repeated is not None):
        member = _create_member(header, subject, links=links)
        if member is None:
            continue
        if member.name in members:
            if repeated is None:
                raise MalformedError(f"{subject}: duplicate member {member.name!r}")
            if repeated == "first":
                continue
        if len(members) >= MAX_MEMBERS:
            raise LimitError(f"{subject}: more than the {MAX_MEMBERS:,} members allowed")
        length += len(member.name) + len(member.target)
        if length > _MAX_NAMES:
            raise LimitError(f"{subject}: more than the {_MAX_NAMES:,} characters allowed in names")
        members[member.name] = member
    return members


def find(members: Mapping[str, ArchiveMember], name: str, subject: str) -> ArchiveMember:
    """Find the file called ``name``; links are followed.

    Raises:
        NotFoundError: the file does not exist.
        MalformedError: a link escapes the archive root, or links form a cycle.
    """
    current = normalize_name(name, subject)
    for _ in range(_MAX_LINKS):
        member = members.get(current)
        if member is None:
            raise NotFoundError(f"{subject}: no member {current[:160]!r}")
        if member.kind == "file":
            return member
        current = member.target
    raise MalformedError(
        f"{subject}: too many links at {name[:160]!r} (expected at most {_MAX_LINKS})"
    )


def open_member(file: RegularFile, member: ArchiveMember, offset: int = 0) -> FileSlice:
    """Open the content of a member at ``offset``; ``file`` must remain open."""
    return FileSlice(file, member.offset + offset, member.size - offset)


def normalize_name(name: str, subject: str, *, directory: str = "") -> str:
    """Return the key in the index for ``name``, which is relative to ``directory``.

    Raises:
        MalformedError: the name is absolute, or escapes the archive root.
    """
    joined = posixpath.normpath(posixpath.join(directory, name))
    if not name or name.startswith("/") or "\0" in name or "\\" in name:
        raise MalformedError(f"{subject}: {name[:160]!r} is not a valid member name")
    if joined == ".." or joined.startswith("../"):
        raise MalformedError(f"{subject}: {name[:160]!r} escapes the archive root")
    if not directory and ".." in name.split("/"):
        raise MalformedError(f"{subject}: {name[:160]!r} contains '..'")
    return joined


@dataclass(frozen=True, slots=True)
class _Header:
    """The header of a member, combined with the extended headers before it."""

    name: str
    link: str
    typeflag: int
    offset: int
    size: int


def _read_headers(file: RegularFile, subject: str, *, lenient: bool) -> Iterator[_Header]:
    position = 0
    extended: dict[str, str] = {}
    while True:
        block = FileSlice(file, position, BLOCK).read()
        if lenient and not block and position and not extended:
            return  # the end is missing
        if len(block) < BLOCK:
            raise MalformedError(f"{subject}: truncated archive at byte {position:,}")
        if not any(block):
            if extended:
                raise MalformedError(f"{subject}: truncated archive after an extended header")
            return
        member = f"{subject}: the member at byte {position:,}"
        tar_header.verify_checksum(block, member)
        typeflag = block[156]
        size = tar_header.read_size(block, member)
        position += BLOCK
        if typeflag in _EXTENDED:
            if size > _MAX_EXTENSION:
                raise LimitError(f"{member}: extended header too large ({size:,} bytes)")
            _extend(extended, typeflag, FileSlice(file, position, size).read(), member)
        else:
            if (digits := extended.get("size")) is not None:
                valid = digits.isascii() and digits.isdigit() and len(digits) <= 19
                size = int(digits) if valid else -1
                if not 0 <= size <= tar_header.MAX_NUMBER:
                    raise MalformedError(f"{member}: {digits[:40]!r} is not a valid size")
            name = extended.get("path") or _decode(tar_header.read_name(block), member)
            link = extended.get("linkpath") or _decode(tar_header.read_link(block), member)
            if typeflag in _LINKS or typeflag == tar_header.DIRECTORY:
                size = 0
            yield _Header(name, link, typeflag, position, size)
            extended = {}
        position += tar_header.padded(size)
        if position > file.size:
            raise MalformedError(f"{member}: truncated content")


def _create_member(header: _Header, subject: str, *, links: bool) -> ArchiveMember | None:
    """Return a file or link; None for a directory."""
    if len(header.name) > _MAX_NAME:
        raise LimitError(f"{subject}: name too long ({len(header.name):,} characters)")
    name = normalize_name(header.name, subject)
    is_file = header.typeflag in tar_header.REGULAR_FILES
    if header.typeflag == tar_header.DIRECTORY or (is_file and header.name.endswith("/")):
        return None
    if name == ".":
        raise MalformedError(f"{subject}: {header.name!r} is not a valid file name")
    if is_file:
        return ArchiveMember(name, "file", header.offset, header.size)
    if header.typeflag in _LINKS and links:
        is_hard = header.typeflag == tar_header.HARD_LINK
        directory = "" if is_hard else posixpath.dirname(name)
        target = normalize_name(header.link, subject, directory=directory)
        return ArchiveMember(name, "link", header.offset, 0, target)
    raise MalformedError(
        f"{subject}: {name!r} has an unsupported type "
        f"(expected a file or a directory, got {chr(header.typeflag)!r})"
    )


def _extend(extended: dict[str, str], typeflag: int, data: bytes, member: str) -> None:
    """Add the records of an extended header to ``extended``, which applies to the next member."""
    if typeflag in (tar_header.LONG_NAME, tar_header.LONG_LINK):
        key = "path" if typeflag == tar_header.LONG_NAME else "linkpath"
        records = {key: _decode(data.partition(b"\0")[0], member)}
    else:
        records = {}
        for key, value in tar_header.parse_pax(data, member):
            if key in _USED_PAX and b"\0" in value:
                raise MalformedError(f"{member}: malformed extended header")
            records[key] = _decode(value, member) if key in _USED_PAX else ""
        if typeflag == tar_header.GLOBAL_PAX:
            records = {key: value for key, value in records.items() if key not in _IGNORED_PAX}
            if records:
                raise MalformedError(f"{member}: global header changes {', '.join(records)[:80]}")
    if any(map(tar_header.is_sparse, records)):
        raise MalformedError(f"{member}: sparse files are not supported")
    for key in _USED_PAX:
        if key in records and extended.setdefault(key, records[key]) != records[key]:
            raise MalformedError(f"{member}: conflicting extended headers for {key}")


def _decode(field: bytes, member: str) -> str:
    try:
        return field.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedError(f"{member}: name is not UTF-8") from None
