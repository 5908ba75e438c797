"""Packages in the three formats of rpm's database."""

from __future__ import annotations

import sqlite3
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from bundler.bundle.audit.packages.ecosystems.rpm import database
from bundler.bundle.audit.packages.found_file import FoundFile, PackageFileError
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from pathlib import Path

SQLITE = "var/lib/rpm/rpmdb.sqlite"
NDB = "usr/lib/sysimage/rpm/Packages.db"
BDB = "var/lib/rpm/Packages"


def header(name: str, version="1.0", release="2.el9", epoch=None, fill=0) -> bytes:
    """Create a header as rpm stores it; ``fill`` bytes stand for the tags that are not read."""
    texts = {
        1000: name,
        1001: version,
        1002: release,
        1014: "MIT",
        1022: "x86_64",
        1044: f"{name}-src-{version}-{release}.src.rpm",
        9999: "f" * fill,
    }
    entries, store = [], b""
    for tag, text in texts.items():
        entries.append(struct.pack(">IIII", tag, 6, len(store), 1))
        store += text.encode() + b"\0"
    if epoch is not None:
        entries.append(struct.pack(">IIII", 1003, 4, len(store), 1))
        store += struct.pack(">I", epoch)
    return struct.pack(">II", len(entries), len(store)) + b"".join(entries) + store


HEADERS = [header("bash", epoch=1, fill=9000), header("gpg-pubkey"), header("zlib", release="")]


@pytest.fixture
def create_sqlite(tmp_path: Path):
    def create(headers, schema="CREATE TABLE Packages (hnum INTEGER PRIMARY KEY, blob BLOB)"):
        path = tmp_path / "rpmdb.sqlite"
        path.unlink(missing_ok=True)
        created = sqlite3.connect(path)
        created.execute(schema)
        if "TABLE Packages" in schema:
            created.executemany("INSERT INTO Packages (blob) VALUES (?)", [(x,) for x in headers])
        created.commit()
        created.close()
        return path.read_bytes()

    return create


def create_ndb(headers) -> bytes:
    slots, blobs = [], b""
    for number, data in enumerate(headers, 1):
        blob = struct.pack("<4sIII", b"BlbS", number, 0, len(data)) + data
        blob += bytes(-len(blob) % 16)
        slots.append(
            struct.pack("<4sIII", b"Slot", number, 256 + len(blobs) // 16, len(blob) // 16)
        )
        blobs += blob
    slots += [struct.pack("<4sIII", b"Slot", 0, 0, 0)] * (254 - len(slots))
    return struct.pack("<4sIII16x", b"RpmP", 0, 1, 1) + b"".join(slots) + blobs


def create_page(number, kind, data=b"", following=0, entries=0, offset=0) -> bytes:
    head = struct.pack("<8xIIIHHBB", number, 0, following, entries, offset, 0, kind)
    return (head + data).ljust(4096, b"\0")


def create_bdb(headers) -> bytes:
    """Create a hash table with one page, and one page for each 4,070 bytes of a header."""
    items, pages = [b"\x01\0\0\0\0", b"\x01\x05\0\0\0"], []
    for key, data in enumerate(headers, 1):
        parts = [data[start : start + 4070] for start in range(0, len(data), 4070)]
        first = 2 + len(pages)
        items += [b"\x01" + struct.pack("<I", key), struct.pack("<B3xII", 3, first, len(data))]
        for position, part in enumerate(parts):
            following = first + position + 1 if position + 1 < len(parts) else 0
            number = first + position
            pages.append(create_page(number, 7, part, following, entries=1, offset=len(part)))
    offsets, body = [], b""
    for item in items:
        body = item + body
        offsets.append(4096 - len(body))
    index = struct.pack(f"<{len(items)}H", *offsets)
    table = create_page(1, 13, index, entries=len(items))
    table = table[: 4096 - len(body)] + body
    metadata = struct.pack("<8xIIIIBB2xII", 0, 0x061561, 9, 4096, 0, 8, 0, 1 + len(pages))
    return metadata.ljust(4096, b"\0") + table + b"".join(pages)


@pytest.mark.parametrize("path", [SQLITE, NDB, BDB])
def test_packages_are_found(read_files, create_sqlite, path):
    create = {SQLITE: create_sqlite, NDB: create_ndb, BDB: create_bdb}[path]
    found = read_files({path: create(HEADERS), "etc/os-release": 'ID="rhel"'})
    bash, zlib = found.packages
    assert bash.purl == "pkg:rpm/rhel/bash@1.0-2.el9?arch=x86_64&epoch=1"
    assert (bash.version, bash.licenses) == ("1:1.0-2.el9", ("MIT",))
    assert (bash.source_name, bash.source_version) == ("bash-src", "1.0-2.el9")
    assert (zlib.name, zlib.version) == ("zlib", "1.0")
    assert found.findings == ()


def list_codes(found):
    return [finding.code for finding in found.findings]


@pytest.mark.parametrize("path", [SQLITE, NDB, BDB])
@pytest.mark.parametrize("data", [b"garbage", bytes(100_000), b"\xff" * 100_000])
def test_garbage_is_a_finding(read_files, path, data):
    assert list_codes(read_files({path: data})) == ["package-file-malformed"]


@pytest.mark.parametrize("path", [NDB, BDB])
def test_database_that_is_damaged_anywhere_ends_with_a_result(path):
    data = {NDB: create_ndb, BDB: create_bdb}[path](HEADERS)
    for position in (*range(64), *range(4096, 4150), *range(8180, 8230), len(data) - 1):
        for damaged in (data[:position] + b"\xff" + data[position + 1 :], data[:position]):
            chunks = [memoryview(damaged)]
            file = FoundFile(path, Digest.of(b""), len(damaged), chunks)
            with suppress(PackageFileError):
                assert len(list(database.parse(file))) <= len(HEADERS)


@pytest.mark.parametrize(
    "schema",
    [
        (
            "CREATE VIEW Packages AS WITH RECURSIVE x(a) AS (SELECT 1 UNION ALL SELECT a FROM x)"
            " SELECT a AS blob FROM x"
        ),
        "CREATE TABLE other (a)",
    ],
)
def test_schema_that_is_not_that_of_rpm_is_a_finding(read_files, create_sqlite, schema):
    assert list_codes(read_files({SQLITE: create_sqlite([], schema)})) == ["package-file-malformed"]


@pytest.mark.parametrize("data", [b"", b"x" * 20, "text", header("")])
def test_header_that_is_damaged_is_a_finding(read_files, create_sqlite, data):
    found = read_files({SQLITE: create_sqlite([data])})
    assert list_codes(found) == ["package-file-malformed"]


def test_pages_that_overlap_are_a_finding(read_files):
    data = create_ndb([header("a", fill=4000), header("b")])
    slots = data[:32] + data[32:48] * 254 + data[4096:]
    assert list_codes(read_files({NDB: slots})) == ["package-file-malformed"]


def test_unfinished_transaction_is_a_finding(read_files, create_sqlite):
    found = read_files({SQLITE: create_sqlite(HEADERS), f"{SQLITE}-wal": b"pages"})
    assert list_codes(found) == ["package-file-unsupported"]
    assert len(found.packages) == 2
