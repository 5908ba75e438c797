"""Decode the headers of tar archives: POSIX ustar and pax, and GNU long names.

https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html#tag_20_92_13
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.errors import LimitError, MalformedError

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 512
MAX_NUMBER = 2**62
MAX_RECORDS = 100_000  # of extended headers, for one member

HARD_LINK = ord("1")
SYMBOLIC_LINK = ord("2")
DIRECTORY = ord("5")
GLOBAL_PAX = ord("g")
PAX = ord("x")
LONG_NAME = ord("L")
LONG_LINK = ord("K")
REGULAR_FILES = frozenset(b"0\0007")
"""Type flags of regular files: ``0`` and the obsolete ones."""


def padded(size: int) -> int:
    """Round ``size`` up to a whole number of blocks."""
    return size + -size % BLOCK


def verify_checksum(block: bytes, subject: str) -> None:
    """Verify the checksum of a header: the sum of its bytes, with spaces in the checksum field.

    The sum of signed bytes, which old programs wrote, is also accepted.

    Raises:
        MalformedError: the checksum differs.
    """
    recorded = block[148:156].strip(b" \0").lstrip(b"0")
    counted = block[:148] + b" " * 8 + block[156:]
    total = sum(counted)
    if recorded == b"%o" % total:
        return
    signed = total - 256 * sum(byte >= 128 for byte in counted)
    if recorded != b"%o" % signed:
        raise MalformedError(f"{subject}: wrong header checksum (damaged, or not a tar archive)")


def read_size(block: bytes, subject: str) -> int:
    """Return the size in a header, in bytes."""
    return parse_number(block[124:136], subject)


def read_name(block: bytes) -> bytes:
    """Return the name in a header as bytes: the prefix and name fields, joined."""
    name = _cut(block[:100])
    prefix = _cut(block[345:500]) if block[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def read_link(block: bytes) -> bytes:
    """Return the link target in a header, as bytes."""
    return _cut(block[157:257])


def parse_number(field: bytes, subject: str) -> int:
    """Parse octal digits, or the base-256 encoding that GNU tar uses for larger numbers.

    Raises:
        MalformedError: the field is not a number, or out of range.
    """
    if field[0] & 0x80:
        value = int.from_bytes(bytes([field[0] & 0x7F]) + field[1:], "big")
        if field[0] == 0xFF or value > MAX_NUMBER:
            raise MalformedError(f"{subject}: number in the header out of range")
        return value
    digits = field.strip(b" \0")
    if not digits:
        return 0
    if digits.strip(b"01234567"):
        raise MalformedError(f"{subject}: invalid octal number in the header")
    return int(digits, 8)


def parse_pax(data: bytes, subject: str) -> Iterator[tuple[str, bytes]]:
    """Parse the keys and values of an extended header.

    A record is ``LENGTH KEY=VALUE`` and a line feed; the length counts the whole record.

    Raises:
        MalformedError: a record is malformed, or a key is repeated.
        LimitError: there are too many records.
    """
    seen: set[str] = set()
    start = 0
    while start < len(data):
        digits, blank, _ = data[start : start + 24].partition(b" ")
        if not blank or not digits.isdigit() or not len(digits) < int(digits) <= len(data) - start:
            raise MalformedError(f"{subject}: malformed extended header")
        end = start + int(digits)
        record, start = data[start + len(digits) + 1 : end], end
        key, equals, value = record.partition(b"=")
        name = key.decode("utf-8", "replace")
        if not equals or not value.endswith(b"\n") or name in seen:
            raise MalformedError(f"{subject}: malformed extended header")
        seen.add(name)
        if len(seen) > MAX_RECORDS:
            raise LimitError(f"{subject}: more than {MAX_RECORDS:,} records in its headers")
        yield name, value[:-1]


def is_sparse(key: str) -> bool:
    """Return whether a key of an extended header marks a sparse file of GNU tar."""
    return key.startswith("GNU.sparse.")


def _cut(field: bytes) -> bytes:
    return field.partition(b"\0")[0]
