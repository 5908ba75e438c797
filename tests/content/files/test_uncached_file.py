"""Files that are read from their medium, with direct I/O or after their cache was dropped."""

from __future__ import annotations

import fcntl
import os

import pytest

from bundler.content.files.safe_directory import RegularFile
from bundler.content.files.uncached_file import UncachedFile


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 1_048_576, 1_048_577, 3_000_001])
@pytest.mark.parametrize("direct", [True, False])
def test_content_is_returned(tmp_path, size, direct, monkeypatch):
    def refuse(*_):
        raise OSError

    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    if not direct:
        monkeypatch.setattr(fcntl, "fcntl", refuse)
    with RegularFile.open(tmp_path / "file") as file:
        stream = UncachedFile(file)
        assert stream.method == ("direct" if direct else "dropped")
        assert stream.read() == data
