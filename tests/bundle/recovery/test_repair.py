"""Repair of damaged bundles."""

from __future__ import annotations

import errno
import itertools
import os
import random
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from bundler.bundle.format.files import checksums
from bundler.bundle.format.reading.open_files import open_files
from bundler.bundle.media import filesystem
from bundler.bundle.program import copy_program
from bundler.bundle.recovery import repair as repairing
from bundler.bundle.recovery.content import find_paths
from bundler.bundle.verifying.verify import verify
from bundler.content.files import file_lock
from bundler.content.files.safe_directory import Directory
from bundler.content.files.uncached_file import UncachedFile
from bundler.copy.engine import EngineOptions
from bundler.errors import (
    ConflictError,
    DamagedBundleError,
    DisconnectedMediumError,
    LockedError,
    MediumError,
    NotFoundError,
    TrustError,
)
from bundler.trust.bundle_trust import NO_KEYS, TrustedKeys
from tests.bundle.program.test_carried_program import make_program
from tests.fakes.protected_bundle import KEY, ProtectedBundle


@pytest.mark.parametrize("seed", range(3))
def test_any_slices_up_to_the_promised_share_are_repaired(bundle, seed):
    made, number = random.Random(seed), bundle.count_slices()
    expected = bundle.read(bundle.original)
    bundle.damage_slices(lambda width: made.sample(range(width), number))
    assert bundle.read() != expected

    report = bundle.repair()

    report.check()
    assert report.repaired == report.damaged != ()
    assert bundle.read() == expected


def test_missing_files_and_the_seal_are_restored_in_place_and_elsewhere(bundle, tmp_path):
    expected = bundle.read(bundle.original)
    layer = max(
        (path for path in bundle.path.rglob("*") if path.is_file()),
        key=lambda path: path.stat().st_size,
    )
    with layer.open("r+b") as file:
        file.truncate(layer.stat().st_size - 10_000)
    for name in ("bundle.json", "SHA256SUMS", "VERIFY.txt"):
        (bundle.path / name).unlink()
    next(bundle.path.glob("*.sig")).write_bytes(b"garbage")
    (bundle.recovery / "files-1").unlink()
    (bundle.recovery / "digests-2").write_bytes(b"garbage")
    (bundle.recovery / "seal-1.tar").write_bytes(b"garbage")
    (bundle.recovery / "slices-001").unlink()
    damaged = bundle.read()

    bundle.repair(output=tmp_path / "output").check()
    assert bundle.read(tmp_path / "output") == expected
    assert bundle.read() == damaged

    bundle.repair().check()
    assert bundle.read() == expected
    assert bundle.repair().damaged == ()


@pytest.mark.parametrize("folder", [".", "recovery/{number}", "blobs/sha256"])
def test_unfinished_files_of_an_interrupted_repair_are_removed(bundle, folder):
    place = bundle.path / folder.format(number=bundle.recovery.name)
    place.mkdir(parents=True, exist_ok=True)
    (place / ".airbundle-0123456789abcdef.part").write_bytes(b"unfinished")

    bundle.repair().check()

    assert not list(bundle.path.rglob(".airbundle-*"))


def test_more_damage_names_the_lost_images_and_repairs_the_rest(bundle):
    whole = bundle.read(bundle.original)
    files = (path for path in bundle.path.rglob("*") if path.is_file())
    (lost,) = (path for path in files if 90_000 < path.stat().st_size < 100_000)
    former = lost.read_bytes()
    lost.write_bytes(random.Random(1).randbytes(len(former)))
    (bundle.path / "VERIFY.txt").unlink()
    before = bundle.read()

    report = bundle.repair()

    with pytest.raises(DamagedBundleError, match="more is damaged") as caught:
        report.check()
    assert any("registry.corp/" in line for line in caught.value.findings)
    assert report.repaired == ("VERIFY.txt",)
    assert bundle.read() == before | {"VERIFY.txt": whole["VERIFY.txt"]}


