"""A zstd:chunked layer decompresses to its tar archive, and lists the offset of each file."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import struct
import tarfile

import pytest
import zstandard
from hypothesis import given, settings, strategies as st

from bundler.content.archives import zstd_chunked
from bundler.content.compression.compress import CompressingReader
from bundler.content.compression.decompress import DecompressingReader
from bundler.errors import LimitError, MalformedError
from tests.strategies import Chunked

MB = 1024 * 1024


def member(name, kind=tarfile.REGTYPE, data=b"", **more):
    header = tarfile.TarInfo(name)
    header.type, header.size = kind, len(data)
    for key, value in more.items():
        setattr(header, key, value)
    return header, data


def tar(*members, form=tarfile.PAX_FORMAT):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for header, data in members:
            archive.addfile(header, io.BytesIO(data))
    return buffer.getvalue()


def chunked(data, level=None):
    reader = CompressingReader(Chunked(data), "zstd:chunked", level)
    try:
        result = reader.read()
        return result, reader.annotations()
    finally:
        reader.close()


def whole(data):
    return DecompressingReader(io.BytesIO(data), "zstd", "test").read()


def frame(data):
    """Return the content of the single frame ``data``."""
    decoder = zstandard.ZstdDecompressor().decompressobj()
    found = decoder.decompress(data)
    assert decoder.eof
    assert not decoder.unused_data
    return found


def tables(result, annotations):
    """Return the table of contents and the tar-split record, each verified with its digest."""
    at, size, plain, kind = map(int, annotations[zstd_chunked.POSITION].split(":"))
    contents = result[at : at + size]
    digest = f"sha256:{hashlib.sha256(contents).hexdigest()}"
    assert (kind, digest) == (1, annotations[zstd_chunked.CHECKSUM])
    split_at, split_size, split_plain = map(
        int, annotations[zstd_chunked.SPLIT_POSITION].split(":")
    )
    split = result[split_at : split_at + split_size]
    toc, record = frame(contents), frame(split)
    assert (len(toc), len(record)) == (plain, split_plain)
    footer = struct.unpack("<7Q8s", result[-64:])
    assert footer == (at, size, plain, 1, split_at, split_size, split_plain, b"GNUlInUx")
    parsed = json.loads(toc)
    assert parsed["version"] == 1
    assert parsed["tarSplitDigest"] == f"sha256:{hashlib.sha256(split).hexdigest()}"
    return parsed["entries"], [json.loads(line) for line in record.splitlines()]


NOISE = random.Random(1).randbytes(2 * MB + 5)
LAYER = tar(
    member("etc/", tarfile.DIRTYPE, mode=0o755),
    member("etc/big", data=NOISE, mode=0o4755, uid=7, gid=8, mtime=1_600_000_000),
    member("etc/small", data=b"text", pax_headers={"SCHILY.xattr.user.note": "hé"}),
    member("etc/empty"),
    member("etc/hard", tarfile.LNKTYPE, linkname="etc/big"),
    member("etc/soft", tarfile.SYMTYPE, linkname="big"),
    member("dev/null", tarfile.CHRTYPE, devmajor=1, devminor=3),
    member("run/pipe", tarfile.FIFOTYPE, pax_headers={"mtime": "1.25", "atime": "2"}),
    member("long/" + "x" * 300, data=b"y"),
)


def test_every_decompressor_returns_the_tar():
    result, _ = chunked(LAYER)
    assert whole(result) == LAYER
    assert (
        zstandard.ZstdDecompressor().stream_reader(result, read_across_frames=True).read() == LAYER
    )


def test_each_file_has_its_own_frame():
    result, annotations = chunked(LAYER)
    entries, _ = tables(result, annotations)
    files = {entry["name"]: entry for entry in entries if entry.get("size")}
    for name, data in (("etc/big", NOISE), ("etc/small", b"text")):
        entry = files[name]
        assert frame(result[entry["offset"] : entry["endOffset"]]) == data
        assert entry["digest"] == f"sha256:{hashlib.sha256(data).hexdigest()}"


def test_table_of_contents_matches_the_headers():
    entries = {entry["name"]: entry for entry in tables(*chunked(LAYER))[0]}
    places = {"offset", "endOffset", "digest"}
    stated = {
        name: {key: value for key, value in entry.items() if key not in places | {"name"}}
        for name, entry in entries.items()
    }
    start = "1970-01-01T00:00:00Z"
    assert stated["etc/"] == {"type": "dir", "mode": 0o755, "modtime": start}
    assert stated["etc/big"] == {
        "type": "reg",
        "mode": 0o4755,
        "size": len(NOISE),
        "uid": 7,
        "gid": 8,
        "modtime": "2020-09-13T12:26:40Z",
    }
    assert stated["etc/small"]["xattrs"] == {"user.note": base64.b64encode("hé".encode()).decode()}
    assert "digest" not in entries["etc/empty"]
    assert stated["etc/hard"]["type"] == "hardlink"
    assert stated["etc/hard"]["linkName"] == "etc/big"
    assert stated["etc/soft"]["type"] == "symlink"
    assert (stated["dev/null"]["devMajor"], stated["dev/null"]["devMinor"]) == (1, 3)
    assert stated["run/pipe"]["modtime"] == "1970-01-01T00:00:01.25Z"
    assert stated["run/pipe"]["accesstime"] == "1970-01-01T00:00:02Z"
    assert "long/" + "x" * 300 in stated


def test_record_and_files_reproduce_tar():
    result, annotations = chunked(LAYER)
    entries, record = tables(result, annotations)
    places = {
        entry["name"]: (entry["offset"], entry["endOffset"])
        for entry in entries
        if entry.get("size")
    }
    parts = []
    for line in record:
        if line["type"] == 2:
            parts.append(base64.b64decode(line["payload"]))
        elif line.get("size"):
            start, end = places[line["name"]]
            parts.append(frame(result[start:end]))
    assert b"".join(parts) == LAYER


@settings(max_examples=40)
@given(
    files=st.dictionaries(
        st.from_regex(r"[a-z]{1,8}(/[a-z]{1,150})?", fullmatch=True),
        st.binary(max_size=3000),
        max_size=8,
    ),
    form=st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
    trailing=st.integers(0, 3).map(lambda count: bytes(512 * count)),
)
def test_arbitrary_tar_is_reassembled(files, form, trailing):
    data = tar(*(member(name, data=content) for name, content in files.items()), form=form)
    result, annotations = chunked(data + trailing, 1)
    assert whole(result) == data + trailing
    entries, _ = tables(result, annotations)
    assert [(one["name"], one.get("size", 0)) for one in entries] == [
        (name, len(content)) for name, content in files.items()
    ]


@pytest.mark.parametrize("data", [b"", bytes(1024)])
def test_empty_tar_has_empty_table_of_contents(data):
    result, annotations = chunked(data)
    assert whole(result) == data
    assert tables(result, annotations)[0] == []


def test_output_is_reproducible():
    assert chunked(LAYER) == chunked(LAYER)


@pytest.mark.parametrize("data", [b"no tar", b"x" * 5000, LAYER[: 2 * MB], LAYER[:700]])
def test_streams_that_are_not_tars_are_refused(data):
    with pytest.raises(MalformedError):
        chunked(data)


def test_data_outside_contents_is_limited():
    noise = random.Random(3).randbytes(70 * MB)
    with pytest.raises(LimitError):
        chunked(bytes(1024) + noise)


def test_size_of_the_table_of_contents_is_limited(monkeypatch):
    monkeypatch.setattr(zstd_chunked, "_MAX_WAITING", 100_000)
    names = [random.Random(number).randbytes(40).hex() for number in range(3000)]
    with pytest.raises(LimitError):
        chunked(tar(*map(member, names)))
