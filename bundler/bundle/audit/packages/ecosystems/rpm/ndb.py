"""The database of rpm in its own format: ``Packages.db``, on SUSE.

https://github.com/rpm-software-management/rpm/blob/rpm-4.18.0-release/lib/backend/ndb/rpmpkg.c
"""

from __future__ import annotations

import struct
from typing import IO, TYPE_CHECKING

from bundler.bundle.audit.packages.ecosystems.rpm.header import MAX_SIZE
from bundler.bundle.audit.packages.found_file import PackageFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

_PAGE = 4096
_BLOCK = 16
_MAX_PAGES = 2048
_HEADER = struct.Struct("<4sIII")
_SLOT = struct.Struct("<4sIII")
_FIRST_SLOT = 32


def read_headers(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the headers of the packages.

    Raises:
        PackageFileError: the file is not a database of rpm.
    """
    head = stream.read(_HEADER.size)
    if len(head) < _HEADER.size:
        raise PackageFileError("a truncated database")
    magic, version, _, pages = _HEADER.unpack(head)
    if magic != b"RpmP" or version != 0:
        raise PackageFileError("not a database in the format ndb")
    if not 0 < pages <= _MAX_PAGES:
        raise PackageFileError("too many packages", "package-file-too-large")
    stream.seek(0)
    slots = stream.read(pages * _PAGE)
    if len(slots) < pages * _PAGE:
        raise PackageFileError("a truncated database")
    for position in range(_FIRST_SLOT, len(slots), _SLOT.size):
        magic, number, block, _ = _SLOT.unpack_from(slots, position)
        if magic != b"Slot":
            raise PackageFileError("a damaged list of packages")
        if not block:  # a free slot
            continue
        stream.seek(block * _BLOCK)
        head = stream.read(_SLOT.size)
        if len(head) < _SLOT.size or head[:8] != b"BlbS" + struct.pack("<I", number):
            raise PackageFileError("a damaged header of a package")
        size = struct.unpack_from("<I", head, 12)[0]
        if size > MAX_SIZE:
            raise PackageFileError("a header is too large", "package-file-too-large")
        yield stream.read(size)
