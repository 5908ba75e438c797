"""Verify volumes of a bundle, each by its own checksum file, whose digest the sealed plan has."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from bundler.bundle.format.files import bundle_paths, checksums
from bundler.bundle.format.plan import sealed_plan
from bundler.bundle.format.plan.authenticate_plan import authenticate_plan
from bundler.bundle.format.reading.directory_files import DirectoryFiles
from bundler.bundle.verifying import parallel_hash
from bundler.bundle.verifying.verification import Finding
from bundler.cancel import Cancellation
from bundler.errors import (
    NOT_REGULAR,
    BundlerError,
    DamagedBundleError,
    DigestMismatchError,
    ExpiredError,
    MediumError,
    NotFoundError,
    TrustError,
    UnreadableBundleError,
    VolumesOwedError,
    count,
)
from bundler.events import BlobTotal, Completed, Planned, TransferTotals, discard

if TYPE_CHECKING:
    from collections.abc import Collection
    from datetime import datetime
    from pathlib import Path

    from bundler.bundle.format.plan.sealed_plan import SealedPlan
    from bundler.bundle.format.reading.volume_files import Volume, VolumeFiles
    from bundler.copy.engine import EngineOptions
    from bundler.events import Emit
    from bundler.oci.digest import Digest
    from bundler.trust.bundle_trust import BundleTrust
    from bundler.trust.keys import PublicKey


@dataclass(frozen=True, slots=True)
class VolumeVerification:
    """The result of one volume."""

    number: int
    location: str
    findings: tuple[Finding, ...]
    files: int
    size: int
    """The number of bytes that were read."""


@dataclass(frozen=True, slots=True)
class VolumesVerification:
    """The result of the volumes that are present."""

    plan: SealedPlan
    volumes: tuple[VolumeVerification, ...]
    signers: tuple[PublicKey, ...]
    trust_error: BundlerError | None
    """The reason why the plan is not authenticated; None if it is."""

    @property
    def name(self) -> str:
        """The stream and the serial of the bundle."""
        return f"{self.plan.stream} {self.plan.serial}"

    @property
    def owed(self) -> tuple[int, ...]:
        """The numbers of the volumes that are not present."""
        present = {volume.number for volume in self.volumes}
        return tuple(volume.number for volume in self.plan.volumes if volume.number not in present)

    def describe(self) -> list[str]:
        """Return a line for each volume."""
        lines = []
        for volume in self.volumes:
            damage = count(len(volume.findings), "finding")
            state = f"damaged ({damage})" if volume.findings else "whole"
            lines.append(
                f"volume {volume.number} of {len(self.plan.volumes)} of bundle {self.name}: {state}"
            )
        return lines

    def to_json(self) -> dict[str, Any]:
        """Return the result as JSON."""
        return {
            "stream": self.plan.stream,
            "serial": self.plan.serial,
            "authenticated": self.trust_error is None,
            "signers": [key.id for key in self.signers],
            "count": len(self.plan.volumes),
            "owed": list(self.owed),
            "volumes": [
                {
                    "number": volume.number,
                    "location": volume.location,
                    "whole": not volume.findings,
                    "files": volume.files,
                    "size": volume.size,
                    "findings": [asdict(finding) for finding in volume.findings],
                }
                for volume in self.volumes
            ],
        }

    def check(self) -> None:
        """Check that the volumes are whole and authenticated, and that none is missing.

        Raises:
            DamagedBundleError, UnreadableBundleError: a volume is damaged or cannot be read.
            TrustError: the plan is not authenticated, or has expired.
            VolumesOwedError: volumes are missing.
        """
        lines = [
            f"volume {volume.number}: {finding}"
            for volume in self.volumes
            for finding in volume.findings
        ]
        if lines:
            codes = {finding.code for volume in self.volumes for finding in volume.findings}
            kind = UnreadableBundleError if codes == {"unreadable"} else DamagedBundleError
            raise kind(
                f"bundle {self.name}: damaged volumes",
                lines,
                hint="copy the volume again, or export it again to its directory",
            )
        if self.trust_error is not None:
            raise self.trust_error
        if self.owed:
            raise VolumesOwedError(f"bundle {self.name}", self.owed, len(self.plan.volumes))


def verify_volumes(
    files: VolumeFiles,
    trust: BundleTrust,
    now: datetime,
    *,
    threads: int | None = None,
    cancellation: Cancellation | None = None,
    emit: Emit = discard,
    only_shared: bool = False,
) -> VolumesVerification:
    """Verify each volume of ``files``; damage is returned as findings, not raised.

    With ``only_shared``, files that only one volume has are not read, since ``verify`` has read
    them.

    Raises:
        MalformedError, LimitError, MediumError: the plan or a directory cannot be read.
        CancelledError: ``cancellation`` was requested.
    """
    signers: tuple[PublicKey, ...] = ()
    trust_error: BundlerError | None = None
    try:
        _, signers = authenticate_plan(files.volumes[0].files, trust, now)
    except (TrustError, ExpiredError) as error:
        trust_error = error
    uses = Counter(path for volume in files.volumes for path in volume.files.scan().entries)
    hashed = {path for path, number in uses.items() if number == 1} if only_shared else set()
    results = tuple(
        _verify_volume(
            volume, files.plan, threads, cancellation or Cancellation(), emit, hashed=hashed
        )
        for volume in files.volumes
    )
    return VolumesVerification(files.plan, results, signers, trust_error)


def read_back_volume(
    path: Path, number: int, plan: SealedPlan, engine: EngineOptions, *, removable: bool
) -> None:
    """Read a volume again from its medium, and compare it with its checksum file.

    Raises:
        UnreadableBundleError: the medium does not return what was written.
    """
    from bundler.bundle.format.reading.volume_files import Volume  # noqa: PLC0415 - for its type elsewhere

    with DirectoryFiles(path) as files:
        verified = _verify_volume(
            Volume(number, files),
            plan,
            1 if removable else None,
            engine.cancellation,
            engine.emit,
            uncached=True,
        )
    if verified.findings:
        raise UnreadableBundleError(
            f"{path}: the medium does not return what was written",
            [str(finding) for finding in verified.findings],
            hint="use another medium: this one lost or changed data",
        )


def _verify_volume(
    volume: Volume,
    plan: SealedPlan,
    threads: int | None,
    cancellation: Cancellation,
    emit: Emit,
    *,
    hashed: Collection[str] = (),
    uncached: bool = False,
) -> VolumeVerification:
    files, findings = volume.files, dict[str, Finding]()

    def add(path: str, error: BundlerError) -> None:
        if isinstance(error, DigestMismatchError):
            text = f"digest mismatch (expected {error.expected}, got {error.got})"
            finding = Finding("damaged", path, text, expected=error.expected, got=error.got)
        else:
            code = "unreadable" if isinstance(error, MediumError) else "malformed"
            code = "missing" if isinstance(error, NotFoundError) else code
            finding = Finding(code, path, error.message_without(f"{files.location}/", f"{path}: "))
        findings.setdefault(path, finding)

    planned, listed = plan.volumes[volume.number - 1], dict[str, "Digest"]()
    name = bundle_paths.format_volume_name(volume.number)
    try:
        raw = files.read(name, checksums.MAX_CHECKSUM_FILE)
        planned.digest.verify(raw, name)
        listed = checksums.parse(raw, subject=name)
    except (NotFoundError, MediumError, BundlerError) as error:
        add(name, error)
    try:
        contents = files.read(bundle_paths.CONTENTS, sealed_plan.MAX_CONTENTS)
        plan.contents.digest.verify(contents, bundle_paths.CONTENTS)
    except BundlerError as error:
        add(bundle_paths.CONTENTS, error)
    found = files.scan()
    for path in listed:
        entry = found.entries.get(path)
        if entry is None:
            findings.setdefault(path, Finding("missing", path, "missing"))
        elif entry.kind == "special":
            findings.setdefault(path, Finding("special", path, NOT_REGULAR))
    surplus = [path for path in found.entries if path not in listed and is_surplus(path)]
    for path in surplus if listed else ():
        findings.setdefault(path, Finding("surplus", path, f"not listed in {name}"))
    expected = {
        path: (digest,)
        for path, digest in listed.items()
        if path not in findings and path not in hashed
    }
    jobs = parallel_hash.create_jobs(expected, found.entries.values(), {})
    total = BlobTotal(sum(len(job.expected) for job in jobs), sum(job.size for job in jobs))
    emit(Planned(TransferTotals(checked=total), "check"))
    faults = parallel_hash.hash_all(files, jobs, threads, cancellation, emit, uncached=uncached)
    files.check_connected()
    for path, fault in faults.items():
        add(path, fault)
    emit(Completed(TransferTotals(checked=total)))
    ordered = tuple(finding for _, finding in sorted(findings.items()))
    return VolumeVerification(volume.number, files.location, ordered, total.blobs, total.size)


def is_surplus(path: str) -> bool:
    """Whether a file that no checksum file lists is an error, and not left over."""
    return bundle_paths.is_listed(path) and not bundle_paths.is_content(path)
