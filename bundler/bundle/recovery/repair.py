"""Repair a damaged bundle with its recovery data, in place or in another directory.

A file is replaced by a whole one in one step, or not at all, so an interrupted repair leaves no
more damage than there was. The steps are: find the seal, find the damaged files, mend the content,
then write the small files, of which the inventory and its signatures are the last.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.bundle.format.files import bundle_files, bundle_paths, checksums
from bundler.bundle.format.reading.open_files import open_files
from bundler.bundle.format.writing import next_seal
from bundler.bundle.media import filesystem
from bundler.bundle.program import copy_program
from bundler.bundle.recovery import seal_copies
from bundler.bundle.recovery.content import find_digest, find_paths
from bundler.bundle.recovery.find_seal import Seal, find_seal
from bundler.bundle.recovery.mend import mend
from bundler.bundle.recovery.read import RecoveryData
from bundler.bundle.recovery.tables import RecoveryTables
from bundler.bundle.verifying import parallel_hash
from bundler.bundle.verifying.verify import verify
from bundler.content.files import atomic_write, part_files
from bundler.content.files.atomic_write import PartFile
from bundler.content.files.locked_directory import LockedDirectory
from bundler.content.files.safe_directory import Directory
from bundler.content.files.write_lock import RECORD, hold
from bundler.content.streams import copy_to_fd
from bundler.errors import BundlerError, ConflictError, DamagedBundleError, count
from bundler.events import BlobTotal, Completed, Planned, TransferTotals

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bundler.bundle.format.files.bundle_files import BundleFile
    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.bundle.verifying.verification import Verification
    from bundler.copy.engine import EngineOptions
    from bundler.trust.bundle_trust import BundleTrust


@dataclass(frozen=True, slots=True)
class RepairReport:
    """The result of a repair."""

    location: Path
    """The directory of the repaired bundle."""
    damaged: tuple[str, ...]
    """The paths of the files that were damaged or missing, sorted."""
    repaired: tuple[str, ...]
    """Those that are whole now."""
    verification: Verification
    """The verification of the bundle after the repair."""

    def to_json(self) -> dict[str, object]:
        """Return the report as JSON."""
        return {
            "location": str(self.location),
            "damaged": list(self.damaged),
            "repaired": list(self.repaired),
            "verification": self.verification.to_json(),
        }

    def check(self) -> None:
        """Check that the bundle is whole now.

        Raises:
            DamagedBundleError: more is damaged than the recovery data can repair.
        """
        if lines := [str(finding) for finding in self.verification.findings]:
            raise DamagedBundleError(
                f"{self.location}: more is damaged than the recovery data can repair:"
                f" {count(len(lines), 'finding')}",
                lines,
                hint="copy these files again from the exporting side, or export again; images that"
                " are not named here can be imported with --only",
            )


def repair(
    bundle: Path,
    trust: BundleTrust,
    engine: EngineOptions,
    *,
    output: Path | None = None,
    allow_unsigned: bool = False,
) -> RepairReport:
    """Repair a bundle in place, or write the repaired bundle to the directory ``output``.

    With ``allow_unsigned``, the seal that is found need not be signed as ``trust`` requires.

    Raises:
        UnauthenticatedError, TrustError: no seal is signed as ``trust`` requires.
        DamagedBundleError: the inventory, or SHA256SUMS, is lost with all of its copies.
        NotFoundError: the directory does not exist, or has no recovery data.
        ConflictError: ``output`` is not empty.
        LockedError: another process is writing to the directory.
        NoSpaceError, MediumError: a file cannot be written, or a medium was disconnected; files
            that are not repaired yet are unchanged.
        CancelledError: cancellation was requested.
    """
    with ExitStack() as stack:
        source = stack.enter_context(Directory.open(bundle))
        stack.enter_context(source.report_disconnection())
        if output is None:
            target = source
            stack.enter_context(hold(source))
            next_seal.complete(source)
            _remove_parts(source)
        else:
            target = stack.enter_context(LockedDirectory.create(output))
            if set(target.list_names()) - {RECORD}:
                raise ConflictError(
                    f"{output}: the directory is not empty",
                    path=str(output),
                    hint="specify a new or an empty directory",
                )
            stack.enter_context(target.report_disconnection())
        files = stack.enter_context(open_files(bundle))
        present = files.scan().entries
        seal = find_seal(files, present, trust, allow_unsigned=allow_unsigned)
        damaged = _find_damaged(files, present, seal, engine)
        worker = _Repair(files, source, target, seal, damaged, engine)
        try:
            data = stack.enter_context(worker.open_data())
        except BundlerError:  # both copies of a table are lost: only small files can be restored
            found = worker.restore_small(None)
        else:
            found = worker.restore_content(data) + worker.restore_small(data)
        source.check_connected()
        target.check_connected()
        location = target.path
    removable = filesystem.inspect(location).removable
    verification = verify(
        location,
        trust,
        uncached=removable,  # the medium may be the reason for the damage
        threads=1 if removable else None,
        cancellation=engine.cancellation,
        emit=engine.emit,
    )
    lost = {finding.path for finding in verification.findings}
    all_damaged = sorted({*damaged, *found, *lost})
    repaired = [path for path in all_damaged if path not in lost]
    return RepairReport(location, tuple(all_damaged), tuple(repaired), verification)


def _remove_parts(bundle: Directory) -> None:
    """Remove the unfinished files that an interrupted repair or export has left."""
    part_files.remove_stale_parts(bundle)  # the scan leaves out those beside the inventory
    parts = [
        path
        for path in bundle_files.scan_files(bundle.path).entries
        if path != RECORD
        and part_files.is_part(path.rpartition("/")[2])
        and not part_files.is_kept(path.rpartition("/")[2])
    ]
    bundle_files.remove_files(bundle, parts, keep_directories=True)


def _find_damaged(
    bundle: BundleFiles, present: Mapping[str, BundleFile], seal: Seal, engine: EngineOptions
) -> set[str]:
    """Return the paths of the listed files that are missing or differ from their digests."""
    expected = {}
    for path, digest in seal.listed.items():
        named = bundle_paths.parse_digest(path)
        expected[path] = tuple(dict.fromkeys(filter(None, (digest, named))))
    files = [entry for entry in present.values() if entry.kind == "file"]
    jobs = parallel_hash.create_jobs(expected, files, {})
    totals = TransferTotals(checked=BlobTotal(len(expected), sum(job.size for job in jobs)))
    engine.emit(Planned(totals, "check"))
    faults = parallel_hash.hash_all(bundle, jobs, None, engine.cancellation, engine.emit)
    engine.emit(Completed(totals))
    whole = {path for job in jobs for path in job.expected} - faults.keys()
    return set(seal.listed.keys() - whole)


@dataclass(frozen=True, slots=True)
class _Repair:
    """One repair from ``source`` to ``target``, which may be the same directory."""

    files: BundleFiles
    """The files of ``source``."""
    source: Directory
    target: Directory
    seal: Seal
    damaged: set[str]
    engine: EngineOptions

    @property
    def _in_place(self) -> bool:
        return self.source is self.target

    def open_data(self) -> RecoveryData:
        """Open the recovery data, which prefers the whole ones of files with equal content."""
        listed = self.seal.listed
        ordered = sorted(listed, key=lambda path: (path in self.damaged, path))
        paths = find_paths({path: listed[path] for path in ordered})
        tables = RecoveryTables(self.files, self.seal.record, paths)
        return RecoveryData(self.source, tables)

    def restore_content(self, data: RecoveryData) -> list[str]:
        """Restore content and recovery slices; return the paths of damaged recovery slices."""
        geometry, numbers = data.geometry, data.tables.numbers
        slices = [
            path
            for position, path in enumerate(data.tables.record.slice_paths, geometry.data_slices)
            if data.find_size(path) != geometry.rows * geometry.slice_size
            or not all(data.is_good(row, position) for row in range(geometry.rows))
        ]
        mended = mend(
            data, self.target, [*sorted(self.damaged & numbers.keys()), *slices], self.engine
        )
        if not self._in_place:
            whole = [path for path in data.tables.record.slice_paths if path not in slices]
            whole += [path for path in numbers if path not in self.damaged]
            for path in whole:
                self._copy(self.source, path, path)
        listed = self.seal.listed
        twins = find_paths({path: listed[path] for path in numbers})
        for path in listed.keys() - numbers.keys():
            digest = find_digest(path, listed[path])
            if digest is None or (self._in_place and path not in self.damaged):
                continue
            if (twin := twins.get(digest)) in mended or twin not in self.damaged:
                self._copy(self.target, str(twin), path)
        return slices

    def restore_small(self, data: RecoveryData | None) -> list[str]:
        """Restore the seal, the other small files, and the copies of small files."""
        seal = self.seal
        small = {path: seal.find_small(path) for path in seal.listed}
        for path in small:
            if find_digest(path, seal.listed[path]) is None and path not in self.damaged:
                with suppress(BundlerError):
                    limit = checksums.MAX_CHECKSUM_FILE
                    small[path] = self.files.read(path, limit)
        for copy in seal.copies:
            for path in copy:
                if path.startswith(f"{bundle_paths.TRUST}/") and (
                    bundle_paths.parse_trust_name(path.partition("/")[2]) is not None
                ):
                    small.setdefault(path, self._read(path) or copy[path])
        complete = {path: raw for path, raw in small.items() if raw is not None} | dict(seal.files)
        tables: Mapping[str, bytes] = {} if data is None else data.tables.raw
        files = {
            path: raw for name, raw in tables.items() for path in seal.record.find_copies(name)
        }
        for path in seal.record.find_copies("seal"):
            if not seal_copies.is_copy(self.files, path, complete):
                files[path] = seal_copies.render(complete)
            elif not self._in_place:
                self._copy(self.source, path, path)
        restored = []
        for path, raw in (files | complete).items():
            is_damaged = self._read(path) != raw
            if is_damaged or not self._in_place:
                *folders, name = path.split("/")
                with self.target.enter(*folders, create=True) as folder:
                    if folder.get_size(name) is None:
                        folder.remove_tree(name)  # a link or directory in its place
                    atomic_write.write_bytes_in(folder, name, raw)
            if is_damaged:
                restored.append(path)
        return restored

    def _read(self, path: str) -> bytes | None:
        with suppress(BundlerError):
            return self.files.read(path, seal_copies.MAX_COPY)
        return None

    def _copy(self, origin: Directory, path: str, name: str) -> None:
        """Copy a file whose content was compared with its digest."""
        self.engine.cancellation.check()
        *folders, last = name.split("/")
        with (
            bundle_files.open_file(origin, path) as file,
            self.target.enter(*folders, create=True) as folder,
            PartFile.create(folder, copy_program.get_mode(name)) as part,
        ):
            copy_to_fd(file, part.fd)
            part.publish(last, file.size)
            atomic_write.sync_directory(folder)
