"""Only archives with exactly the specified bytes are read."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from bundler.bundle.format.archive import members
from bundler.errors import BundlerError, LimitError, MalformedError
from tests.fakes import archives
from tests.fakes.archives import END, pack_member

A, B = ("blobs/sha256/" + digit * 64 for digit in "ab")
LONG = "blobs/sha512/" + "c" * 128
PLAIN = [
    ("plan.json", b"{}\n"),
    ("CONTENTS", b""),
    (A, b"one"),
    (B, b"x" * 512),
    ("bundle.json", b"{}"),
]
HEAD = archives.pack(PLAIN[:2], b"")
TAIL = archives.pack(PLAIN[-1:])


class InMemoryFile:
    """An archive in memory."""

    def __init__(self, data: bytes) -> None:
        self.path, self.data, self.size = Path("a"), data, len(data)

    def readinto_at(self, buffer: memoryview, offset: int, /) -> int:
        part = self.data[offset : offset + len(buffer)]
        buffer[: len(part)] = part
        return len(part)


def index(data):
    """Return the contents of an archive by path."""
    found = members.index(InMemoryFile(data), "a")
    return {path: data[item.start : item.start + item.size] for path, item in found.items()}


def test_members_are_found_in_their_order():
    assert list(index(archives.pack(PLAIN)).items()) == PLAIN


@pytest.mark.parametrize("padding", [1024, 10240, 1024 * 1024])
def test_padding_of_tapes_is_allowed_at_the_end(padding):
    assert len(index(archives.pack(PLAIN, bytes(padding)))) == 5


def test_long_names_are_read():
    entry = tarfile.TarInfo(LONG)
    entry.size = 3
    raw = entry.tobuf(tarfile.GNU_FORMAT)
    assert index(HEAD + raw + b"abc" + bytes(509) + TAIL)[LONG] == b"abc"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x" * 100,
        TAIL,
        archives.pack([("bundle.json", b"{}"), *PLAIN[:2]]),
        HEAD + pack_member(A, b"", kind=b"1", link=b"/etc/passwd") + TAIL,
        HEAD + pack_member(A, b"", kind=b"2", link=b"../x") + TAIL,
        HEAD + pack_member(A, b"", kind=b"3") + TAIL,
        HEAD + pack_member("blobs/", b"", kind=b"5") + TAIL,
        HEAD + pack_member(A, b"x", kind=b"S") + TAIL,
        HEAD + pack_member("x", b"12 path=evil", kind=b"x") + pack_member(A, b"x") + TAIL,
        HEAD + pack_member("x", b"12 size=9999", kind=b"g") + pack_member(A, b"x") + TAIL,
        HEAD + pack_member("././@LongLink", b"../evil\0", kind=b"L") + pack_member(A, b"x") + TAIL,
        HEAD + pack_member("././@LongLink", b"x" * 5000, kind=b"L") + pack_member(A, b"x") + TAIL,
        HEAD + pack_member(A, b"one", mode=0o755) + TAIL,
        HEAD + pack_member("../up", b"x") + TAIL,
        HEAD + pack_member("/etc/passwd", b"x") + TAIL,
        HEAD + pack_member("a\x1b[1m", b"x") + TAIL,
        HEAD + pack_member(A, b"x", size=2**33 - 1) + TAIL,
        archives.pack([*PLAIN, (A, b"one")]),
        archives.pack([*PLAIN[:3], PLAIN[2], PLAIN[4]]),
        archives.pack([*PLAIN[:3], (A.upper(), b"one"), PLAIN[4]]),
        archives.pack([*PLAIN[:2], ("index.json", b"{}"), *PLAIN[2:]]),
        archives.pack([PLAIN[0], *PLAIN[2:], PLAIN[1]]),
        archives.pack(PLAIN, b""),
        archives.pack(PLAIN, bytes(512)),
        archives.pack(PLAIN, END + b"x"),
        archives.pack(PLAIN, END + archives.pack(PLAIN[2:])),
        archives.pack(PLAIN, bytes(members.MAX_END + 1)),
        HEAD + bytes(2048) + TAIL,
        archives.pack(PLAIN)[:-1600],
        archives.pack(PLAIN)[:2000],
        archives.pack(PLAIN)[:2600],
    ],
)
def test_other_archives_are_refused(data):
    with pytest.raises(MalformedError):
        index(data)


def test_number_of_members_is_bounded(monkeypatch):
    monkeypatch.setattr(members, "MAX_MEMBERS", 4)
    with pytest.raises(LimitError):
        index(archives.pack(PLAIN))


def test_no_changed_bit_outside_of_contents_is_accepted():
    """Every 101st bit is changed."""
    data = archives.pack(PLAIN, bytes(1024))
    whole = index(data)
    for bit in range(0, len(data) * 8, 101):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        try:
            assert index(bytes(changed)) != whole
        except BundlerError:
            continue


def test_stream_and_index_find_the_same_members():
    data = archives.pack(PLAIN)
    stream = io.BytesIO(data)
    found = {}
    while (member := members.read_member(stream.read, stream.tell(), "a")) is not None:
        found[member.path] = stream.read(member.size)
        stream.seek(member.end)
    assert found == index(data)
