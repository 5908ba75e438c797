"""Exports interrupted at each file-system operation, and the runs that follow."""

from __future__ import annotations

import errno
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bundler import transports
from bundler.bundle.exporting import export as exporting
from bundler.bundle.exporting.sealing import seal as sealing
from bundler.bundle.format.files import bundle_files, checksums
from bundler.bundle.verifying.verify import verify
from bundler.config.paths import ConfigPathOverrides
from bundler.config.settings import Settings
from bundler.copy.engine import EngineOptions
from bundler.copy.image import ImageRequest
from bundler.copy.resolving.platform_selection import PlatformSelection
from bundler.errors import DisconnectedMediumError, NoSpaceError, PartialError
from bundler.events import BlobFinished, BlobStarted, discard
from bundler.oci.reference import ImageReference
from bundler.ports import OpenOptions
from bundler.trust import keys
from bundler.trust.bundle_trust import TrustedKeys
from tests.fakes import images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bundler.bundle.exporting.report import ExportReport
    from bundler.bundle.format.inventory.inventory import Format
    from bundler.events import Emit, Event
    from tests.conftest import Sample

KEY, OTHER = keys.generate_key(), keys.generate_key()
SEALING = frozenset(
    {"index.json", "VERIFY.txt", "SHA256SUMS", "bundle.json", "bundle.json.sigstore.json"}
)
FORMATS: list[Format] = ["oci", "dir"]


class Killed(BaseException):
    """The process was killed: no later operation reaches the disk."""


@dataclass
class Disk:
    """Counter of the operations that change a file system, which interrupts one of them."""

    ends_at: int | None = None
    killed: bool = True
    """False: one operation fails because the disk is full, and the process continues."""
    operations: list[str] = field(default_factory=list)
    """The file name of each operation; empty for an operation on an open file."""

    @property
    def sealing(self) -> int:
        """The number of the first operation that replaces or removes a file of the seal."""
        marks = (name in SEALING or name.endswith(".sig") for name in self.operations)
        return next(number for number, is_mark in enumerate(marks) if is_mark)

    @property
    def replacing(self) -> int:
        """The number of the operation that replaces the former seal."""
        names = enumerate(self.operations)
        return max(number for number, name in names if name == "bundle.next")

    @property
    def sealed(self) -> int:
        """The number of the first operation after the last signature gets its final name."""
        last = max(number for number, name in enumerate(self.operations) if name.endswith(".sig"))
        return last + 1

    def perform(self, call: Callable[..., Any], name: str, *arguments: Any, **more: Any) -> Any:
        number = len(self.operations)
        self.operations.append(name)
        if self.ends_at is not None and (
            number == self.ends_at or (self.killed and number > self.ends_at)
        ):
            raise Killed if self.killed else OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return call(*arguments, **more)


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[Disk, Callable[[], object]], None]:
    """Return a function that runs a call, and passes each file-system operation to a ``Disk``."""

    def run(disk: Disk, work: Callable[[], object]) -> None:
        def guard(function: str, position: int | None) -> None:
            # Without fsync, hundreds of exports are faster, and the remaining files are the same.
            call = os.fstat if function == "fsync" else getattr(os, function)

            def guarded(*arguments: Any, **more: Any) -> Any:
                if function == "open" and not arguments[1] & os.O_CREAT:
                    return call(*arguments, **more)
                name = "" if position is None else Path(arguments[position]).name
                return disk.perform(call, name, *arguments, **more)

            patched.setattr(os, function, guarded)

        with monkeypatch.context() as patched:
            for function in ("write", "fsync"):
                guard(function, None)
            for function in ("open", "unlink", "mkdir", "rmdir"):
                guard(function, 0)
            for function in ("rename", "link"):
                guard(function, 1)
            work()

    return run


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """The images ``old``, ``new`` and ``kept``, which share a layer."""
    shared = images.layer({"shared": b"shared " * 500})
    named = {
        "kept": images.image(shared, images.layer({"kept": b"kept"})),
        "old": images.multi_platform("old", "linux/amd64", shared=shared),
        "new": images.image(shared, images.layer({"new": b"new " * 500})),
    }
    images.write_layout(tmp_path / "layout", named)
    return Site(tmp_path, named)


