"""Packages of Rust, from the list that cargo-auditable adds to programs.

https://github.com/rust-secure-code/cargo-auditable/blob/master/PARSING.md
"""

from __future__ import annotations

import json
import struct
import zlib
from typing import IO, TYPE_CHECKING

from bundler.bundle.audit.packages.found_file import Detector, PackageFileError
from bundler.bundle.audit.packages.package import Package

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.audit.packages.found_file import FoundFile

SECTION = b".dep-v0\0"
MAX_FILE = 2 * 1024**3
MAX_SIZE = 4 * 1024 * 1024
_MAX_SECTIONS = 10_000
_MAX_ENTRY = 256  # bytes of the section table for one section
_MAX_NAMES = 1024 * 1024
# Of the header of a file: offset of the section table, size of an entry, number, index of names.
_HEADERS = {1: ("<32xI10xHHH", "<I12xII"), 2: ("<40xQ10xHHH", "<I20xQQ")}


def parse(file: FoundFile) -> Iterator[Package]:
    """Yield the packages that a program contains; not those that only its build used.

    Raises:
        PackageFileError: the list is malformed or too large.
    """
    with file.spool(MAX_FILE) as stream:
        packed = _read_section(stream, file.size)
    if packed is None:
        return
    unpacker = zlib.decompressobj()
    try:
        raw = unpacker.decompress(packed, MAX_SIZE)
        if not unpacker.eof:
            raise PackageFileError("the list is truncated, or too large", "package-file-too-large")
        items = json.loads(raw)["packages"]
        found = [
            (str(item["name"]), str(item["version"]))
            for item in items
            if item.get("kind", "runtime") == "runtime"
        ]
    except (
        zlib.error,
        ValueError,
        RecursionError,
        LookupError,
        TypeError,
        AttributeError,
    ) as error:
        raise PackageFileError("malformed list of packages") from error
    for name, version in found:
        yield Package(type="cargo", name=name, version=version, path=file.path, layer=file.layer)


def _read_section(stream: IO[bytes], file_size: int) -> bytes | None:
    """Return the section of an ELF file of ``file_size`` bytes; None if there is none."""

    def read(offset: int, size: int) -> bytes:
        stream.seek(min(offset, file_size))  # an offset may exceed that of any file
        return stream.read(size)

    head = stream.read(64)
    forms = _HEADERS.get(head[4]) if len(head) == 64 and head[5] == 1 else None
    if forms is None:
        return None
    offset, entry_size, number, names_index = struct.unpack_from(forms[0], head)
    if number > _MAX_SECTIONS or names_index >= number:
        return None
    if not struct.calcsize(forms[1]) <= entry_size <= _MAX_ENTRY:
        return None
    table = read(offset, entry_size * number)
    if len(table) < entry_size * number:
        return None
    sections = [struct.unpack_from(forms[1], table, entry_size * index) for index in range(number)]
    _, offset, size = sections[names_index]
    names = read(offset, min(size, _MAX_NAMES))
    for name, offset, size in sections:
        if names[name : name + len(SECTION)] == SECTION:
            if size > MAX_SIZE:
                raise PackageFileError("the list is too large", "package-file-too-large")
            return read(offset, size)
    return None


DETECTOR = Detector(lambda _: False, parse)
