"""The records of a site survive interruptions, and no damage to them goes unnoticed."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bundler.bundle.records import site
from bundler.bundle.records.log import log as logs
from bundler.bundle.records.restore import restore
from bundler.bundle.records.state import state_file
from bundler.errors import (
    ConflictError,
    LockedError,
    LostRecordsError,
    MalformedError,
    NoSpaceError,
)
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Sample

START = datetime(2026, 11, 23, 7, tzinfo=UTC)


def describe_import(stream: str, serial: int, *, signed: bool = True) -> dict[str, Any]:
    return {
        "stream": stream,
        "serial": serial,
        "inventory": Digest.of(f"{stream} {serial}".encode()).text,
        "seen": "2026-11-23T07:00:00Z",
        "authenticated": signed,
    }


def record(path: Path, stream: str, serial: int, *, signed: bool = True) -> site.Records:
    return site.append(path, "import", START, describe_import(stream, serial, signed=signed))


def read_serials(path: Path) -> dict[str, int]:
    return {name: state.serial for name, state in site.read(path).streams.items()}


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Records of two streams."""
    path = tmp_path / "state/records"
    for stream, serial in (("plant-7", 41), ("ward", 7), ("plant-7", 42)):
        record(path, stream, serial)
    return path


def test_missing_directory_is_a_new_site_and_is_not_created(tmp_path: Path):
    found = site.read(tmp_path / "records")
    assert found.is_new
    assert not found.streams
    assert list(tmp_path.iterdir()) == []


def test_highest_serial_of_each_stream_is_kept(records: Path):
    record(records, "plant-7", 40)
    assert read_serials(records) == {"plant-7": 42, "ward": 7}


def test_unsigned_import_is_logged_and_leaves_the_state_unchanged(records: Path):
    record(records, "plant-7", 99, signed=False)
    found = site.read(records)
    assert found.log.entries[-1].value["serial"] == 99
    assert read_serials(records) == {"plant-7": 42, "ward": 7}


def test_reset_removes_one_stream(records: Path):
    site.append(records, "reset", START, {"stream": "plant-7", "reason": "new office"})
    assert read_serials(records) == {"ward": 7}


def test_only_the_owner_can_read_the_records(records: Path):
    site.prepare(records)
    modes = {path: path.stat().st_mode & 0o777 for path in (records, *records.iterdir())}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    assert {mode for path, mode in modes.items() if path.is_file()} == {0o600}


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_users_of_one_group_share_a_directory_that_the_group_can_write(tmp_path: Path):
    path = tmp_path / "shared"
    path.mkdir()
    path.chmod(0o2770)
    umask = os.umask(0o077)
    try:
        site.prepare(path)
        with site.lock_stream(path, "plant-7", shared=False):
            record(path, "plant-7", 41)
    finally:
        os.umask(umask)
    found = list(path.rglob("*"))
    assert len(found) == 6
    for each in found:
        assert each.stat().st_mode & 0o777 == (0o770 if each.is_dir() else 0o660)
    if os.geteuid() == 0:
        shared = os.open(path, os.O_RDONLY)
        child = os.fork()
        if child == 0:
            try:
                os.fchdir(shared)
                os.setgroups([])
                os.setresgid(*[path.stat().st_gid] * 3)
                os.setresuid(65534, 65534, 65534)
                site.prepare(Path())
                with site.lock_stream(Path(), "plant-7", shared=False):
                    record(Path(), "plant-7", 42)
            except BaseException:  # noqa: BLE001 - the child must not return to pytest
                os._exit(1)
            os._exit(0)
        os.close(shared)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert record(path, "plant-7", 43).streams["plant-7"].serial == 43


def test_each_line_names_the_digest_of_the_line_before(records: Path):
    lines = (records / logs.NAME).read_bytes().splitlines(keepends=True)
    entries = site.read(records).log.entries
    assert [entry.digest for entry in entries] == [Digest.of(line) for line in lines]
    previous = [entry.value.get("previous") for entry in entries]
    assert previous == [None, *(Digest.of(line).text for line in lines[:-1])]


