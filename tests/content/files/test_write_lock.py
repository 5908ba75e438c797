"""Locks of writers where flock(2) does not exclude all others."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from bundler.content.files import file_lock, part_files, write_lock
from bundler.content.files.lock_holder import LockHolder
from bundler.content.files.replace_file import FileReplacement
from bundler.content.files.safe_directory import Directory
from bundler.content.files.write_lock import RECORD, find_file_system, hold
from bundler.errors import LockedError

HOLDER = """
import sys
from pathlib import Path
from bundler.content.files import write_lock
from bundler.content.files.safe_directory import Directory
write_lock.find_file_system = lambda fd: "nfs4"
with Directory.open(Path(sys.argv[1])) as directory, write_lock.hold(directory):
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path):
    with Directory.open(tmp_path) as opened:
        yield opened


@pytest.fixture(params=["no flock", "nfs4", "fuse.sshfs"])
def not_local(request, monkeypatch):
    """A file system without flock(2), or one that other hosts may write to."""
    if request.param != "no flock":
        monkeypatch.setattr(write_lock, "find_file_system", lambda _: request.param)
        return

    def fail(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(file_lock.fcntl, "flock", fail)


@pytest.fixture
def other_process(folder):
    """Another process that has locked the directory by a record; killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, folder.path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": ":".join(sys.path)},
    )
    assert process.stdout.readline() == b"locked\n"
    yield process
    process.kill()
    process.communicate()


def write_record(folder, **properties):
    holder = replace(LockHolder.of_process(os.getpid()), **properties)
    (folder.path / RECORD).write_bytes(holder.encode())


def test_record_exists_while_the_directory_is_locked(folder, not_local):
    with hold(folder):
        record = json.loads((folder.path / RECORD).read_bytes())
        assert record["process"] == os.getpid()
        assert record["host"] == os.uname().nodename
    assert folder.list_names() == []


def test_local_disk_needs_no_record(folder):
    assert find_file_system(folder.fd) != ""
    with hold(folder):
        assert folder.list_names() == []


@pytest.mark.usefixtures("not_local")
def test_second_process_is_refused_and_told_who_holds_the_lock(folder, other_process):
    with pytest.raises(LockedError) as raised, hold(folder):
        pass
    assert f"@{os.uname().nodename}, process {other_process.pid}, python" in str(raised.value)
    assert "UTC" in raised.value.holder
    other_process.communicate()
    with hold(folder):
        pass
    assert folder.list_names() == []


@pytest.mark.usefixtures("not_local")
def test_lock_of_a_killed_process_is_taken_over(folder, other_process):
    other_process.kill()
    other_process.communicate()
    assert folder.list_names() == [RECORD]
    with hold(folder):
        pass
    assert folder.list_names() == []


@pytest.mark.usefixtures("not_local")
@pytest.mark.parametrize(
    "properties",
    [{"boot": "of an earlier start"}, {"ticks": 1}, {"process": 2**22 + 1}],
    ids=["restarted host", "reused process ID", "no such process"],
)
def test_lock_of_an_ended_process_is_taken_over(folder, monkeypatch, tmp_path, properties):
    machine = tmp_path.parent / "machine-id"
    machine.write_text("0123456789abcdef\n")
    monkeypatch.setattr("bundler.content.files.lock_holder._MACHINE_ID", machine)
    write_record(folder, **properties)
    with hold(folder):
        assert (folder.path / RECORD).read_bytes() == LockHolder.of_process(os.getpid()).encode()
    assert folder.list_names() == []


@pytest.mark.usefixtures("not_local")
def test_lock_of_another_host_is_kept_until_the_user_removes_it(folder):
    write_record(
        folder,
        user="ann",
        host="far",
        process=5,
        boot="b",
        since="2026-11-30T08:15:00Z",
        machine="m",
    )
    with pytest.raises(LockedError, match=r"ann@far, process 5, .*since 2026-11-30 08:15 UTC") as e:
        hold(folder).__enter__()
    assert str(folder.path / RECORD) in e.value.hint
    assert folder.list_names() == [RECORD]


@pytest.mark.usefixtures("not_local")
def test_record_that_cannot_be_read_is_kept(folder):
    (folder.path / RECORD).write_bytes(b"[" * 3000)
    with pytest.raises(LockedError) as raised:
        hold(folder).__enter__()
    assert str(folder.path / RECORD) in raised.value.hint


@pytest.mark.usefixtures("not_local")
def test_record_that_stays_empty_is_taken_over(folder, monkeypatch):
    monkeypatch.setattr(write_lock, "_WRITING_TIME", 0)
    (folder.path / RECORD).touch()
    with hold(folder):
        pass


def test_container_on_the_same_host_is_judged_by_the_lock_of_the_kernel(folder, monkeypatch):
    monkeypatch.setattr(write_lock, "find_file_system", lambda _: "nfs4")
    write_record(folder, namespace="pid:[1]")
    with hold(folder):
        pass
    write_record(folder, namespace="pid:[1]")
    monkeypatch.setattr(file_lock, "try_lock", lambda *_, **__: "unsupported")
    with pytest.raises(LockedError):
        hold(folder).__enter__()


def test_record_of_another_process_is_not_removed_at_the_end(folder, monkeypatch):
    monkeypatch.setattr(write_lock, "find_file_system", lambda _: "nfs4")
    with hold(folder):
        write_record(folder, host="far")  # the user had removed the record
    assert folder.list_names() == [RECORD]


def test_new_file_is_written_by_one_process(folder, not_local):
    with FileReplacement(folder.path / "a.tar"):
        with pytest.raises(LockedError):
            FileReplacement(folder.path / "a.tar")
        with FileReplacement(folder.path / "b.tar"):
            pass
    assert folder.list_names() == []


def test_cleaning_removes_unfinished_files_and_keeps_the_record(folder, not_local):
    with hold(folder):
        (folder.path / ".airbundle-0123456789abcdef.part").touch()
        part_files.remove_parts(folder)
        assert folder.list_names() == [RECORD]


def test_description_contains_no_arguments(monkeypatch):
    script = "import time; time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script, "--creds", "user:secret"]) as process:
        try:
            assert "secret" not in LockHolder.of_process(process.pid).encode().decode()
        finally:
            process.kill()
