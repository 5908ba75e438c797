"""Packages in programs of Go and Rust."""

from __future__ import annotations

import json
import struct
import zlib

import pytest

from tests.fakes import tars

MODULES = (
    "path\texample.com/App/cmd\n"
    "mod\texample.com/App\t(devel)\t\n"
    "dep\tgolang.org/x/sys\tv0.1.0\th1:abc=\n"
    "dep\texample.com/forked\tv1.0.0\n"
    "=>\texample.com/fork\tv1.0.1\th1:def=\n"
    "dep\texample.com/local\tv1.2.0\n"
    "=>\t./local\t(devel)\t\n"
    "build\t-compiler=gc\n"
)


def number(value: int) -> bytes:
    """Encode a number of variable length."""
    encoded = b""
    while value >= 0x80:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])


def build_info(version="go1.22.3 X:exp", modules=MODULES, flags=2):
    text = b"\x30" * 16 + modules.encode() + b"\xf9" * 16 if modules else b""
    head = b"\xff Go buildinf:" + bytes([8, flags])
    return (
        head.ljust(32, b"\0") + number(len(version)) + version.encode() + number(len(text)) + text
    )


def elf(content: bytes) -> bytes:
    return b"\x7fELF".ljust(64, b"\0") + content


def list_packages(found):
    return [(package.name, package.version) for package in found.packages]


@pytest.mark.parametrize(
    "before", [b"", bytes(1024 * 1024 - 64 - 16), bytes(3 * 1024 * 1024), b"\xff Go buildinf:" * 3]
)
def test_go_modules_are_found_with_their_replacements(read_files, before):
    before = before.ljust(-(-len(before) // 16) * 16, b"\0")
    found = read_files({"usr/bin/app": elf(before + build_info() + bytes(5000))})
    assert list_packages(found) == [
        ("example.com/App", "(devel)"),
        ("example.com/fork", "v1.0.1"),
        ("example.com/local", "v1.2.0"),
        ("golang.org/x/sys", "v0.1.0"),
        ("stdlib", "1.22.3"),
    ]
    assert found.packages[3].purl == "pkg:golang/golang.org/x/sys@v0.1.0"
    assert found.packages[-1].purl == "pkg:golang/stdlib@1.22.3"
    assert found.findings == ()


@pytest.mark.parametrize(
    "content",
    [
        b"x" + build_info(),  # not aligned
        build_info(version="no version"),
        build_info()[:34],
        b"\xff Go buildinf:",
        b"\xff Go buildinf:\x08\x02".ljust(32, b"\0") + b"\xff" * 40,
    ],
)
def test_bytes_that_only_begin_like_build_information_are_ignored(read_files, content):
    found = read_files({"usr/bin/app": elf(content)})
    assert (found.packages, found.findings) == ((), ())


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (build_info(flags=0) + bytes(99), "package-file-unsupported"),
        (build_info(modules="mod\n"), "package-file-malformed"),
    ],
)
def test_build_information_that_cannot_be_read_is_a_finding(read_files, content, code):
    found = read_files({"usr/bin/app": elf(content)})
    assert [item.code for item in found.findings] == [code]


def rust_program(listed: bytes, *, bits: int = 64, names: bytes = b"\0.dep-v0\0") -> bytes:
    """Create an ELF file with three sections: none, the names, the list."""
    wide = bits == 64
    head, word, sections = (64, "<I20xQQ24x", 64) if wide else (52, "<I12xII16x", 40)
    listed_at = 64 + len(names)
    table_at = listed_at + len(listed)
    table = b"".join(
        struct.pack(word, *section)
        for section in [(0, 0, 0), (0, 64, len(names)), (1, listed_at, len(listed))]
    )
    assert len(table) == 3 * sections
    header = bytearray(b"\x7fELF" + bytes([2 if wide else 1, 1]) + bytes(58))
    struct.pack_into("<Q" if wide else "<I", header, 40 if wide else 32, table_at)
    struct.pack_into("<HHH", header, head - 6, sections, 3, 1)
    return bytes(header) + names + listed + table


@pytest.mark.parametrize("bits", [32, 64])
def test_rust_packages_are_found(read_files, bits):
    listed = {
        "packages": [
            {"name": "serde", "version": "1.0.197", "source": "crates.io"},
            {"name": "cc", "version": "1.0.0", "source": "crates.io", "kind": "build"},
        ]
    }
    program = rust_program(zlib.compress(json.dumps(listed).encode()), bits=bits)
    found = read_files({"usr/bin/app": program})
    assert [item.purl for item in found.packages] == ["pkg:cargo/serde@1.0.197"]
    assert found.packages[0].path == "usr/bin/app"


@pytest.mark.parametrize("is_valid", [True, False])
def test_rust_program_is_read_under_its_hard_links(read_layers, is_valid):
    """An upper layer removes the name under which the layer stores it."""
    packages = {"packages": [{"name": "one", "version": "1.0.0", "source": "crates.io"}]}
    text = zlib.compress(json.dumps(packages).encode()) if is_valid else b"garbage"
    found = read_layers(
        tars.layer(
            tars.member("usr/bin/app", rust_program(text)), tars.hard_link("bin/app", "usr/bin/app")
        ),
        tars.layer(tars.member("usr/.wh.bin")),
    )
    paths = [item.path for item in (*found.packages, *found.findings)]
    assert paths == ["bin/app"]


@pytest.mark.parametrize(
    ("listed", "code"),
    [
        (b"garbage", "package-file-malformed"),
        (zlib.compress(b"[]"), "package-file-malformed"),
        (zlib.compress(b'{"packages": [1]}'), "package-file-malformed"),
        (zlib.compress(b"[" * 100_000), "package-file-malformed"),
        (zlib.compress(bytes(5 * 1024 * 1024)), "package-file-too-large"),
        (zlib.compress(b"{}")[:-1], "package-file-too-large"),
    ],
)
def test_rust_list_that_cannot_be_read_is_a_finding(read_files, listed, code):
    found = read_files({"usr/bin/app": rust_program(listed)})
    assert [item.code for item in found.findings] == [code]


@pytest.mark.parametrize("offset", [2**40, 2**63 - 1, 2**64 - 1])
@pytest.mark.parametrize("place", ["table", "names", "list"])
def test_program_with_an_offset_after_its_end_states_nothing(read_files, place, offset):
    program = bytearray(rust_program(zlib.compress(b'{"packages": []}')))
    (table,) = struct.unpack_from("<Q", program, 40)
    position = {"table": 40, "names": table + 64 + 24, "list": table + 128 + 24}[place]
    struct.pack_into("<Q", program, position, offset)
    assert read_files({"usr/bin/app": bytes(program)}).packages == ()


@pytest.mark.parametrize("length", [4, 63, 64, 80, 100])
def test_truncated_program_states_nothing(read_files, length):
    program = rust_program(zlib.compress(b"{}"))[:length] + b".dep-v0\0"
    assert read_files({"usr/bin/app": program}).packages == ()