@dataclass
class Site:
    """A directory with a layout of source images, and with a bundle."""

    path: Path
    images: dict[str, images.Image]

    @property
    def bundle(self) -> Path:
        return self.path / "bundle"

    def export(
        self,
        *names: str,
        kind: Format = "oci",
        signed_by: tuple[keys.PrivateKey, ...] = (KEY,),
        keep_going: bool = False,
        emit: Emit = discard,
        expires: timedelta | None = None,
    ) -> ExportReport:
        requests = [
            ImageRequest(
                transports.parse(f"oci:{self.path / 'layout'}:{name}"),
                ImageReference("registry.corp", name, "1"),
                selection=PlatformSelection(index="all"),
                referrers="all",
                origin="test.yaml:1",
            )
            for name in names
        ]
        home = self.path / "home"
        options = OpenOptions(
            lambda: Settings.load(
                {}, home, 1000, ConfigPathOverrides(etc=home, usr_share=home, run=home)
            )
        )
        request = exporting.ExportRequest(
            requests, options, self.bundle, "plant-7", kind, expires=expires, keys=signed_by
        )
        with ThreadPoolExecutor(1) as executor:
            engine = EngineOptions(executor, emit=emit, keep_going=keep_going)
            return exporting.export(request, engine)

    def restore(self, saved: Path | None) -> None:
        """Restore the saved bundle, or remove the bundle."""
        shutil.rmtree(self.bundle, ignore_errors=True)
        if saved is not None:
            shutil.copytree(saved, self.bundle)

    def save(self) -> Path:
        return shutil.copytree(self.bundle, self.path / "saved")

    def serial(self) -> int | None:
        """The serial of a bundle that is whole and signed; None if no such bundle exists."""
        if not (self.bundle / "bundle.json").exists():
            return None
        checked = verify(self.bundle, TrustedKeys.create([KEY.public]))
        good = checked.whole and checked.trust_error is None and checked.inventory is not None
        return checked.inventory.serial if good and checked.inventory else None

    def files(self) -> set[str]:
        paths = self.bundle.rglob("*")
        return {str(path.relative_to(self.bundle)) for path in paths if path.is_file()}


def interruptions(
    site: Site,
    on_disk: Callable[[Disk, Callable[[], object]], None],
    work: Callable[[], object],
    saved: Path | None,
    sample: Sample,
    *,
    killed: bool = True,
) -> Iterator[tuple[int, Disk]]:
    """Interrupt ``work`` at each operation in turn; yield its number, and the complete run.

    Of the operations, ``sample`` selects some; those that replace the seal are always included.
    """
    whole = Disk()
    site.restore(saved)
    on_disk(whole, work)
    sealing = range(whole.sealed - 3, whole.sealed + 2)
    if "bundle.next" in whole.operations:
        sealing = range(whole.replacing - 1, whole.replacing + 3)
    for number in sorted({*sample(range(len(whole.operations)), 7), *sealing}):
        site.restore(saved)
        try:
            on_disk(Disk(number, killed), work)
        except (Killed, NoSpaceError):
            ended = True
        else:
            ended = False  # cleanup that may fail
        if ended:
            yield number, whole


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("killed", [True, False], ids=["killed", "full"])
def test_interrupted_renewal_leaves_the_former_bundle_or_the_new_one(
    site, on_disk, kind, killed, sample
):
    former = site.export("kept", "old", kind=kind).inventory.serial
    saved = site.save()
    expected: set[str] | None = None

    def renew() -> None:
        site.export("kept", "new", kind=kind)

    for number, whole in interruptions(site, on_disk, renew, saved, sample, killed=killed):
        found = site.serial()
        assert found is not None, f"operation {number} of {len(whole.operations)}"
        if number <= whole.replacing:
            assert found == former
        elif killed:
            assert found > former
        if number % 4 == 0:
            on_disk(Disk(), renew)
            assert (site.serial() or 0) > former
            expected = expected or site.files()
            assert site.files() == expected


@pytest.mark.parametrize("kind", FORMATS)
def test_number_of_sealing_steps_does_not_depend_on_content(site, on_disk, kind):
    """Between the first replaced file and the last signature, no blob is written or removed."""
    site.export("kept", "old", kind=kind)
    disk = Disk()
    on_disk(disk, lambda: site.export("kept", "new", kind=kind))
    names = {name for name in disk.operations[disk.sealing : disk.sealed] if name}
    written = {name for name in names if not name.startswith(".airbundle-")}
    written -= {"bundle.next", "bundle.unfinished"}
    assert written <= SEALING | {name for name in site.files() if name.endswith(".sig")}


