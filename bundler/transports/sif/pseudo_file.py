"""Read the pseudo files of ``unsquashfs``: a line for each file, then the contents of all files.

A file with several names has its metadata in the line of its first name; the lines of the other
names contain only that name. Extended attributes have lines of their own, after the line of their
file; versions before 4.6 do not write them. No name is ever used as a path.

unsquashfs(1) of squashfs-tools 4.5 and 4.6: pseudo files
"""

from __future__ import annotations

import os
import re
import tarfile
from typing import TYPE_CHECKING

from bundler.content.files.safe_directory import FileSlice
from bundler.errors import LimitError, MalformedError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.content.files.safe_directory import RegularFile
    from bundler.content.streams import Reader

_END_OF_LINES = b"# START OF DATA - DO NOT MODIFY\n"
_START_OF_DATA = _END_OF_LINES + b"#\n"
_MAX_LINES = 1_000_000
_MAX_LINE = 512 * 1024  # an extended attribute of 64 KiB, each byte as an octal number
_MAX_LINKED = 16 * 1024 * 1024
"""Maximum total length of the names that hard links refer to, which are kept in memory."""
_LINE = re.compile(
    rb"(?P<name>(?:[^\\ ]|\\.)+) (?P<type>[DRSLCBIFx])"
    rb"(?: (?P<time>-?\d+) (?P<mode>[0-7]+) (?P<uid>\d+) (?P<gid>\d+))?(?: (?P<rest>.*))?",
    re.DOTALL,
)
_HARD_LINK, _SOCKET, _ATTRIBUTE = b"L", b"I", b"x"
_NO_METADATA = (_HARD_LINK, _ATTRIBUTE)
_TYPES = {
    b"D": tarfile.DIRTYPE,
    b"R": tarfile.REGTYPE,
    b"S": tarfile.SYMTYPE,
    b"L": tarfile.LNKTYPE,
    b"C": tarfile.CHRTYPE,
    b"B": tarfile.BLKTYPE,
    b"I": tarfile.FIFOTYPE,
}


class PseudoFile:
    """Reader of the pseudo file ``file``, which the caller closes; ``subject`` is for messages."""

    def __init__(self, file: RegularFile, subject: str) -> None:
        self._file = file
        self._subject = subject
        self.sockets = 0
        """The number of sockets so far, which ``read_members`` skips."""
        self.has_attributes = False
        """Whether any file so far has extended attributes."""

    def read_members(self) -> Iterator[tuple[tarfile.TarInfo, Reader]]:
        """Yield the tar header and the content of each file, in order.

        Raises:
            LimitError: there are too many files.
            MalformedError: the pseudo file is damaged.
            UnsupportedError: a file has a name or a type that is not supported.
        """
        start, linked = self._scan()
        member: tarfile.TarInfo | None = None
        offset = 0
        for line in self._read_lines():
            if line.startswith(b"#"):
                continue
            fields = self._parse_line(line)
            if fields["type"] == _ATTRIBUTE:
                if member is not None:
                    name, _, value = (fields["rest"] or b"").partition(b"=")
                    if value.startswith(b"0t"):
                        octal = re.compile(rb"\\([0-7]{3})")
                        value = octal.sub(lambda found: bytes([int(found[1], 8) & 0xFF]), value[2:])
                    self.has_attributes = True
                    key = f"SCHILY.xattr.{os.fsdecode(name)}"
                    member.pax_headers = {**member.pax_headers, key: os.fsdecode(value)}
                continue
            if member is not None:
                yield member, self._open_content(member, start + offset)
            member, offset = self._create_member(fields, linked)
        if member is not None:
            yield member, self._open_content(member, start + offset)

    def _scan(self) -> tuple[int, dict[bytes, tarfile.TarInfo | None]]:
        """Return the position of the contents, and the names that hard links refer to."""
        start = len(_START_OF_DATA)
        linked: dict[bytes, tarfile.TarInfo | None] = {}
        size = 0
        for line in self._read_lines():
            start += len(line)
            if not line.startswith(b"#"):
                fields = self._parse_line(line)
                target = fields["rest"] or b""
                if fields["type"] == _HARD_LINK and target not in linked:
                    linked[target] = None
                    size += len(target)
                    if size > _MAX_LINKED:
                        raise LimitError(
                            f"{self._subject}: the names of files with hard links have more than"
                            f" {_MAX_LINKED:,} bytes"
                        )
        return start, linked

    def _read_lines(self) -> Iterator[bytes]:
        """Read all lines before the contents of the files."""
        with os.fdopen(os.dup(self._file.fileno()), "rb") as file:
            file.seek(0)
            for _ in range(_MAX_LINES):
                line = file.readline(_MAX_LINE)
                if not line.endswith(b"\n"):
                    raise MalformedError(f"{self._subject}: truncated in the file list")
                if line == _END_OF_LINES:
                    return
                yield line
        raise LimitError(f"{self._subject}: more than {_MAX_LINES:,} files")

    def _parse_line(self, line: bytes) -> re.Match[bytes]:
        found = _LINE.fullmatch(line[:-1])
        if found is None or (found["mode"] is None and found["type"] not in _NO_METADATA):
            raise UnsupportedError(
                f"{self._subject}: unsupported file or file name: {line[:80]!r}",
                hint="rebuild the image without line breaks in names",
            )
        return found

    def _create_member(
        self, fields: re.Match[bytes], linked: dict[bytes, tarfile.TarInfo | None]
    ) -> tuple[tarfile.TarInfo | None, int]:
        """Return the tar header of a file (None for a socket) and the offset of its content.

        Headers of files with several names are stored in ``linked``.
        """
        name = os.fsdecode(re.sub(rb"\\(.)", rb"\1", fields["name"], flags=re.DOTALL))
        member = tarfile.TarInfo("./" if name == "/" else name)
        if name != "/" and ("" in name.split("/") or ".." in name.split("/")):
            raise MalformedError(f"{self._subject}: {name[:80]!r} is not a valid file name")
        member.type = _TYPES[fields["type"]]
        rest = fields["rest"] or b""
        if member.islnk():
            first = linked.get(rest)
            if first is None:
                raise MalformedError(f"{self._subject}: hard link {name[:80]!r} has no target")
            member.linkname = first.name
            member.mode, member.mtime = first.mode, first.mtime
            member.uid, member.gid = first.uid, first.gid
            return member, 0
        member.mode, member.mtime = int(fields["mode"], 8), int(fields["time"])
        member.uid, member.gid = int(fields["uid"]), int(fields["gid"])
        if fields["name"] in linked:
            linked[fields["name"]] = member
        if fields["type"] == _SOCKET and rest == b"s":
            self.sockets += 1
            return None, 0
        numbers = [int(word) for word in rest.split() if word.isdigit()]
        if member.issym():
            member.linkname = os.fsdecode(rest)
        elif member.type in (tarfile.CHRTYPE, tarfile.BLKTYPE) and len(numbers) >= 2:
            # unsquashfs splits device numbers as if minor numbers had 8 bits.
            device = numbers[0] << 8 | numbers[1] & 0xFF
            member.devmajor = device >> 8 & 0xFFF
            member.devminor = device & 0xFF | device >> 12 & 0xFFF00
        elif member.isreg() and len(numbers) >= 2:
            member.size = numbers[0]
            return member, numbers[1]
        return member, 0

    def _open_content(self, member: tarfile.TarInfo, position: int) -> Reader:
        if position + member.size > self._file.size:
            raise MalformedError(f"{self._subject}: truncated in the file contents")
        return FileSlice(self._file, position, member.size)
