"""One layer: its members and their content."""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from typing import TYPE_CHECKING

import pytest

from bundler.bundle.audit.layers import scan
from bundler.errors import DigestMismatchError, LimitError, MalformedError, UsageError
from tests.fakes import images, tars

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bundler.bundle.audit.listings.files import ImageFiles

    OpenFiles = Callable[..., ImageFiles]


def test_members_have_paths_kinds_and_metadata(open_files: OpenFiles):
    layer = tars.layer(
        tars.directory("./bin/"),
        tars.member("./bin/su", b"data", mode=0o4755),
        tars.symlink("bin/sh", "../usr/bin/dash"),
        tars.hard_link("bin/login", "./bin/su"),
        tars.member("run/pipe", kind=tarfile.FIFOTYPE),
        tars.member("dev/null", kind=tarfile.CHRTYPE),
    )
    listing = open_files(layer).list_layer(1)
    assert [(item.path, item.kind, item.target) for item in listing.members] == [
        ("bin", "directory", ""),
        ("bin/su", "file", ""),
        ("bin/sh", "symbolic link", "../usr/bin/dash"),
        ("bin/login", "hard link", "bin/su"),
        ("run/pipe", "pipe", ""),
        ("dev/null", "character device", ""),
    ]
    assert (listing.members[1].mode, listing.members[1].size) == (0o4755, 4)


@pytest.mark.parametrize("compression", ["tar", "gzip", "zstd"])
def test_diff_id_is_that_of_the_uncompressed_tar(open_files: OpenFiles, compression: str):
    layer = images.layer({"a": b"content"}, compression=compression)
    listing = open_files(layer).list_layer(1)
    assert listing.diff_id.text == layer.diff_id
    assert listing.digest.text == layer.blob.digest


def test_content_of_a_member_is_read(open_files: OpenFiles):
    files = open_files(tars.layer(tars.member("a", b"1" * 3_000_000), tars.member("b", b"second")))
    output = io.BytesIO()
    files.read_file(files.find("b"), output.write)
    assert output.getvalue() == b"second"


def test_last_of_several_members_with_one_name_is_read(open_files: OpenFiles):
    files = open_files(tars.layer(tars.member("a", b"first"), tars.member("./a", b"second")))
    output = io.BytesIO()
    files.read_file(files.find("a"), output.write)
    assert output.getvalue() == b"second"


@pytest.mark.parametrize("compression", ["tar", "gzip", "zstd"])
@pytest.mark.parametrize("position", [0, 3, 20, 130, 600, -1])
def test_damaged_layer_is_refused(
    open_files: OpenFiles, tmp_path: Path, compression: str, position: int
):
    """Also where the damage makes it malformed: rules accept malformed layers as not evaluated."""
    content = b"".join(f"line {n}\n".encode() for n in range(2_000))
    layer = images.layer({"a": content}, compression=compression)
    files = open_files(layer)
    path = tmp_path / "layout/blobs/sha256" / layer.blob.digest.partition(":")[2]
    data = bytearray(path.read_bytes())
    data[position] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(DigestMismatchError):
        files.list_layer(1)


@pytest.mark.parametrize("name", ["../escape", "a/../../b"])
def test_member_outside_of_the_root_is_refused(open_files: OpenFiles, name: str):
    with pytest.raises(MalformedError):
        open_files(tars.layer(tars.member(name))).list_layer(1)


def test_layer_that_is_no_tar_is_refused(open_files: OpenFiles):
    blob = images.Blob(images.OCI["gzip"], gzip.compress(b"no tar" * 1000))
    with pytest.raises(MalformedError):
        open_files(images.Layer(blob, images.sha256(b""))).list_layer(1)


def test_decompression_bomb_is_refused(open_files: OpenFiles):
    compressor = zlib.compressobj(9, wbits=31)
    data = b"".join(compressor.compress(bytes(1 << 20)) for _ in range(100)) + compressor.flush()
    blob = images.Blob(images.OCI["gzip"], data)
    with pytest.raises(LimitError):
        open_files(images.Layer(blob, images.sha256(b""))).list_layer(1)


def test_size_of_a_listing_is_limited(open_files: OpenFiles, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(scan, "MAX_LISTING", 5000)
    with pytest.raises(LimitError):
        open_files(images.layer({f"file{n}": b"" for n in range(30)})).list_layer(1)


@pytest.mark.parametrize("number", [0, 2, -1])
def test_absent_layer_is_refused(open_files: OpenFiles, number: int):
    with pytest.raises(UsageError):
        open_files(images.layer({"a": b""})).list_layer(number)
