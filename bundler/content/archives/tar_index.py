"""Read tar archives strictly: where each member lies, never what its name would do to a disk.

Headers are read, members are skipped, nothing is extracted. What an archive should not hold
(absolute and parent names, devices, sparse files, two members of one name) is refused rather than
interpreted; so is anything after which another reader might see another archive.

POSIX.1-2017 pax (ustar and extended headers) and GNU's long names.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bundler.content.files.safe_directory import FileSlice
from bundler.errors import LimitError, MalformedError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bundler.content.files.safe_directory import RegularFile

MAX_MEMBERS = 200_000
BLOCK = 512
_MAX_EXTENSION = 1024 * 1024
_MAX_NAME = 4096
_MAX_HOPS = 16
_MAX_SIZE = 2**62

_FILES = frozenset(b"0\0007")
_DIRECTORY = ord("5")
_LINKS = {ord("1"): "hard", ord("2"): "symbolic"}
_IGNORED_PAX = frozenset(
    {"mtime", "atime", "ctime", "uid", "gid", "uname", "gname", "comment", "hdrcharset", "charset"}
)


@dataclass(frozen=True, slots=True)
class Member:
    """A file or a link in an archive; directories are not kept."""

    name: str
    """Relative, with slashes, without ``.`` and ``..``."""
    kind: Literal["file", "link"]
    offset: int
    """Where its content begins in the archive."""
    size: int
    target: str = ""
    """Of a link: the name of another member."""


def index(file: RegularFile, *, links: bool = False) -> dict[str, Member]:
    """All members of the archive ``file`` by their names.

    Args:
        file: an uncompressed archive.
        links: whether links are allowed; they are not followed here, see ``find``.

    Raises:
        MalformedError: not an archive, a truncated one, or one that holds what it should not.
        LimitError: too many members.
    """
    members: dict[str, Member] = {}
    subject = str(file.path)
    for header in _headers(file, subject):
        member = _member(header, subject, links=links)
        if member is None:
            continue
        if member.name in members:
            raise MalformedError(f"{subject}: two members are called {member.name!r}")
        if len(members) >= MAX_MEMBERS:
            raise LimitError(f"{subject}: more than the {MAX_MEMBERS:,} members allowed")
        members[member.name] = member
    return members


def find(members: Mapping[str, Member], name: str, subject: str) -> Member:
    """The file that ``name`` is, or leads to by links.

    Raises:
        NotFoundError: there is none.
        MalformedError: a link leads out of the archive, or in a circle.
    """
    current = normal(name, subject)
    for _ in range(_MAX_HOPS):
        member = members.get(current)
        if member is None:
            raise NotFoundError(f"{subject}: it has no member {current[:160]!r}")
        if member.kind == "file":
            return member
        current = member.target
    raise MalformedError(f"{subject}: the links of {name[:160]!r} lead nowhere")


def open_member(file: RegularFile, member: Member, offset: int = 0) -> FileSlice:
    """The content of a file in the archive, from ``offset`` on; ``file`` must stay open."""
    return FileSlice(file, member.offset + offset, member.size - offset)


def normal(name: str, subject: str, *, below: str = "") -> str:
    """``name`` as members are kept; relative to the directory ``below``.

    Raises:
        MalformedError: it is absolute, or leads out of the archive.
    """
    joined = posixpath.normpath(posixpath.join(below, name))
    if not name or name.startswith("/") or "\0" in name or "\\" in name:
        raise MalformedError(f"{subject}: {name[:160]!r} is not the name of a member")
    if joined == ".." or joined.startswith("../"):
        raise MalformedError(f"{subject}: {name[:160]!r} leads out of the archive")
    if not below and ".." in name.split("/"):
        raise MalformedError(f"{subject}: {name[:160]!r} has a parent directory in it")
    return joined


def check_sum(block: bytes, where: str) -> None:
    """Return if a header is whole.

    It holds the sum of its bytes, with that field as blanks; old tools added signed bytes.

    Raises:
        MalformedError: another sum.
    """
    told = block[148:156].strip(b" \0").lstrip(b"0")
    counted = block[:148] + b" " * 8 + block[156:]
    signed = sum(counted) - 256 * sum(byte >= 128 for byte in counted)
    if told not in [b"%o" % total for total in (sum(counted), signed)]:
        raise MalformedError(f"{where}: its header is damaged, or this is no tar archive")


def number(field: bytes, where: str) -> int:
    """A header's number: octal digits, or GNU's binary form for what these cannot hold.

    Raises:
        MalformedError: no number, or one out of range.
    """
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if field[0] == 0xFF or value > _MAX_SIZE:
            raise MalformedError(f"{where}: a number in its header is out of range")
        return value
    digits = field.strip(b" \0")
    if not digits:
        return 0
    if not all(byte in b"01234567" for byte in digits):
        raise MalformedError(f"{where}: a number in its header is none")
    return int(digits, 8)


def records(data: bytes, where: str) -> Iterator[tuple[str, bytes]]:
    """The keys and values of an extended header.

    ``LENGTH KEY=VALUE`` and a line feed each, the length counting all of it.

    Raises:
        MalformedError: it has another form, or a key twice.
    """
    seen: set[str] = set()
    start = 0
    while start < len(data):
        digits, blank, _ = data[start : start + 24].partition(b" ")
        if not blank or not digits.isdigit() or not len(digits) < int(digits) <= len(data) - start:
            raise MalformedError(f"{where}: its extended header is damaged")
        end = start + int(digits)
        record, start = data[start + len(digits) + 1 : end], end
        key, equals, value = record.partition(b"=")
        name = key.decode("utf-8", "replace")
        if not equals or not value.endswith(b"\n") or name in seen:
            raise MalformedError(f"{where}: its extended header is damaged")
        seen.add(name)
        yield name, value[:-1]


@dataclass(frozen=True, slots=True)
class _Header:
    """A member's header, with what extended headers said before it."""

    name: str
    link: str
    kind: int
    offset: int
    size: int