def test_verify_reports_damaged_recovery_data(bundle):
    bundle.overwrite(f"recovery/{bundle.recovery.name}/slices-002", 100)
    (bundle.recovery / "files-2").unlink()
    (bundle.recovery / "seal-2.tar").write_bytes(b"x" * 2048)

    found = verify(bundle.path, TrustedKeys.create([KEY.public]))

    codes = {finding.path.rpartition("/")[2]: finding.code for finding in found.findings}
    assert codes == {"slices-002": "damaged", "files-2": "missing", "seal-2.tar": "damaged"}
    assert not any(finding.images for finding in found.findings)


@pytest.mark.parametrize("name", ["bundle.json.sigstore.json", "recovery/{number}/seal-1.tar"])
def test_damage_of_a_file_without_a_digest_is_found_and_repaired(bundle, name):
    path = name.format(number=bundle.recovery.name)
    expected = (bundle.path / path).read_bytes()
    bundle.overwrite(path, len(expected) - 20)

    found = verify(bundle.path, TrustedKeys.create([KEY.public]))
    report = bundle.repair()

    assert [finding.path for finding in found.findings] == [path]
    report.check()
    assert report.repaired == (path,)
    assert (bundle.path / path).read_bytes().rstrip(b"\0") == expected.rstrip(b"\0")


def test_damaged_copy_of_a_signature_is_found(bundle):
    """Although the signature itself is verified with the key."""
    path = f"recovery/{bundle.recovery.name}/seal-1.tar"
    (signature,) = bundle.path.glob("bundle.json.*.sig")
    raw = (bundle.path / path).read_bytes()
    bundle.overwrite(path, raw.index(signature.read_bytes()) + 9)

    found = verify(bundle.path, TrustedKeys.create([KEY.public]))

    assert [finding.path for finding in found.findings] == [path]


def test_recovery_data_of_another_bundle_is_not_used(bundle, tmp_path):
    other = ProtectedBundle(tmp_path, bundle.form, 10, seed=8)
    for path in bundle.recovery.iterdir():
        shutil.copy(other.recovery / path.name, path)
    bundle.overwrite(str(next(iter(sorted(checksum_paths(bundle))))), 0)
    before = bundle.read()

    report = bundle.repair()

    with pytest.raises(DamagedBundleError):
        report.check()
    content = {path: data for path, data in before.items() if not path.startswith("recovery/")}
    assert content.items() <= bundle.read().items()


def checksum_paths(bundle: ProtectedBundle) -> list[str]:
    with open_files(bundle.path) as files:
        return list(find_paths(checksums.read(files)).values())


def test_altered_inventory_is_not_restored_from_an_unsigned_copy(bundle):
    """A hostile copy of the seal changes nothing that a key has not signed."""
    (bundle.path / "bundle.json").unlink()
    for path in bundle.recovery.glob("seal-*.tar"):
        path.write_bytes(path.read_bytes().replace(b"plant-7", b"plant-8"))
    with pytest.raises((TrustError, DamagedBundleError)):
        bundle.repair()
    assert not (bundle.path / "bundle.json").exists()


def test_bundle_that_no_given_key_signed_is_repaired_on_request_only(bundle):
    (bundle.path / "VERIFY.txt").unlink()
    with ThreadPoolExecutor(1) as executor:
        options = EngineOptions(executor)
        with pytest.raises(TrustError):
            repairing.repair(bundle.path, NO_KEYS, options)
        repairing.repair(bundle.path, NO_KEYS, options, allow_unsigned=True).check()


def test_carried_program_is_repaired_and_stays_executable(bundle, tmp_path):
    source = make_program(tmp_path / "program", "airbundle", "linux-x86_64/libc.so.6")
    bundle.program = copy_program.place_files(source)
    try:
        bundle.export()
    finally:
        bundle.program = {}
    expected = bundle.read()
    (program,) = (bundle.path / path for path in expected if path.endswith("/airbundle"))
    program.write_bytes(b"x" + program.read_bytes()[1:])
    next(bundle.path.glob("program-*/linux-x86_64/libc.so.6")).unlink()

    for output in (tmp_path / "output", None):
        bundle.repair(output=output).check()
        assert bundle.read(output) == expected
        mode = ((output or bundle.path) / program.relative_to(bundle.path)).stat().st_mode
        assert mode & 0o777 == 0o755


