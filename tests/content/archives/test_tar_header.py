"""Headers of tar archives."""

from __future__ import annotations

import tarfile

import pytest

from bundler.content.archives import tar_header
from bundler.errors import MalformedError


def header(name: str = "d/file", size: int = 5, kind: int = tarfile.USTAR_FORMAT) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry.tobuf(kind)


def test_header_is_read():
    block = header("d" * 120 + "/" + "f" * 90, 123)
    tar_header.verify_checksum(block, "it")
    assert tar_header.read_name(block) == b"d" * 120 + b"/" + b"f" * 90
    assert tar_header.read_size(block, "it") == 123


def test_target_of_link_is_read():
    entry = tarfile.TarInfo("link")
    entry.type, entry.linkname = tarfile.SYMTYPE, "target"
    assert tar_header.read_link(entry.tobuf(tarfile.USTAR_FORMAT)) == b"target"


@pytest.mark.parametrize("position", [0, 100, 156, 511])
def test_changed_byte_is_detected(position):
    block = bytearray(header())
    block[position] ^= 1
    with pytest.raises(MalformedError):
        tar_header.verify_checksum(bytes(block), "it")


@pytest.mark.parametrize(
    ("field", "number"),
    [
        (b"0000644\0", 0o644),
        (b"   644 \0", 0o644),
        (b"\0" * 8, 0),
        (b"\x80\0\0\0\0\0\1\0", 256),
        (b"\x80" + (2**62).to_bytes(11, "big"), 2**62),
    ],
)
def test_numbers_are_octal_or_binary(field, number):
    assert tar_header.parse_number(field, "it") == number


@pytest.mark.parametrize(
    "field", [b"9\0", b"0x10\0", b"-1\0", b"\xff" * 12, b"\x80" + (2**62 + 1).to_bytes(11, "big")]
)
def test_malformed_number_is_refused(field):
    with pytest.raises(MalformedError):
        tar_header.parse_number(field, "it")


@pytest.mark.parametrize(("size", "blocks"), [(0, 0), (1, 1), (512, 1), (513, 2)])
def test_content_is_padded_to_blocks(size, blocks):
    assert tar_header.padded(size) == blocks * tar_header.BLOCK