def _headers(file: RegularFile, subject: str) -> Iterator[_Header]:
    position = 0
    extended: dict[str, str] = {}
    while True:
        block = FileSlice(file, position, BLOCK).read()
        if len(block) < BLOCK:
            raise MalformedError(f"{subject}: the archive ends early, at byte {position:,}")
        if not any(block):
            if extended:
                raise MalformedError(f"{subject}: the archive ends with half a member")
            return
        where = f"{subject}: the member at byte {position:,}"
        check_sum(block, where)
        kind = block[156]
        size = number(block[124:136], where)
        position += BLOCK
        if kind in b"xgLK":
            if size > _MAX_EXTENSION:
                raise LimitError(f"{where}: an extended header of {size:,} bytes")
            _extend(extended, kind, FileSlice(file, position, size).read(), where)
        else:
            size = _size(size, extended, where)
            name = extended.get("path") or _name(block, where)
            link = extended.get("linkpath") or _text(block[157:257], where)
            if kind in _LINKS or kind == _DIRECTORY:
                size = 0
            yield _Header(name, link, kind, position, size)
            extended = {}
        position += -(-size // BLOCK) * BLOCK
        if position > file.size:
            raise MalformedError(f"{where}: it ends behind the archive's end")


def _member(header: _Header, subject: str, *, links: bool) -> Member | None:
    if len(header.name) > _MAX_NAME:
        raise LimitError(f"{subject}: a name of {len(header.name):,} characters")
    name = normal(header.name, subject)
    if header.kind == _DIRECTORY or (header.kind in _FILES and header.name.endswith("/")):
        return None
    if name == ".":
        raise MalformedError(f"{subject}: {header.name!r} is not the name of a file")
    if header.kind in _FILES:
        return Member(name, "file", header.offset, header.size)
    if header.kind in _LINKS and links:
        below = "" if _LINKS[header.kind] == "hard" else posixpath.dirname(name)
        return Member(name, "link", header.offset, 0, normal(header.link, subject, below=below))
    raise MalformedError(
        f"{subject}: {name!r} is neither a file nor a directory (type {chr(header.kind)!r})"
    )


def _name(block: bytes, where: str) -> str:
    name = _text(block[:100], where)
    prefix = _text(block[345:500], where) if block[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes, where: str) -> str:
    try:
        return field.partition(b"\0")[0].decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedError(f"{where}: a name that is not UTF-8") from None


def _size(size: int, extended: Mapping[str, str], where: str) -> int:
    text = extended.get("size")
    if text is None:
        return size
    if not (text.isascii() and text.isdigit() and len(text) <= 19) or int(text) > _MAX_SIZE:
        raise MalformedError(f"{where}: {text[:40]!r} is not a size")
    return int(text)


def _extend(extended: dict[str, str], kind: int, data: bytes, where: str) -> None:
    """Add what an extended header says of the next member to ``extended``."""
    if kind in b"LK":
        said = {"path" if kind == ord("L") else "linkpath": _text(data, where)}
    else:
        said = dict(_said(data, where))
        if kind == ord("g"):
            said = {key: value for key, value in said.items() if key not in _IGNORED_PAX}
            if said:
                raise MalformedError(f"{where}: a global header changes {', '.join(said)[:80]}")
    if any(key.startswith("GNU.sparse.") for key in said):
        raise MalformedError(f"{where}: sparse files are not supported")
    for key in ("path", "linkpath", "size"):
        if key in said and extended.setdefault(key, said[key]) != said[key]:
            raise MalformedError(f"{where}: two extended headers disagree on its {key}")


def _said(data: bytes, where: str) -> Iterator[tuple[str, str]]:
    """The records of an extended header, with the values of those that change what is read."""
    for name, value in records(data, where):
        if name not in ("path", "linkpath", "size"):
            yield name, ""
        elif b"\0" in value:
            raise MalformedError(f"{where}: its extended header is damaged")
        else:
            yield name, _text(value, where)
