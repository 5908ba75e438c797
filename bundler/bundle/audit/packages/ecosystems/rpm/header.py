"""The header of a package in the database of rpm.

https://rpm-software-management.github.io/rpm/manual/format_header.html
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from bundler.bundle.audit.packages.found_file import PackageFileError

MAX_SIZE = 32 * 1024 * 1024
"""The maximum size of a header in bytes; it lists the files of a package."""
_NAME, _VERSION, _RELEASE, _EPOCH, _LICENSE = 1000, 1001, 1002, 1003, 1014
_ARCHITECTURE, _SOURCE_RPM = 1022, 1044
_TEXTS = (_NAME, _VERSION, _RELEASE, _LICENSE, _ARCHITECTURE, _SOURCE_RPM)
_INT32, _STRING, _I18N = 4, 6, 9
_ENTRY = struct.Struct(">IIII")


@dataclass(frozen=True, slots=True)
class RpmHeader:
    """The facts about a package."""

    name: str
    version: str
    """``[epoch:]version-release``."""
    architecture: str
    license: str
    source_rpm: str


def parse_header(data: bytes) -> RpmHeader:
    """Parse a header without its magic number, as the database stores it.

    Raises:
        PackageFileError: it is damaged, or has no name or version.
    """
    if len(data) < 8:
        raise PackageFileError("a truncated header of a package")
    entries, size = struct.unpack_from(">II", data)
    store = 8 + entries * _ENTRY.size
    if store + size > len(data):
        raise PackageFileError("a truncated header of a package")
    texts: dict[int, str] = {}
    epoch = ""
    for position in range(8, store, _ENTRY.size):
        tag, kind, offset, _ = _ENTRY.unpack_from(data, position)
        start = store + offset
        if tag in _TEXTS and kind in (_STRING, _I18N) and offset < size:
            texts[tag] = data[start : data.find(b"\0", start)].decode(errors="replace")
        elif tag == _EPOCH and kind == _INT32 and offset + 4 <= size:
            epoch = f"{struct.unpack_from('>I', data, start)[0]}:"
    name, version = texts.get(_NAME), texts.get(_VERSION)
    if not name or not version:
        raise PackageFileError("a package without name or version")
    release = f"-{texts[_RELEASE]}" if texts.get(_RELEASE) else ""
    return RpmHeader(
        name=name,
        version=f"{epoch}{version}{release}",
        architecture=texts.get(_ARCHITECTURE, ""),
        license=texts.get(_LICENSE, ""),
        source_rpm=texts.get(_SOURCE_RPM, ""),
    )
