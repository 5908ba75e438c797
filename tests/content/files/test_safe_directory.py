"""Only regular files are read, and no path escapes the directory."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bundler.content.files.safe_directory import (
    Directory,
    FileSlice,
    RegularFile,
)
from bundler.errors import (
    LimitError,
    MalformedError,
    MissingFileError,
    NotRegularFileError,
)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root/a/b").mkdir(parents=True)
    (tmp_path / "root/a/b/file").write_bytes(b"0123456789")
    with Directory.open(tmp_path / "root") as directory:
        yield directory


def test_file_is_read_from_any_offset(root):
    for offset in (0, 3, 10, 99):
        with root.open_file("a", "b", "file", offset=offset) as file:
            assert file.read() == b"0123456789"[offset:]
            assert file.size == 10


def test_readinto_fills_the_callers_buffer(root):
    buffer = memoryview(bytearray(4))
    with root.open_file("a", "b", "file") as file:
        assert file.readinto(buffer) == 4
        assert buffer == b"0123"


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "x\0", "/etc"])
def test_name_with_several_components_is_refused(root, name):
    for use in (root.open_file, root.enter, root.get_size, root.remove):
        with pytest.raises(MalformedError):
            use(name)


def test_symbolic_link_to_directory_is_not_followed(root, tmp_path):
    (tmp_path / "root/link").symlink_to(tmp_path / "root/a")
    for use in (lambda: root.enter("link"), lambda: root.open_file("link", "b", "file")):
        with pytest.raises(NotRegularFileError) as raised:
            use()
        assert raised.value.path == str(root.path / "link")
        assert raised.value.os_error is not None
    assert root.get_size("link", "b", "file") is None


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.symlink_to("file"),
        os.mkfifo,
        lambda path: path.mkdir(),
        lambda path: os.mknod(path, 0o600 | stat.S_IFSOCK),
    ],
    ids=["link", "pipe", "directory", "socket"],
)
def test_special_files_are_not_read(root, tmp_path, make):
    make(tmp_path / "root/a/b/special")
    with pytest.raises(NotRegularFileError) as raised:
        root.open_file("a", "b", "special")
    assert raised.value.path == str(root.path / "a/b/special")
    assert root.get_size("a", "b", "special") is None


def test_device_is_not_read():
    with pytest.raises(MalformedError):
        RegularFile.open(Path("/dev/zero"))


def test_missing_files_are_reported_with_their_path(root):
    with pytest.raises(MissingFileError) as raised:
        root.open_file("a", "nothing")
    assert raised.value.path == str(root.path / "a/nothing")
    assert isinstance(raised.value.os_error, FileNotFoundError)
    with pytest.raises(MissingFileError) as raised:
        root.enter("x", "y")
    assert raised.value.path == str(root.path / "x")
    assert root.get_size("a", "nothing") is None


def test_small_file_is_read_up_to_its_limit(root):
    assert root.read("a", "b", "file", limit=10) == b"0123456789"
    with pytest.raises(LimitError):
        root.read("a", "b", "file", limit=9)


def test_missing_directory_is_created(root, tmp_path):
    with root.enter("new", "deep", create=True) as deep:
        assert deep.path == tmp_path / "root/new/deep"
    assert (tmp_path / "root/new/deep").is_dir()


def test_open_directory_survives_renaming(root, tmp_path):
    (tmp_path / "root").rename(tmp_path / "moved")
    with root.open_file("a", "b", "file") as file:
        assert file.read(1) == b"0"


def test_ranges_of_a_file_are_read_concurrently(tmp_path):
    (tmp_path / "file").write_bytes(bytes(range(256)) * 100)
    with RegularFile.open(tmp_path / "file") as file:
        slices = [FileSlice(file, start, 1000) for start in range(0, 25_000, 500)]
        with ThreadPoolExecutor(8) as pool:
            read = list(pool.map(lambda part: part.read(), slices))
    whole = bytes(range(256)) * 100
    assert read == [whole[start : start + 1000] for start in range(0, 25_000, 500)]


def test_range_ends_at_end_of_file(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    with RegularFile.open(tmp_path / "file") as file, FileSlice(file, 8, 100) as end:
        assert (end.read(1), end.read(), end.read()) == (b"8", b"9", b"")


def test_file_in_place_of_directory_is_reported(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(MissingFileError) as raised:
        Directory.open(tmp_path / "file")
    assert isinstance(raised.value.os_error, NotADirectoryError)


def test_file_that_is_too_large_is_not_read(root, tmp_path):
    """A sparse file of 1 TiB is refused; a file with a wrong size is read up to the limit."""
    os.truncate(tmp_path / "root/a/b/file", 1 << 40)
    with pytest.raises(LimitError):
        root.read("a", "b", "file", limit=10)
    os.truncate(tmp_path / "root/a/b/file", 10)
    assert len(root.read("a", "b", "file", limit=10)) == 10