@pytest.mark.parametrize("name", [logs.NAME, state_file.NAME])
def test_missing_file_is_reported_and_not_replaced(records: Path, name: str):
    (records / name).unlink()
    with pytest.raises(LostRecordsError) as caught:
        site.read(records)
    assert caught.value.path == str(records / name)
    with pytest.raises(LostRecordsError):
        record(records, "plant-7", 43)
    assert not (records / name).exists()


@pytest.mark.parametrize("name", [logs.NAME, state_file.NAME])
def test_every_truncated_file_is_reported(records: Path, name: str):
    raw = (records / name).read_bytes()
    for size in range(len(raw)):
        (records / name).write_bytes(raw[:size])
        if name == state_file.NAME and size == len(raw) - 1:
            assert read_serials(records) == {"plant-7": 42, "ward": 7}  # only the line end
            continue
        with pytest.raises(LostRecordsError):
            site.read(records)


@pytest.mark.parametrize("name", [logs.NAME, state_file.NAME])
@pytest.mark.parametrize("bit", [0x01, 0x20, 0x80])
def test_every_changed_byte_is_reported_or_changes_nothing(
    records: Path, name: str, bit: int, sample: Sample
):
    raw = (records / name).read_bytes()
    expected = read_serials(records)
    unnoticed = 0
    for position in sample(range(len(raw)), 5):
        changed = bytearray(raw)
        changed[position] ^= bit
        (records / name).write_bytes(changed)
        try:
            assert read_serials(records) == expected
            unnoticed += 1
        except LostRecordsError:
            pass
    assert unnoticed <= (1 if name == state_file.NAME else 0)  # the line end of the state


@pytest.mark.parametrize("kept", [logs.NAME, state_file.NAME])
def test_older_copy_of_one_file_is_reported(records: Path, kept: str):
    other = ({logs.NAME, state_file.NAME} - {kept}).pop()
    former = (records / other).read_bytes()
    record(records, "plant-7", 43)
    record(records, "plant-7", 44)
    (records / other).write_bytes(former)
    if other == state_file.NAME:  # as after an interruption: the log is complete
        assert read_serials(records)["plant-7"] == 44
        return
    with pytest.raises(LostRecordsError):
        site.read(records)


def test_log_of_another_site_is_reported(records: Path, tmp_path: Path):
    for serial in range(5):
        record(tmp_path / "other", "plant-7", serial)
    (records / logs.NAME).write_bytes((tmp_path / "other" / logs.NAME).read_bytes())
    with pytest.raises(LostRecordsError):
        site.read(records)


def test_interrupted_line_is_replaced_and_noted_in_the_next_entry(records: Path):
    with (records / logs.NAME).open("ab") as file:
        file.write(b'{"_type":"airbundle/log/v1","ev')
    assert read_serials(records)["plant-7"] == 42
    after = record(records, "plant-7", 43)
    assert after.log.entries[-1].value["interrupted"]["size"] == 31
    assert site.read(records) == after


@pytest.mark.parametrize("lost", [(logs.NAME,), (state_file.NAME,), ()])
def test_restore_keeps_serials_and_former_files(records: Path, lost: tuple[str, ...]):
    state = records / state_file.NAME
    state.write_bytes(state.read_bytes() + (b" " if lost else b"damaged"))
    for name in lost:
        (records / name).unlink()
    kept = {(records / name).read_bytes() for name in {logs.NAME, state_file.NAME} - set(lost)}
    restore(records, START, "disk failed")
    assert read_serials(records) == {"plant-7": 42, "ward": 7}
    assert {path.read_bytes() for path in records.glob("*.former")} == kept
    assert record(records, "plant-7", 43).streams["plant-7"].serial == 43


def test_whole_records_are_not_restored(records: Path):
    """A good log would be replaced."""
    before = {path: path.read_bytes() for path in records.iterdir() if path.is_file()}
    with pytest.raises(ConflictError):
        restore(records, START, "wrong head")
    assert {path: path.read_bytes() for path in records.iterdir() if path.is_file()} == before


def test_restore_reads_the_log_up_to_the_damage(records: Path):
    (records / state_file.NAME).unlink()
    raw = bytearray((records / logs.NAME).read_bytes())
    raw[-10] ^= 1
    (records / logs.NAME).write_bytes(raw)
    restore(records, START, "disk failed")
    assert read_serials(records) == {"plant-7": 41, "ward": 7}


