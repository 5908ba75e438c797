"""Unfinished files on a medium that fills up, or that is disconnected."""

from __future__ import annotations

import errno
import os

import pytest

from bundler.content.files import atomic_write, part_files
from bundler.content.files.part_files import KeptParts
from bundler.content.files.replace_file import FileReplacement
from bundler.content.files.safe_directory import Directory
from bundler.content.streams import VerifiedReader
from bundler.errors import DisconnectedMediumError, NoSpaceError
from bundler.oci.digest import Digest
from tests.contracts.contents import Chunks

DATA = bytes(range(256)) * (16 << 10)


@pytest.fixture
def medium(tmp_path):
    (tmp_path / "medium").mkdir()
    return tmp_path / "medium"


def write(medium, on_read=lambda count: None):
    """Write DATA as a blob; ``on_read`` receives the size of each chunk."""
    digest = Digest.of(DATA)
    with Directory.open(medium) as directory:
        part = KeptParts().take(directory, digest, len(DATA))
        reader = VerifiedReader(
            Chunks(DATA), "test", digest=digest, size=len(DATA), observe=on_read
        )
        atomic_write.write_content(directory, digest.hex, reader, part=part)


def test_large_blob_is_not_written_to_the_end_on_a_disconnected_medium(medium, monkeypatch):
    """The part remains on the medium, for the run after it is connected again."""
    monkeypatch.setattr(atomic_write, "CHECK_INTERVAL", 0)
    unmounted, counts = medium.with_name("unmounted"), []

    def disconnect(count):
        counts.append(count)
        if sum(counts) > len(DATA) // 2 and medium.exists():
            medium.rename(unmounted)

    with pytest.raises(DisconnectedMediumError):
        write(medium, disconnect)
    assert sum(counts) < len(DATA)
    (part,) = unmounted.iterdir()
    assert part.stat().st_size > atomic_write.MIN_KEPT


def test_stored_part_remains_on_a_full_disk(medium, monkeypatch):
    real = os.write

    def write_until_full(fd, data):
        if os.fstat(fd).st_size > len(DATA) // 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(fd, data)

    monkeypatch.setattr(os, "write", write_until_full)
    with pytest.raises(NoSpaceError):
        write(medium)
    (part,) = medium.iterdir()
    assert part_files.is_kept(part.name)
    assert part.stat().st_size > len(DATA) // 2


def test_archive_is_not_published_on_a_disconnected_medium(medium):
    with FileReplacement(medium / "archive.tar") as archive:
        medium.rename(medium.with_name("unmounted"))
        with pytest.raises(DisconnectedMediumError):
            archive.publish(0)