@pytest.mark.parametrize("kind", FORMATS)
def test_interrupted_first_export_is_completed_by_the_next(site, on_disk, kind, sample):
    def begin() -> None:
        site.export("kept", "new", kind=kind)

    for number, whole in interruptions(site, on_disk, begin, None, sample):
        assert (site.serial() is not None) == (number >= whole.sealed)
        if number % 4 == 0:
            on_disk(Disk(), begin)
            assert site.serial()


@pytest.mark.parametrize("kind", FORMATS)
def test_next_export_hashes_and_keeps_existing_blobs(site, on_disk, kind):
    """Of two blobs of an interrupted renewal, only the damaged one is read again."""
    site.export("kept", kind=kind)
    whole = Disk()
    saved = site.save()
    on_disk(whole, lambda: site.export("kept", "new", kind=kind))
    site.restore(saved)
    with pytest.raises(Killed):
        on_disk(Disk(whole.sealing), lambda: site.export("kept", "new", kind=kind))
    layer, config = site.images["new"].blobs[2], site.images["new"].blobs[0]
    (kept,) = site.bundle.rglob(layer.digest.removeprefix("sha256:"))
    (damaged,) = site.bundle.rglob(config.digest.removeprefix("sha256:"))
    damaged.write_bytes(b"x" * damaged.stat().st_size)
    before = kept.stat().st_ino

    report = site.export("kept", "new", kind=kind)

    assert report.totals.pushed.blobs == 1
    assert kept.stat().st_ino == before
    assert images.sha256(damaged.read_bytes()) == config.digest
    assert site.serial() == report.inventory.serial


@pytest.mark.parametrize("content", [b"", b"{}", b'{"imageLayoutVersion":"9.0.0"}'])
@pytest.mark.parametrize("name", ["oci-layout", "index.json"])
def test_export_writes_damaged_marks_of_the_layout_again(site, name, content):
    site.export("kept")
    expected = (site.bundle / name).read_bytes()
    (site.bundle / name).write_bytes(content)

    report = site.export("kept")

    assert report.changed
    assert (site.bundle / name).read_bytes() == expected
    assert site.serial() == report.inventory.serial


@pytest.mark.parametrize("kind", FORMATS)
def test_unlisted_content_of_an_interrupted_export_is_pruned(site, on_disk, kind):
    """It remains until the next run, even if that run changes nothing else."""
    former = site.export("kept", "old", kind=kind)
    before = site.files()
    whole = Disk()
    saved = site.save()
    on_disk(whole, lambda: site.export("kept", "new", kind=kind))
    site.restore(saved)
    with pytest.raises(Killed):
        on_disk(Disk(whole.sealing), lambda: site.export("kept", "new", kind=kind))
    checked = verify(site.bundle, TrustedKeys.create([KEY.public]))
    checked.check()
    folder = "blobs/" if kind == "oci" else "images/"
    new = {name for name in site.files() - before if name.startswith(folder)}
    assert set(checked.unlisted) == new != set()

    report = site.export("kept", "old", kind=kind)

    assert not report.changed
    assert report.inventory.serial == former.inventory.serial
    assert site.files() == before


@pytest.mark.parametrize("kind", FORMATS)
def test_unchanged_export_removes_unfinished_blobs(site, kind):
    site.export("kept", kind=kind)
    before = site.files()
    folder = site.bundle / (".airbundle-staging" if kind == "dir" else "blobs/sha256")
    folder.mkdir(exist_ok=True)
    for name in (f".airbundle-{'a' * 64}.part", ".airbundle-0123456789abcdef.part"):
        (folder / name).write_bytes(b"unfinished")
    checked = verify(site.bundle, TrustedKeys.create([KEY.public]))
    checked.check()

    report = site.export("kept", kind=kind)

    assert not report.changed
    assert site.files() == before
    assert not (site.bundle / ".airbundle-staging").exists()


def test_renewal_removes_signatures_by_other_keys(site):
    site.export("kept", signed_by=(KEY, OTHER))
    site.export("kept", "new")
    assert [name for name in site.files() if name.endswith(".sig")] == [
        f"bundle.json.{KEY.public.id[:16]}.sig"
    ]


