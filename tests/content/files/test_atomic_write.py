"""Files are replaced completely and durably, or not at all."""

from __future__ import annotations

import errno
import os
import stat

import pytest

from bundler.content.files import atomic_write, part_files
from bundler.content.files.safe_directory import Directory
from bundler.content.streams import VerifiedReader
from bundler.errors import DigestMismatchError, MediumError, NoSpaceError
from bundler.oci.digest import Digest
from tests.contracts.contents import Chunks


def content(data, digest=None):
    return VerifiedReader(Chunks(data), "test", digest=digest or Digest.of(data), size=len(data))


def listing(path):
    return {file.name: file.read_bytes() for file in path.iterdir()}


def fail_at(monkeypatch, call, number, *, times=1):
    """Let ``os.<call>`` fail with ``number`` for the first ``times`` calls; record all calls."""
    real, calls = getattr(os, call), []

    def wrapped(*arguments, **named):
        calls.append(arguments)
        if len(calls) <= times:
            raise OSError(number, os.strerror(number))
        return real(*arguments, **named)

    monkeypatch.setattr(os, call, wrapped)
    return calls


def test_content_is_stored_under_its_name_with_the_usual_mode(tmp_path):
    before = os.umask(0o077)
    try:
        stored = atomic_write.write_content(tmp_path, "name", content(b"data" * 1000))
    finally:
        os.umask(before)
    assert listing(tmp_path) == {"name": b"data" * 1000}
    assert stored.digest == Digest.of(b"data" * 1000)
    assert stat.S_IMODE((tmp_path / "name").stat().st_mode) == 0o644


def test_name_may_depend_on_content(tmp_path):
    reader = VerifiedReader(Chunks(b"made"), "test", digest=None, size=None)
    atomic_write.write_content(tmp_path, lambda stored: stored.digest.hex, reader)
    assert listing(tmp_path) == {Digest.of(b"made").hex: b"made"}


def test_wrong_content_leaves_former_file_unchanged(tmp_path):
    (tmp_path / "name").write_bytes(b"former")
    with pytest.raises(DigestMismatchError):
        atomic_write.write_content(tmp_path, "name", content(b"wrong", Digest.of(b"right")))
    assert listing(tmp_path) == {"name": b"former"}


def test_bytes_replace_a_file_and_keep_their_mode(tmp_path):
    (tmp_path / "name").write_bytes(b"former")
    atomic_write.write_bytes(tmp_path / "name", b"latter", mode=0o600)
    assert listing(tmp_path) == {"name": b"latter"}
    assert stat.S_IMODE((tmp_path / "name").stat().st_mode) == 0o600


def test_symbolic_link_is_replaced_and_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_bytes(b"former")
    (tmp_path / "name").symlink_to(victim)
    atomic_write.write_bytes(tmp_path / "name", b"latter")
    assert victim.read_bytes() == b"former"
    assert not (tmp_path / "name").is_symlink()


def test_file_is_synced_before_rename_and_directory_after(tmp_path, monkeypatch):
    order = []
    sync, rename = os.fsync, os.rename

    def note_sync(fd):
        order.append("directory" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        sync(fd)

    def note_rename(*arguments, **named):
        order.append("rename")
        rename(*arguments, **named)

    monkeypatch.setattr(os, "fsync", note_sync)
    monkeypatch.setattr(os, "rename", note_rename)
    atomic_write.write_content(tmp_path, "name", content(b"data"))
    assert order == ["file", "rename", "directory"]


@pytest.mark.parametrize(
    ("number", "error"),
    [(errno.ENOSPC, NoSpaceError), (errno.EDQUOT, NoSpaceError), (errno.EIO, MediumError)],
    ids=["full", "quota", "broken"],
)
@pytest.mark.parametrize("call", ["write", "fsync", "rename"])
def test_failing_medium_leaves_former_file_unchanged(tmp_path, monkeypatch, call, number, error):
    (tmp_path / "name").write_bytes(b"former")
    calls = fail_at(monkeypatch, call, number)
    with pytest.raises(error) as raised:
        atomic_write.write_bytes(tmp_path / "name", b"latter")
    assert raised.value.path.startswith(str(tmp_path))
    assert raised.value.os_error.errno == number
    assert raised.value.hint
    assert len(calls) == 1  # in particular, a failed fsync is not retried
    assert listing(tmp_path) == {"name": b"former"}


def test_short_write_is_continued(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:3]))
    atomic_write.write_bytes(tmp_path / "name", b"0123456789")
    assert listing(tmp_path) == {"name": b"0123456789"}


def test_bytes_lost_by_file_system_are_detected(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real(fd, data[:3]) and len(data))
    with pytest.raises(MediumError, match="lost part"):
        atomic_write.write_bytes(tmp_path / "name", b"0123456789")
    assert listing(tmp_path) == {}


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP], ids=["EINVAL", "ENOTSUP"])
def test_file_system_without_directory_sync_is_accepted(tmp_path, monkeypatch, number):
    fail_at(monkeypatch, "fsync", number)
    atomic_write.sync_directory(tmp_path)


def test_failed_directory_sync_is_reported(tmp_path, monkeypatch):
    fail_at(monkeypatch, "fsync", errno.EIO)
    with pytest.raises(MediumError) as raised:
        atomic_write.sync_directory(tmp_path)
    assert raised.value.path == str(tmp_path)
    assert raised.value.os_error.errno == errno.EIO


def test_file_system_without_modes_is_accepted(tmp_path, monkeypatch):
    fail_at(monkeypatch, "fchmod", errno.EPERM)
    atomic_write.write_bytes(tmp_path / "name", b"data")
    assert listing(tmp_path) == {"name": b"data"}


@pytest.mark.parametrize(
    ("number", "hint"),
    [(errno.EROFS, "writable"), (errno.EACCES, "owner"), (errno.EFBIG, "FAT32")],
    ids=["read-only", "forbidden", "too-large"],
)
def test_hint_states_next_step(tmp_path, monkeypatch, number, hint):
    fail_at(monkeypatch, "write", number)
    with pytest.raises(MediumError) as raised:
        atomic_write.write_bytes(tmp_path / "name", b"data")
    assert hint in raised.value.hint


def test_remove_parts_removes_only_unfinished_files(tmp_path):
    for name in (".airbundle-01.part", "name", ".airbundle-x", "x.part"):
        (tmp_path / name).write_bytes(b"")
    with Directory.open(tmp_path) as directory:
        part_files.remove_parts(directory)
    assert set(listing(tmp_path)) == {"name", ".airbundle-x", "x.part"}
