"""Databases are read as a stream, and damaged or hostile records do not hide the others."""

from __future__ import annotations

import hashlib
import io
import json
import os
import struct
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings, strategies

from bundler.bundle.audit.vulnerabilities.database import read_database
from bundler.bundle.audit.vulnerabilities.database.osv import RecordError, parse_record
from bundler.bundle.audit.vulnerabilities.database.read_database import DatabaseReader
from bundler.bundle.audit.vulnerabilities.database.zip_files import (
    ZippedFileError,
    list_files,
    read_file,
)
from bundler.cancel import Cancellation
from bundler.errors import (
    BundlerError,
    LimitError,
    MalformedError,
    NotFoundError,
    NotRegularFileError,
    UnexpectedFileError,
)

if TYPE_CHECKING:
    from pathlib import Path

ONE = b'{"id": "A-1", "modified": "2026-01-01T00:00:00Z"}'
ZIP64 = 0xFFFFFFFF


def create_zip(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return stream.getvalue()


def read(path: Path) -> tuple[DatabaseReader, dict[str, bytes]]:
    reader = DatabaseReader(path, Cancellation())
    return reader, dict(reader.read())


def test_archives_and_files_of_a_directory_are_read(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "one.json").write_bytes(ONE)
    (tmp_path / "a.zip").write_bytes(create_zip({"x/1.json": ONE, "README.md": b"text"}))
    (tmp_path / "notes.txt").write_bytes(b"text")
    reader, records = read(tmp_path)
    assert records == {f"{tmp_path}/a.zip!/x/1.json": ONE, f"{tmp_path}/b/one.json": ONE}
    lines = "".join(
        f"{hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}  {name}\n"
        for name in ("a.zip", "b/one.json")
    )
    assert reader.digest.hex == hashlib.sha256(lines.encode()).hexdigest()
    assert reader.unreadable == 0


def test_digest_of_an_archive_is_that_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "all.zip"
    path.write_bytes(create_zip({"1.json": ONE}))
    reader, _ = read(path)
    assert reader.digest.hex == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_files_are_those_of_zipfile(compression: int) -> None:
    files = {f"ä{number}.json": bytes([number % 251]) * number for number in range(3000)}
    stream = io.BytesIO(create_zip(files, compression))
    found = {file.name: read_file(stream, file, 10_000) for file in list_files(stream, "zip")}
    assert found == files


def test_numbers_of_64_bits_are_read() -> None:
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(stream, "w") as archive,
        archive.open("1.json", "w", force_zip64=True) as f,
    ):
        f.write(ONE)
    data = bytearray(stream.getvalue())
    # Rewrite the list as for a large archive: sizes and offset in an extra field, a zip64 end.
    start = data.rindex(b"PK\1\2")
    extra = struct.pack("<HHQQQ", 1, 24, len(ONE), len(ONE), 0)
    entry = bytearray(data[start : start + 46]) + b"1.json" + extra
    entry[20:28] = struct.pack("<LL", ZIP64, ZIP64)
    entry[28:32] = struct.pack("<HH", 6, len(extra))
    entry[42:46] = struct.pack("<L", ZIP64)
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(entry), start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, start + len(entry), 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, ZIP64, ZIP64, 0)
    stream = io.BytesIO(bytes(data[:start]) + entry + end64 + locator + end)
    (file,) = list_files(stream, "zip")
    assert (file.name, read_file(stream, file, 1000)) == ("1.json", ONE)


def test_zip_bomb_is_one_record_that_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_database, "MAX_RECORD", 1000)
    path = tmp_path / "all.zip"
    path.write_bytes(create_zip({"bomb.json": b" " * 10_000_000, "one.json": ONE}))
    reader, records = read(path)
    assert list(records.values()) == [ONE]
    assert [item.code for item in reader.problems] == ["record-too-large"]
    (tmp_path / "large.json").write_bytes(b" " * 2000)
    reader, _ = read(tmp_path / "large.json")
    assert [item.code for item in reader.problems] == ["record-too-large"]


def test_file_that_is_larger_than_stated_is_damaged() -> None:
    data = create_zip({"bomb.json": b" " * 10_000_000})
    start = data.rindex(b"PK\1\2")
    data = data[: start + 24] + struct.pack("<L", 10) + data[start + 28 :]
    stream = io.BytesIO(data)
    (file,) = list_files(stream, "zip")
    with pytest.raises(ZippedFileError):
        read_file(stream, file, 1000_000)


