"""The verification of single volumes, for ``verify``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bundler.cli.output import text

if TYPE_CHECKING:
    from bundler.bundle.format.archive.archive_files import ArchiveFiles
    from bundler.bundle.format.reading.open_files import AnyLocation
    from bundler.bundle.verifying.verify_volumes import VolumesVerification
    from bundler.cli.runtime.context import CommandRun
    from bundler.trust.bundle_trust import BundleTrust


@dataclass(frozen=True, slots=True)
class VerifiedVolumes:
    """The result of the volumes of a bundle; None: it is in one directory."""

    result: VolumesVerification | None = None

    def print_text(self) -> None:
        """Print a line for each volume, and the findings."""
        for line in () if self.result is None else self.result.describe():
            text.print_line(line)

    def to_json(self) -> dict[str, Any]:
        """Return the member ``volumes`` of the report; no member without volumes."""
        return {} if self.result is None else {"volumes": self.result.to_json()}

    def check(self) -> None:
        """Raise the error of damaged volumes, if any."""
        if self.result is not None:
            self.result.check()


def verify_volumes(
    run: CommandRun,
    bundle: AnyLocation,
    trust: BundleTrust,
    *,
    threads: int | None,
    now: datetime | None,
    as_json: bool,
) -> VerifiedVolumes:
    """Verify the volumes at ``bundle``; if all are present, only what several of them have.

    As long as volumes are missing, the report is printed here.

    Raises:
        DamagedBundleError, UnreadableBundleError, TrustError: one of some volumes is damaged, or
            the plan is not authenticated.
        VolumesOwedError: they are whole, and others are missing.
    """
    from bundler.bundle.format.archive.archive_files import ArchiveFiles  # noqa: PLC0415 - not for --help
    from bundler.bundle.format.reading.open_files import open_files  # noqa: PLC0415 - as above
    from bundler.bundle.format.reading.stream_location import StreamLocation  # noqa: PLC0415 - as above
    from bundler.bundle.format.reading.volume_files import VolumeFiles  # noqa: PLC0415 - as above

    if isinstance(bundle, StreamLocation):
        return VerifiedVolumes()
    with open_files(bundle) as files:
        if isinstance(files, ArchiveFiles):
            _verify_partial(run, files, trust, threads=threads, now=now, as_json=as_json)
        if not isinstance(files, VolumeFiles):
            return VerifiedVolumes()
        from bundler.bundle.verifying import verify_volumes as verifying  # noqa: PLC0415 - rare

        result = verifying.verify_volumes(
            files,
            trust,
            now or datetime.now(UTC),
            threads=threads,
            cancellation=run.cancellation,
            emit=run.emit,
            only_shared=len(files.numbers) == len(files.plan.volumes),
        )
    found = VerifiedVolumes(result)
    if result.owed:
        if as_json:
            text.print_json(found.to_json())
        else:
            found.print_text()
        result.check()
    return found


def _verify_partial(
    run: CommandRun,
    files: ArchiveFiles,
    trust: BundleTrust,
    *,
    threads: int | None,
    now: datetime | None,
    as_json: bool,
) -> None:
    """Verify and report what is present of an archive; do nothing if it is whole.

    Raises:
        PartsOwedError, DamagedBundleError: it is not whole.
        TrustError: its plan is not authenticated.
    """
    files.accepts_partial = True
    if not files.is_partial:
        return
    from bundler.bundle.verifying.verify_partial import verify_partial  # noqa: PLC0415 - rare

    result = verify_partial(
        files,
        trust,
        now or datetime.now(UTC),
        threads=threads,
        cancellation=run.cancellation,
        emit=run.emit,
    )
    if as_json:
        text.print_json({"partial": result.to_json()})
    else:
        for line in result.describe():
            text.print_line(line)
    result.check()
