"""The rehearsal of an import, for ``verify --offline`` and ``export --rehearse``."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bundler.cli.output import text
from bundler.errors import BundlerError, CancelledError
from bundler.events import discard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from bundler.bundle.importing.report import ImportReport
    from bundler.bundle.records.admission import Overrides
    from bundler.cli.runtime.context import CommandContext, CommandRun
    from bundler.events import Emit
    from bundler.trust.bundle_trust import BundleTrust
    from bundler.trust.keys import PublicKey


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The result of a rehearsal."""

    report: ImportReport | None
    """None: the import would fail."""
    refusal: BundlerError | None = None
    """The error with which the import would fail."""

    def check(self) -> None:
        """Raise the error with which the import would fail, if any."""
        if self.refusal is not None:
            raise self.refusal

    def to_json(self) -> dict[str, Any] | None:
        """Return the result as JSON; None if the import would fail."""
        if self.report is None:
            return None
        images = [
            {
                "reference": str(result.image.reference),
                "digest": result.image.digest.text,
                **result.describe_acceptance(),
            }
            for result in self.report.images
        ]
        return {"images": images, "policy": self.report.policy.to_json()}

    def print_text(self) -> None:
        """Print the result as text, unless the import would fail."""
        if self.report is None:
            return
        applied = self.report.policy.status == "applied"
        policy = "the policy accepts them" if applied else "no policy"
        number = text.count(len(self.report.images), "image")
        text.print_line(f"rehearsed without a network: {number} can be imported; {policy}")


@contextmanager
def refuse_network() -> Iterator[None]:
    """Refuse every use of a network during the block, also by programs if that is permitted."""
    from bundler.cli.runtime import offline  # noqa: PLC0415 - loads ctypes

    offline.leave_network()
    with offline.refuse_sockets():
        yield


def rehearse_export(context: CommandContext, bundle: Path, keys: Sequence[PublicKey]) -> Rehearsal:
    """Verify a bundle that was just written, and rehearse its import at a new site.

    ``keys`` are those that signed it; all of them must have. A medium that does not contain what
    was written is a refusal, too.
    """
    from tempfile import TemporaryDirectory  # noqa: PLC0415 - only for rehearsals

    from bundler.bundle.records.admission import Overrides  # noqa: PLC0415 - as above
    from bundler.bundle.verifying.verify import verify  # noqa: PLC0415 - as above
    from bundler.trust.bundle_trust import NO_KEYS, TrustedKeys  # noqa: PLC0415 - as above

    trust = TrustedKeys.create(keys, len(keys)) if keys else NO_KEYS
    with refuse_network(), context.run() as run, TemporaryDirectory(prefix="airbundle-") as folder:
        verification = verify(bundle, trust, cancellation=run.cancellation, emit=run.emit)
        if keys or not verification.whole:
            try:
                verification.check()
            except BundlerError as error:
                return Rehearsal(None, refusal=error)
        overrides = Overrides(unsigned=not keys)
        return rehearse(run, bundle, trust, Path(folder) / "records", overrides, emit=discard)


def rehearse(
    run: CommandRun,
    bundle: Path,
    trust: BundleTrust,
    records: Path,
    overrides: Overrides,
    *,
    signature_files: tuple[Path, ...] = (),
    now: datetime | None = None,
    emit: Emit | None = None,
) -> Rehearsal:
    """Rehearse the import of a bundle at the site with ``records``.

    ``emit`` receives the notices of the comparison with the records; None: the display of the run.

    Raises:
        CancelledError: the run was cancelled.
        ConfigError: the policy is not valid.
    """
    from bundler.bundle.importing import rehearse as importing  # noqa: PLC0415 - not for --help
    from bundler.bundle.records.import_session import ImportSession  # noqa: PLC0415 - as above
    from bundler.cli.runtime import policy_file  # noqa: PLC0415 - as above

    policy = policy_file.find_policy(run)
    with ImportSession(records, overrides, emit or run.emit, dry_run=True, now=now) as session:
        try:
            report = importing.rehearse(
                bundle,
                trust,
                session.admit,
                run.create_open_options(),
                run.create_engine_options(),
                signature_files=signature_files,
                allow_unsigned=overrides.unsigned,
                policy=policy,
                now=now,
            )
        except CancelledError:
            raise
        except BundlerError as error:
            return Rehearsal(None, refusal=error)
    return Rehearsal(report)
