"""The test of how much a medium really stores."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from bundler.bundle.media import capacity
from bundler.cancel import Cancellation
from bundler.content.files.atomic_write import PartFile
from bundler.content.files.safe_directory import Directory
from bundler.content.streams import BUFFER_SIZE
from bundler.errors import NoSpaceError

BLOCKS = 20


@pytest.fixture
def full_after_some_blocks(monkeypatch):
    """A medium with room for ``BLOCKS``; the yielded list has the number of open files of each."""
    write, opened = PartFile.write, []

    def limited(part, data):
        opened.append(len(list(Path("/proc/self/fd").iterdir())))
        if len(opened) > BLOCKS:
            raise NoSpaceError("disk", needed=None, free=0)
        write(part, data)

    monkeypatch.setattr(PartFile, "write", limited)
    monkeypatch.setattr(capacity, "_FILE_SIZE", 2 * BUFFER_SIZE)
    return opened


def probe(path):
    with Directory.open(path) as directory, ExitStack() as stack:
        found = capacity.probe_capacity(directory, stack, Cancellation(), lambda _: None)
        assert len(directory.list_names()) == BLOCKS // 2 + 1
    assert list(path.iterdir()) == []
    return found


def test_number_of_open_files_does_not_grow_with_the_medium(tmp_path, full_after_some_blocks):
    assert probe(tmp_path).is_genuine
    assert max(full_after_some_blocks) == full_after_some_blocks[0]


@pytest.mark.usefixtures("full_after_some_blocks")
def test_blocks_after_the_first_lost_one_do_not_count(tmp_path, monkeypatch):
    count_intact = capacity._TestFiles.count_intact

    def lose(files):
        with (tmp_path / files.names[3]).open("r+b") as file:
            file.seek(BUFFER_SIZE + 5)
            byte = file.read(1)
            file.seek(BUFFER_SIZE + 5)
            file.write(bytes([byte[0] ^ 1]))
        return count_intact(files)

    monkeypatch.setattr(capacity._TestFiles, "count_intact", lose)
    found = probe(tmp_path)
    assert (found.written, found.intact) == (BLOCKS * BUFFER_SIZE, 7 * BUFFER_SIZE)