def interrupt(call: int, action: Callable[[], object]) -> bool:
    """Run ``action`` in a process that ends at its ``call``-th write; return whether it ended."""
    child = os.fork()
    if child == 0:
        count = 0

        def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
            def counted(*arguments: Any, **options: Any) -> Any:
                nonlocal count
                count += 1
                if count == call:
                    if function is pwrite:  # half of the data reaches the disk
                        function(arguments[0], arguments[1][: len(arguments[1]) // 2], arguments[2])
                    os._exit(9)
                return function(*arguments, **options)

            return counted

        pwrite = os.pwrite
        for name in ("open", "write", "pwrite", "fsync", "rename", "mkdir", "ftruncate", "unlink"):
            setattr(os, name, wrap(getattr(os, name)))
        try:
            action()
        except BaseException:  # noqa: BLE001 - the child must not return to pytest
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) in (0, 9)
    return os.waitstatus_to_exitcode(status) == 9


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_killed_import_leaves_the_state_before_or_after_it(tmp_path: Path):
    call = 0
    while True:
        call += 1
        path = tmp_path / f"{call}"
        ended = interrupt(call, lambda path=path: record(path, "plant-7", 42))
        assert read_serials(path) in ({}, {"plant-7": 42})
        record(path, "plant-7", 43)
        assert read_serials(path) == {"plant-7": 43}
        if not ended:
            break
    assert call > 10


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_killed_import_of_known_stream_keeps_the_recorded_serial(tmp_path: Path):
    call = 0
    while True:
        call += 1
        path = tmp_path / f"{call}"
        record(path, "plant-7", 41)
        ended = interrupt(call, lambda path=path: record(path, "plant-7", 42))
        assert read_serials(path)["plant-7"] in (41, 42)
        if not ended:
            break
    assert read_serials(path) == {"plant-7": 42}


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_killed_restore_never_forgets_a_serial(tmp_path: Path):
    call = 0
    while True:
        call += 1
        path = tmp_path / f"{call}"
        record(path, "plant-7", 42)
        (path / logs.NAME).unlink()
        ended = interrupt(call, lambda path=path: restore(path, START, "test"))
        try:
            assert read_serials(path) == {"plant-7": 42}
        except LostRecordsError:
            restore(path, START, "again")
            assert read_serials(path) == {"plant-7": 42}
        if not ended:
            break


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_processes_that_record_at_once_lose_no_entry(tmp_path: Path):
    children = []
    for number in range(4):
        if (child := os.fork()) == 0:
            try:
                for serial in range(10):
                    record(tmp_path / "records", f"stream-{number}", serial)
            except BaseException:  # noqa: BLE001 - the child must not return to pytest
                os._exit(1)
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 4
    found = site.read(tmp_path / "records")
    assert len(found.log.entries) == 40
    assert read_serials(tmp_path / "records") == {f"stream-{number}": 9 for number in range(4)}


def test_stream_is_imported_by_one_process_at_a_time(records: Path):
    with site.lock_stream(records, "plant-7", shared=False):
        with site.lock_stream(records, "ward", shared=False):
            pass
        with pytest.raises(LockedError), site.lock_stream(records, "plant-7", shared=True):
            pass
    with (
        site.lock_stream(records, "plant-7", shared=True),
        site.lock_stream(records, "plant-7", shared=True),
    ):
        pass


def test_failed_write_leaves_the_log_as_it_was(records: Path, monkeypatch: pytest.MonkeyPatch):
    before = (records / logs.NAME).read_bytes()

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fail)
        with pytest.raises(NoSpaceError):
            record(records, "plant-7", 43)
    assert (records / logs.NAME).read_bytes() == before
    assert record(records, "plant-7", 43).streams["plant-7"].serial == 43


def test_entry_is_refused_if_it_has_a_fraction(records: Path):
    raw = (records / logs.NAME).read_bytes().replace(b'"serial":7', b'"serial":7.0')
    with pytest.raises(MalformedError):
        logs.parse(raw, "log")


def test_last_seen_is_the_latest_of_all_streams(records: Path):
    later = describe_import("ward", 8) | {"seen": "2026-12-24T00:00:00Z"}
    site.append(records, "import", START, later)
    seen = max(state.seen for state in site.read(records).streams.values())
    assert seen == datetime(2026, 12, 24, tzinfo=UTC)
