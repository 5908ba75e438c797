"""Cached data is written to the medium while more is produced."""

from __future__ import annotations

import errno
import os

import pytest

from bundler.content.files import write_behind
from bundler.content.files.atomic_write import PartFile
from bundler.content.files.replace_file import FileReplacement
from bundler.content.files.safe_directory import Directory
from bundler.content.files.write_behind import WINDOW, WriteBehind
from bundler.errors import MediumError

MIB = 1024 * 1024


@pytest.fixture
def fail(monkeypatch):
    """A medium that cannot store the data that is cached."""

    def write_out(_fd):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(write_behind, "_find_function", lambda: write_out)


def test_each_window_is_written_out_once(tmp_path, monkeypatch):
    sizes = []
    monkeypatch.setattr(
        write_behind, "_find_function", lambda: lambda fd: sizes.append(os.fstat(fd).st_size)
    )
    with Directory.open(tmp_path) as folder, PartFile.create(folder, 0o644) as part:
        for _ in range(3 * WINDOW // MIB - 1):
            part.write(memoryview(bytes(MIB)))
    assert sizes == [WINDOW, 2 * WINDOW]


@pytest.mark.usefixtures("fail")
def test_failing_medium_is_reported(tmp_path):
    with Directory.open(tmp_path) as folder, PartFile.create(folder, 0o644) as part:
        with pytest.raises(MediumError, match="input/output error"):
            part.write(memoryview(bytes(WINDOW)))
        with pytest.raises(MediumError, match="input/output error"):
            part.write_at(memoryview(bytes(WINDOW)), 0)
    with (
        FileReplacement(tmp_path / "a.tar") as archive,
        pytest.raises(MediumError, match="input/output error"),
    ):
        archive.write(bytes(WINDOW), 0)
    assert list(tmp_path.iterdir()) == []


def test_file_and_pipe_are_accepted_by_the_kernel(tmp_path):
    with (tmp_path / "file").open("wb") as file:
        file.write(bytes(WINDOW))
        file.flush()
        WriteBehind(file.fileno()).add(WINDOW)
    reader, writer = os.pipe()
    WriteBehind(writer).add(WINDOW)
    os.close(reader)
    os.close(writer)
