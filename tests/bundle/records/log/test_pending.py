"""An import that is killed while it is recorded is completed by the next run."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundler.bundle.records import receipts, site
from bundler.bundle.records.log import log as logs, pending
from bundler.bundle.records.receipts import SignedReceipt
from bundler.bundle.records.restore import restore
from bundler.bundle.records.state import state_file
from bundler.errors import LostRecordsError
from tests.bundle.records.test_site import START, describe_import, interrupt, read_serials

RECEIPT = SignedReceipt(b"{}\n", {".ab12cd34ef567890.sig": b"signature"})


def record_import(path: Path, serial: int) -> Path:
    stem = f"plant-7-{serial}-2026-11-23T070000Z"
    return site.record_import(path, RECEIPT, stem, START, describe_import("plant-7", serial))


def compare(path: Path) -> int:
    found = site.read(path)
    entries = found.log.entries + (() if found.pending is None else (found.pending,))
    return receipts.compare_with_log(path / site.RECEIPTS, entries)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_killed_import_is_recorded_by_the_next_run(tmp_path: Path):
    call, recovered = 0, 0
    while True:
        call += 1
        path = tmp_path / f"{call}"
        site.prepare(path)
        record_import(path, 41)
        ended = interrupt(call, lambda path=path: record_import(path, 42))
        has_receipt = any((path / site.RECEIPTS).glob("*-42-*.json"))
        compare(path)  # no receipt is reported as a foreign one
        recovered += site.prepare(path)
        assert not (path / pending.NAME).exists()
        found = site.read(path)
        assert found.pending is None
        if has_receipt:
            assert read_serials(path) == {"plant-7": 42}
            assert len(found.log.entries) == 2
        absent = len(found.log.entries) - 1 - has_receipt
        assert receipts.compare_with_log(path / site.RECEIPTS, found.log.entries) == absent
        record_import(path, 43)
        assert read_serials(path) == {"plant-7": 43}
        if not ended:
            break
    assert recovered > 2


@pytest.fixture
def interrupted(tmp_path: Path) -> Path:
    """Records of an import that was killed after its receipt, before its entry."""
    path = tmp_path / "records"
    site.prepare(path)
    record_import(path, 41)
    before = {name: (path / name).read_bytes() for name in (logs.NAME, state_file.NAME)}
    record_import(path, 42)
    line = (path / logs.NAME).read_bytes().splitlines(keepends=True)[-1]
    for name, raw in before.items():
        (path / name).write_bytes(raw)
    (path / pending.NAME).write_bytes(line)
    return path


def test_entry_of_interrupted_import_states_that_it_was_found_later(interrupted: Path):
    assert compare(interrupted) == 0
    site.reset(interrupted, START, "plant-7", "test")
    _, found, added = site.read(interrupted).log.entries
    assert "recovered" in found.table
    assert found.time == START
    assert found.table.text("stream") == "plant-7"
    assert (added.event, added.table.integer("serial")) == ("reset", 42)
    assert compare(interrupted) == 0


def test_receipt_that_is_not_pending_is_reported(interrupted: Path):
    (interrupted / pending.NAME).unlink()
    with pytest.raises(LostRecordsError):
        compare(interrupted)


def test_changed_receipt_of_interrupted_import_is_reported(interrupted: Path):
    (receipt,) = (interrupted / site.RECEIPTS).glob("*-42-*.json")
    receipt.write_bytes(b"[]\n")
    with pytest.raises(LostRecordsError):
        compare(interrupted)


def test_receipt_gets_no_name_of_an_absent_one(interrupted: Path):
    """The killed import has written no receipt, and the next one ends in the same second."""
    (receipt,) = (interrupted / site.RECEIPTS).glob("*-42-*.json")
    for file in (interrupted / site.RECEIPTS).glob("*-42-*"):
        file.unlink()
    other = SignedReceipt(b"[]\n", {})
    members = describe_import("plant-7", 42)
    written = site.record_import(interrupted, other, receipt.stem, START, members)
    assert written != receipt
    assert compare(interrupted) == 1


def test_unfinished_files_of_a_killed_import_are_removed(tmp_path: Path):
    site.prepare(tmp_path / "records")
    folders = [tmp_path / "records", *(tmp_path / "records").iterdir()]
    for folder in filter(Path.is_dir, folders):
        (folder / ".airbundle-0123456789abcdef.part").write_bytes(b"unfinished")
    site.prepare(tmp_path / "records")
    assert not list((tmp_path / "records").rglob(".airbundle-*"))


@pytest.mark.parametrize("raw", [b"", b"{}\n", b'{"number":9,"receipt":{}}\n', b"[" * 2000])
def test_pending_file_that_does_not_follow_the_log_is_damage(interrupted: Path, raw: bytes):
    (interrupted / pending.NAME).write_bytes(raw)
    with pytest.raises(LostRecordsError):
        site.read(interrupted)
    with pytest.raises(LostRecordsError):
        site.prepare(interrupted)


def test_restored_records_keep_the_serial_of_an_interrupted_import(interrupted: Path):
    (interrupted / state_file.NAME).unlink()
    restore(interrupted, START, "test")
    assert read_serials(interrupted) == {"plant-7": 42}
    assert not (interrupted / pending.NAME).exists()