def test_damaged_file_does_not_hide_the_next(tmp_path: Path) -> None:
    data = bytearray(create_zip({"1.json": ONE, "2.json": ONE}, zipfile.ZIP_STORED))
    data[data.index(ONE)] ^= 1
    (tmp_path / "all.zip").write_bytes(data)
    reader, records = read(tmp_path / "all.zip")
    assert list(records) == [f"{tmp_path}/all.zip!/2.json"]
    assert [(item.code, item.path[-6:]) for item in reader.problems] == [
        ("record-malformed", "1.json")
    ]


def test_archive_in_an_archive_is_reported(tmp_path: Path) -> None:
    (tmp_path / "all.zip").write_bytes(create_zip({"PyPI.zip": create_zip({"1.json": ONE})}))
    reader, records = read(tmp_path / "all.zip")
    assert not records
    assert [item.code for item in reader.problems] == ["record-unsupported"]


def test_limits_of_a_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "all.zip").write_bytes(create_zip({"1.json": ONE, "2.json": ONE}))
    monkeypatch.setattr(read_database, "MAX_TOTAL", len(ONE))
    with pytest.raises(LimitError):
        read(tmp_path / "all.zip")
    monkeypatch.undo()
    monkeypatch.setattr(read_database, "MAX_FILES", 1)
    with pytest.raises(LimitError):
        read(tmp_path / "all.zip")


def test_damaged_files_count_towards_the_limits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries of a list may share one content, which is decompressed for each of them."""
    data = bytearray(create_zip({"1.json": ONE, "2.json": ONE}, zipfile.ZIP_STORED))
    for number in (1, 2):
        data[data.index(b"%d.json" % number) + len("1.json")] ^= 1
    (tmp_path / "all.zip").write_bytes(data)
    monkeypatch.setattr(read_database, "MAX_FILES", 1)
    with pytest.raises(LimitError):
        read(tmp_path / "all.zip")


def test_pipes_and_devices_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    with pytest.raises(NotRegularFileError):
        read(tmp_path)
    (tmp_path / "pipe.json").unlink()
    (tmp_path / "device.zip").symlink_to("/dev/zero")
    with pytest.raises(NotRegularFileError):
        read(tmp_path)


def test_absent_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read(tmp_path / "absent")
    (tmp_path / "all.zip").write_bytes(b"not an archive")
    with pytest.raises(UnexpectedFileError):
        read(tmp_path / "all.zip")


def test_truncated_archive_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "all.zip").write_bytes(create_zip({"1.json": ONE})[:-30])
    with pytest.raises(MalformedError):
        read(tmp_path / "all.zip")


@given(data=strategies.data())
@settings(max_examples=200, deadline=None)
def test_damaged_archive_raises_known_errors(data: strategies.DataObject) -> None:
    raw = bytearray(create_zip({"1.json": ONE * 3, "2.json": ONE}))
    for _ in range(data.draw(strategies.integers(1, 4))):
        raw[data.draw(strategies.integers(0, len(raw) - 1))] = data.draw(
            strategies.integers(0, 255)
        )
    stream = io.BytesIO(bytes(raw[: data.draw(strategies.integers(0, len(raw)))]))
    try:
        for file in list_files(stream, "zip"):
            read_file(stream, file, 10_000)
    except (BundlerError, ZippedFileError):
        pass


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"1",
        b"[" * 200_000,
        b'{"id":' * 100_000,
        b"9" * 100_000,
        b"{}",
        b'{"id": 1, "modified": "2026-01-01T00:00:00Z"}',
        b'{"id": "A\\n1", "modified": "2026-01-01T00:00:00Z"}',
        b'{"id": "A-1", "modified": "yesterday"}',
        b'{"id": "A-1", "modified": "2026-01-01T00:00:00Z", "withdrawn": true}',
        b"[" + b"[]," * 600_000 + b"1]",
    ],
    ids=range(14),
)
def test_record_that_is_not_valid(raw: bytes) -> None:
    with pytest.raises(RecordError):
        parse_record(raw)


values = strategies.recursive(
    strategies.none() | strategies.booleans() | strategies.integers() | strategies.text(max_size=5),
    lambda inner: (
        strategies.lists(inner, max_size=3)
        | strategies.dictionaries(
            strategies.sampled_from(
                ["package", "ecosystem", "name", "ranges", "events", "type", "introduced", "fixed"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(affected=values, severity=values, aliases=values)
def test_members_of_any_type_are_a_problem_of_the_record(affected, severity, aliases) -> None:
    record = parse_record(
        json.dumps(
            {
                "id": "A-1",
                "modified": "2026-01-01T00:00:00Z",
                "affected": affected,
                "severity": severity,
                "aliases": aliases,
            }
        ).encode()
    )
    try:
        assert isinstance(record.affected, list)
        assert record.aliases == tuple(dict.fromkeys(record.aliases))
    except RecordError:
        pass