@pytest.mark.parametrize("number", [errno.EROFS, errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("call", [1, 2, 4])
def test_failing_medium_is_reported_and_the_next_repair_completes(
    bundle, monkeypatch, number, call
):
    """Content, the files of its directory, and the seal: each write fails once."""
    expected = bundle.read(bundle.original)
    bundle.overwrite(min(checksum_paths(bundle)), 0)
    (bundle.path / "VERIFY.txt").unlink()
    (bundle.path / "bundle.json").write_bytes(b"garbage")
    whole = {path: data for path, data in bundle.read().items() if data == expected[path]}
    fsync, calls = os.fsync, itertools.count(1)

    def fail_once(fd):
        if next(calls) == call:
            raise OSError(number, os.strerror(number))
        fsync(fd)

    monkeypatch.setattr(os, "fsync", fail_once)
    with pytest.raises(MediumError) as raised:
        bundle.repair()

    assert raised.value.hint
    assert whole.items() <= bundle.read().items()
    assert not list(bundle.path.rglob(".airbundle-*"))
    bundle.repair().check()
    assert bundle.read() == expected


@pytest.mark.parametrize("elsewhere", [False, True])
def test_medium_that_vanishes_is_reported_and_the_next_repair_completes(
    bundle, tmp_path, monkeypatch, elsewhere
):
    expected = bundle.read(bundle.original)
    bundle.overwrite(min(checksum_paths(bundle)), 0)
    whole = {path: data for path, data in bundle.read().items() if data == expected[path]}
    away = tmp_path / "away"
    mend = repairing.mend

    def vanish(*arguments):
        bundle.path.rename(away)
        return mend(*arguments)

    monkeypatch.setattr(repairing, "mend", vanish)
    with pytest.raises(DisconnectedMediumError) as raised:
        bundle.repair(output=tmp_path / "output" if elsewhere else None)
    monkeypatch.undo()

    assert str(bundle.path) in str(raised.value)
    away.rename(bundle.path)
    assert whole.items() <= bundle.read().items()
    bundle.repair().check()
    assert bundle.read() == expected


def test_removable_medium_is_read_back_after_the_repair(bundle, monkeypatch):
    """The cache has the mended bytes, also if the medium has not."""
    path = min(checksum_paths(bundle))
    bundle.overwrite(path, 0)
    found = replace(filesystem.inspect(bundle.path), file_system="vfat")
    assert found.removable
    monkeypatch.setattr(repairing.filesystem, "inspect", lambda _: found)
    readinto = UncachedFile.readinto

    def lose(file, buffer):
        count = readinto(file, buffer)
        if file._file.path.name == path.rpartition("/")[2]:
            buffer[:count] = bytes(count)
        return count

    monkeypatch.setattr(UncachedFile, "readinto", lose)
    report = bundle.repair()
    assert [finding.path for finding in report.verification.findings] == [path]
    with pytest.raises(DamagedBundleError):
        report.check()


def test_repair_refuses_used_and_locked_directories(bundle, tmp_path):
    (tmp_path / "used").write_bytes(b"")
    with pytest.raises(ConflictError):
        bundle.repair(output=tmp_path)
    with Directory.open(bundle.path) as directory:
        file_lock.lock(directory)
        with pytest.raises(LockedError):
            bundle.repair()


def test_renewal_replaces_the_recovery_data(bundle):
    former = bundle.recovery
    assert not bundle.export().changed
    os.utime(former)
    bundle.percent += 10
    try:
        assert bundle.export().changed
        assert not former.exists()
        verify(bundle.path, TrustedKeys.create([KEY.public])).check()
        bundle.percent = 0
        bundle.export()
        assert not any((bundle.path / "recovery").rglob("*"))
        verify(bundle.path, TrustedKeys.create([KEY.public])).check()
        with pytest.raises(NotFoundError):
            bundle.repair()
    finally:
        bundle.percent = 10
