"""The tar-split record is sufficient to reassemble an archive; a damaged record is refused."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile

import pytest
from hypothesis import given, strategies as st

from bundler.content.archives import crc64, tar_header, tar_stream
from bundler.content.archives.tar_split import AssembledTar, GzipLines, SplitWriter
from bundler.content.archives.tar_stream import TarEntries
from bundler.content.files.safe_directory import RegularFile
from bundler.errors import BundlerError, LimitError, MalformedError
from bundler.transports.containers_storage.drivers.rooted_tree import RootedTree
from tests.fakes.tars import directory, member, pack, symlink


def by_bits(data):
    crc = 2**64 - 1
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xD800000000000000 if crc & 1 else 0)
    return crc ^ 2**64 - 1


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_checksum_matches_polynomial(pieces):
    crc = 0
    for piece in pieces:
        crc = crc64.update(crc, memoryview(piece))
    assert crc == by_bits(b"".join(pieces))


def test_checksum_of_large_file_is_combined_from_its_chunks():
    """The known value for ``a`` is that of Go's library."""
    assert crc64.update(0, memoryview(b"a")) == 0x3420000000000000
    data = os.urandom(200_001)
    crc = 0
    for start in range(0, len(data), 777):
        crc = crc64.update(crc, memoryview(data)[start : start + 777])
    assert crc64.update(0, memoryview(data)) == crc


def split(tar, folder):
    """Unpack the files of ``tar``, and return the tar-split record of the remaining bytes."""
    record = io.BytesIO()
    writer = SplitWriter(GzipLines(record))
    entries = TarEntries(io.BytesIO(tar), writer, "layer")
    for entry in entries:
        if entry.size:
            path = folder / entry.name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                entries.content(entry.name, file.write)
        else:
            writer.write_empty_file(entry.name)
    writer.close()
    return record.getvalue()


def assembled(record, folder, tmp_path):
    (tmp_path / "record").write_bytes(record)
    opened = RegularFile.open(tmp_path / "record")
    with RootedTree.open(folder) as tree, AssembledTar(opened, tree.open_file, "record") as tar:
        return tar.read()


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
@pytest.mark.parametrize("tail", [b"", bytes(5000), b"behind the end" * 3])
def test_tar_is_reassembled_byte_for_byte(tmp_path, format, tail):  # noqa: A002
    tar = pack(
        directory("d"),
        member("d/" + "n" * 90, b"1" * 700),
        member("f", b"2" * 512, mtime=1.5 if format == tarfile.PAX_FORMAT else 1),
        symlink("s", "t" * 90),
        member("caf\udce9", b"3"),
        format=format,
    )
    folder = tmp_path / "tree"
    folder.mkdir()
    record = split(tar + tail, folder)
    assert assembled(record, folder, tmp_path) == tar + tail
    names = [json.loads(line).get("name_raw") for line in gzip.decompress(record).splitlines()]
    assert names.count("Y2Fm6Q==") == 1
    positions = [json.loads(line)["position"] for line in gzip.decompress(record).splitlines()]
    assert positions == list(range(len(positions)))


@given(st.binary(max_size=2000))
def test_tar_reader_handles_arbitrary_bytes(data):
    try:
        entries = TarEntries(io.BytesIO(data), SplitWriter(GzipLines(io.BytesIO())), "layer")
        for entry in entries:
            if entry.size:
                entries.content(entry.name, lambda _: None)
    except BundlerError:
        pass


@given(st.integers(0, 511), st.integers(0, 255))
def test_tar_reader_handles_changed_headers(position, value):
    tar = bytearray(pack(member("a", b"1"), member("b", b"2" * 600)))
    tar[position] = value
    tar[148:156] = b"%06o\0 " % (sum(tar[:148]) + 256 + sum(tar[156:512]))
    test_tar_reader_handles_arbitrary_bytes.hypothesis.inner_test(bytes(tar))


