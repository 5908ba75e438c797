"""GNU tar, Python and the strict reader find the written members."""

from __future__ import annotations

import os
import subprocess
import tarfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from bundler.content.archives import tar_index
from bundler.content.archives.tar_writer import TarWriter
from bundler.content.files.safe_directory import RegularFile
from bundler.content.streams import BUFFER_SIZE, VerifiedReader
from bundler.errors import MalformedError, MediumError, NoSpaceError
from bundler.oci.digest import Digest
from tests.contracts.contents import Broken, Chunks

LONG = "blobs/sha512/" + "a" * 128


@contextmanager
def writing(path):
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        yield TarWriter(fd, path)
    finally:
        os.close(fd)


def stream(data, **promised):
    return VerifiedReader(Chunks(data), "test", digest=None, size=None, **promised)


def test_other_tar_readers_find_the_members(tmp_path):
    with writing(tmp_path / "a.tar") as archive:
        archive.add_directory("d")
        archive.add_bytes("d/small", b"small")
        stored = archive.add("d/large", stream(b"x" * 5000))
        archive.add(LONG, stream(b"long"))
        archive.add_bytes("empty", b"")
        size = archive.finish()
    assert (stored.digest, stored.size) == (Digest.of(b"x" * 5000), 5000)
    assert (tmp_path / "a.tar").stat().st_size == size
    listed = subprocess.run(
        ["tar", "--extract", "--to-stdout", "--file", tmp_path / "a.tar", "d/large", LONG],
        capture_output=True,
        check=True,
    )
    assert listed.stdout == b"x" * 5000 + b"long"
    with tarfile.open(tmp_path / "a.tar") as found:
        members = {member.name: member for member in found}
    assert list(members) == ["d", "d/small", "d/large", LONG, "empty"]
    assert members["d"].isdir()
    assert {(member.uid, member.gid, member.mtime) for member in members.values()} == {(0, 0, 0)}


@given(st.lists(st.tuples(st.binary(max_size=1500), st.booleans()), max_size=8))
def test_strict_reader_finds_every_member(tmp_path_factory, files):
    path = tmp_path_factory.mktemp("tar") / "a.tar"
    with writing(path) as archive:
        for number, (data, long) in enumerate(files):
            archive.add(f"{LONG if long else 'f'}{number}", stream(data))
        archive.finish()
    with RegularFile.open(path) as file:
        members = tar_index.index(file)
        found = [tar_index.open_member(file, member).read() for member in members.values()]
    assert found == [data for data, _ in files]


def test_links_and_modes_are_written_as_requested(tmp_path):
    fd = os.open(tmp_path / "a.tar", os.O_RDWR | os.O_CREAT)
    try:
        archive = TarWriter(fd, tmp_path / "a.tar", mode=0o444)
        archive.add_bytes("file", b"x")
        archive.add_link("d/link", "../file")
        archive.finish()
    finally:
        os.close(fd)
    with tarfile.open(tmp_path / "a.tar") as found:
        file, link = found
        assert (file.mode, link.issym(), link.linkname) == (0o444, True, "../file")
    with RegularFile.open(tmp_path / "a.tar") as file:
        members = tar_index.index(file, links=True)
        assert tar_index.find(members, "d/link", "test").name == "file"


def test_name_may_depend_on_content(tmp_path):
    with writing(tmp_path / "a.tar") as archive:
        archive.add(lambda stored: stored.digest.hex, stream(b"made"))
        archive.finish()
    with tarfile.open(tmp_path / "a.tar") as found:
        assert found.getnames() == [Digest.of(b"made").hex]


def test_computed_name_longer_than_reserved_header_is_refused(tmp_path):
    with writing(tmp_path / "a.tar") as archive, pytest.raises(ValueError, match="does not fit"):
        archive.add(lambda _: LONG, stream(b"made"))


def test_interrupted_write_leaves_no_file(tmp_path):
    with writing(tmp_path / "a.tar") as archive, writing(tmp_path / "same.tar") as same:
        for writer in (archive, same):
            writer.add("first", stream(b"1"))
        with pytest.raises(MediumError):
            archive.add(
                "broken",
                VerifiedReader(Broken(b"y" * 9000, step=4096), "test", digest=None, size=None),
            )
        for writer in (archive, same):
            writer.add("second", stream(b"22"))
            writer.finish()
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "same.tar").read_bytes()


def test_size_too_large_for_octal_is_written_in_binary(tmp_path):
    """The header keeps its length; the file is sparse."""
    size = 9 << 30

    class Zeros:
        position = 0

        def readinto(self, buffer):
            self.position += len(buffer)
            return len(buffer) if self.position <= size else 0

        def descriptor(self):
            return None

    class SparseWriter(TarWriter):
        def _put(self, data, position):
            if len(data) == BUFFER_SIZE:
                os.ftruncate(self._fd, position + len(data))
            else:
                super()._put(data, position)

    fd = os.open(tmp_path / "a.tar", os.O_RDWR | os.O_CREAT)
    try:
        archive = SparseWriter(fd, tmp_path / "a.tar")
        archive.add("huge", Zeros())
        archive.finish()
    finally:
        os.close(fd)
    with RegularFile.open(tmp_path / "a.tar") as file:
        assert tar_index.index(file)["huge"].size == size
    with tarfile.open(tmp_path / "a.tar") as found:
        assert found.getmember("huge").size == size


def test_full_disk_is_reported():
    with writing(Path("/dev/full")) as archive, pytest.raises(NoSpaceError):
        archive.add_bytes("a", b"1")


def test_truncated_archive_is_refused(tmp_path):
    with writing(tmp_path / "a.tar") as archive:
        archive.add_bytes("a", b"1" * 512)
    with (
        RegularFile.open(tmp_path / "a.tar") as file,
        pytest.raises(MalformedError, match="truncated"),
    ):
        tar_index.index(file)
