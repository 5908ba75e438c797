"""The database of rpm in the format of Berkeley DB: ``Packages``, of older distributions.

It is a hash table in pages. Headers of packages are longer than a page, so each is a chain of
overflow pages.

https://github.com/berkeleydb/libdb/blob/v5.3.28/src/dbinc/db_page.h
"""

from __future__ import annotations

import struct
from typing import IO, TYPE_CHECKING

from bundler.bundle.audit.packages.ecosystems.rpm.header import MAX_SIZE
from bundler.bundle.audit.packages.found_file import PackageFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

_HASH_MAGIC = 0x061561
_METADATA = 512
_PAGE_SIZES = (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536)
_PAGE_HEADER = 26
_UNSORTED_PAGE, _OVERFLOW_PAGE, _HASH_PAGE = 2, 7, 13
_INLINE, _OFF_PAGE = 1, 3
_MIN_HEADER = 16  # bytes; the first record has a number of 4 bytes


def read_headers(stream: IO[bytes]) -> Iterator[bytes]:
    """Yield the headers of the packages.

    Raises:
        PackageFileError: the file is not a hash table of Berkeley DB.
    """
    head = stream.read(_METADATA)
    if len(head) < _METADATA:
        raise PackageFileError("a truncated database")
    order = "<" if struct.unpack_from("<I", head, 12)[0] == _HASH_MAGIC else ">"
    magic, _, page_size = struct.unpack_from(f"{order}III", head, 12)
    last = struct.unpack_from(f"{order}I", head, 32)[0]
    if magic != _HASH_MAGIC or page_size not in _PAGE_SIZES or head[24]:
        raise PackageFileError("not a plain hash table of Berkeley DB")
    table = _HashTable(stream, order, page_size)
    for number in range(1, last + 1):
        page = table.read_page(number)
        if page[25] in (_HASH_PAGE, _UNSORTED_PAGE):
            yield from table.read_values(page)


class _HashTable:
    def __init__(self, stream: IO[bytes], order: str, page_size: int) -> None:
        self._stream = stream
        self._order = order
        self._page_size = page_size

    def read_page(self, number: int) -> bytes:
        """Return a page."""
        self._stream.seek(number * self._page_size)
        page = self._stream.read(self._page_size)
        if len(page) < self._page_size:
            raise PackageFileError("a truncated database")
        return page

    def read_values(self, page: bytes) -> Iterator[bytes]:
        """Yield the values of a page of the hash table that can be headers."""
        count = struct.unpack_from(f"{self._order}H", page, 20)[0]
        if _PAGE_HEADER + 2 * count > len(page):
            raise PackageFileError("a damaged page")
        offsets = struct.unpack_from(f"{self._order}{count}H", page, _PAGE_HEADER)
        for position in range(1, count, 2):  # keys are at even positions
            start, end = offsets[position], offsets[position - 1]
            if not _PAGE_HEADER <= start < end <= len(page):
                raise PackageFileError("a damaged page")
            if page[start] == _INLINE and end - start > _MIN_HEADER:
                yield page[start + 1 : end]
            elif page[start] == _OFF_PAGE and end - start >= 12:
                number, size = struct.unpack_from(f"{self._order}II", page, start + 4)
                yield self._read_chain(number, size)

    def _read_chain(self, number: int, size: int) -> bytes:
        if size > MAX_SIZE:
            raise PackageFileError("a header is too large", "package-file-too-large")
        data = bytearray()
        while number and len(data) < size:
            page = self.read_page(number)
            number, _, length = struct.unpack_from(f"{self._order}IHH", page, 16)
            if page[25] != _OVERFLOW_PAGE or not 0 < length <= len(page) - _PAGE_HEADER:
                raise PackageFileError("a damaged header of a package")
            data += page[_PAGE_HEADER : _PAGE_HEADER + length]
        if len(data) != size:
            raise PackageFileError("a truncated header of a package")
        return bytes(data)