def test_failed_renewal_leaves_the_former_bundle_unchanged(site):
    """Also with ``keep_going``: an empty bundle does not replace one with images."""
    former = site.export("kept").inventory.serial
    for blob in site.images["new"].blobs[1:]:
        (site.path / "layout/blobs/sha256" / blob.digest.removeprefix("sha256:")).unlink()
    with pytest.raises(PartialError) as raised:
        site.export("new", keep_going=True)
    (failure,) = raised.value.failures
    assert "registry.corp/new:1" in failure
    assert site.serial() == former


@pytest.mark.parametrize(
    ("kind", "path"),
    [
        ("oci", "blobs/sha256/evil.sh"),
        ("oci", "blobs/extra/y"),
        ("oci", "blobs/sha256/deeper/below/y"),
        ("dir", "images/notes.txt"),
        ("dir", "images/{root}/zzz.sh"),
        ("dir", "index.json"),
    ],
)
def test_export_removes_surplus_files_and_signs_none(site, kind, path):
    """Neither a renewal nor an export without changes lists a file that no image needs."""
    site.export("kept", kind=kind)
    expected = site.files()
    surplus = site.bundle / path.format(root=site.images["kept"].digest.removeprefix("sha256:"))

    for names in (("kept",), ("kept", "new")):
        surplus.parent.mkdir(parents=True, exist_ok=True)
        surplus.write_text("surplus")
        assert not verify(site.bundle, TrustedKeys.create([KEY.public])).whole

        site.export(*names, kind=kind)

        verify(site.bundle, TrustedKeys.create([KEY.public])).check()
        assert not surplus.exists()
        assert names != ("kept",) or site.files() == expected


def test_export_unlists_surplus_files_that_were_signed(site):
    """Earlier versions listed and signed such files."""
    listed = checksums.create
    surplus = site.bundle / "blobs/sha256/evil.sh"
    with pytest.MonkeyPatch.context() as patched:

        def create(bundle, paths, unwritten, **known):
            surplus.write_text("surplus")
            return listed(bundle, [*paths, "blobs/sha256/evil.sh"], unwritten, **known)

        patched.setattr(checksums, "create", create)
        patched.setattr(sealing, "prune", lambda *_, **__: None)
        former = site.export("kept").inventory.serial
    verify(site.bundle, TrustedKeys.create([KEY.public])).check()

    assert site.export("kept").inventory.serial > former

    verify(site.bundle, TrustedKeys.create([KEY.public])).check()
    assert not surplus.exists()


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("keep_going", [False, True])
@pytest.mark.parametrize("how", ["unmounted", "removed", "unmounted before the seal"])
def test_export_to_disconnected_medium_ends_at_once(site, kind, keep_going, how, monkeypatch):
    """Open files of a medium that was unmounted lazily remain writable."""
    started: list[Event] = []
    stored: list[Event] = []

    def disconnect() -> None:
        if how == "removed":
            shutil.rmtree(site.bundle)
        elif site.bundle.exists():
            site.bundle.rename(site.path / "unmounted")

    def emit(event: Event) -> None:
        if isinstance(event, BlobStarted):
            started.append(event)
            if len(started) == 2 and "seal" not in how:
                disconnect()
        elif isinstance(event, BlobFinished) and not event.failed:
            stored.append(event)

    if "seal" in how:
        scan = bundle_files.scan

        def find(bundle: Path) -> bundle_files.DirectoryScan:
            disconnect()
            return scan(bundle)

        monkeypatch.setattr(sealing.bundle_files, "scan", find)
    with pytest.raises(DisconnectedMediumError, match="no longer connected"):
        site.export("kept", "new", kind=kind, keep_going=keep_going, emit=emit)
    assert len(stored) == 1 or "seal" in how
    assert not site.bundle.exists()


@pytest.mark.parametrize(("age", "renewed"), [(39, False), (41, True), (110, True), (130, True)])
def test_unchanged_bundle_is_sealed_again_after_a_third_of_its_validity(
    site, monkeypatch, age, renewed
):
    """Otherwise a renewal of the same images would leave a bundle that expires soon."""
    validity = timedelta(days=120)

    class Earlier(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.now(tz) - timedelta(days=age)

    with monkeypatch.context() as patched:
        patched.setattr(sealing, "datetime", Earlier)
        former = site.export("kept", expires=validity).inventory

    report = site.export("kept", expires=validity)

    assert report.changed == renewed
    assert (report.inventory.serial > former.serial) == renewed
    end = report.inventory.expires
    assert end is not None
    assert (end - datetime.now(UTC) > validity - timedelta(minutes=10)) == renewed
    verify(site.bundle, TrustedKeys.create([KEY.public])).check()