@pytest.mark.parametrize(
    ("kind", "place", "facts"),
    [
        (tarfile.REGTYPE, 100, {}),
        (tarfile.REGTYPE, 108, {}),
        (tarfile.REGTYPE, 116, {}),
        (tarfile.CHRTYPE, 329, {}),
        (tarfile.CHRTYPE, 337, {}),
        (tarfile.REGTYPE, None, {"uid": "4294967295"}),
        (tarfile.REGTYPE, None, {"SCHILY.xattr.user.\0": "x"}),
    ],
)
def test_number_out_of_range_is_refused(kind, place, facts):
    tar = bytearray(pack(member("a", kind=kind, pax_headers=facts)))
    if place is not None:
        tar[place : place + 8] = (1 << 63 | 0xFFFFFFFF).to_bytes(8, "big")
        tar[148:156] = b"%06o\0 " % (sum(tar[:148]) + 256 + sum(tar[156:512]))
    with pytest.raises(MalformedError):
        list(TarEntries(io.BytesIO(tar), SplitWriter(GzipLines(io.BytesIO())), "layer"))


@pytest.mark.parametrize(
    "line",
    [
        b"no json",
        b'{"type":3}',
        b'{"type":2,"payload":"%"}',
        '{"type":2,"payload":"é"}'.encode(),
        '{"type":1,"name_raw":"é","size":1,"payload":""}'.encode(),
        b'{"type":1,"name":"f\\u0000","size":1,"payload":""}',
        b'{"type":1,"name":"../x","size":1,"payload":""}',
        b'{"type":1,"name":"d","size":1,"payload":""}',
        b'{"type":1,"name":"link","size":1,"payload":""}',
        b'{"type":1,"name":"nowhere","size":1,"payload":""}',
        b'{"type":1,"name":"f","size":99,"payload":""}',
        b'{"type":1,"name":"f","size":-1,"payload":""}',
        b'{"type":1,"name_raw":"%","size":1,"payload":""}',
    ],
)
def test_damaged_record_is_refused(tmp_path, line):
    folder = tmp_path / "tree"
    (folder / "d").mkdir(parents=True)
    (folder / "f").write_text("content")
    (folder / "link").symlink_to("/etc/passwd")
    with pytest.raises(MalformedError):
        assembled(gzip.compress(line + b"\n", mtime=0), folder, tmp_path)


@pytest.mark.parametrize(
    "data", [b"", b"not gzip", gzip.compress(b'{"type":2}' * 90, mtime=0)[:-9]]
)
def test_truncated_record_is_refused(tmp_path, data):
    if not data:
        assert assembled(data, tmp_path, tmp_path) == b""
        return
    with pytest.raises(MalformedError):
        assembled(data, tmp_path, tmp_path)


def pack_extended_headers(count, records):
    """Create a tar with extended headers, each with other keys, before its only member."""
    blocks = []
    for number in range(count):
        text = (f"k{number}.{index}=v\n".encode() for index in range(records))
        data = b"".join(b"%d %s" % (len(line) + len(str(len(line) + 3)) + 1, line) for line in text)
        entry = tarfile.TarInfo("header")
        entry.type, entry.size = tarfile.XHDTYPE, len(data)
        blocks += [entry.tobuf(tarfile.USTAR_FORMAT), data, bytes(-len(data) % 512)]
    return b"".join([*blocks, tarfile.TarInfo("a").tobuf(tarfile.USTAR_FORMAT), bytes(1024)])


def read_entries(tar):
    return list(TarEntries(io.BytesIO(tar), SplitWriter(GzipLines(io.BytesIO())), "layer"))


def test_records_of_extended_headers_are_limited(monkeypatch):
    monkeypatch.setattr(tar_header, "MAX_RECORDS", 10_000)
    assert [entry.name for entry in read_entries(pack_extended_headers(3, 3000))] == ["a"]
    for count, records in ((1, 10_001), (4, 3000)):
        with pytest.raises(LimitError):
            read_entries(pack_extended_headers(count, records))


def test_total_size_of_extended_headers_is_limited(monkeypatch):
    monkeypatch.setattr(tar_stream, "_MAX_EXTENSION", 50_000)
    assert [entry.name for entry in read_entries(pack_extended_headers(1, 3000))] == ["a"]
    with pytest.raises(LimitError):
        read_entries(pack_extended_headers(2, 3000))
