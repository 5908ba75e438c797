"""One import at a site: its check against the records before, and its entry in them afterwards."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from bundler.bundle.records import owed_volumes, site
from bundler.bundle.records.admission import Admission, Overrides, admit
from bundler.bundle.records.evidence.draft import EvidenceDraft
from bundler.bundle.records.receipts import SignedReceipt
from bundler.bundle.records.state import streams
from bundler.bundle.records.state.trust_file_state import MEMBER, TrustFileState
from bundler.errors import (
    DamagedBundleError,
    DigestMismatchError,
    EquivocationError,
    ExpiredError,
    FutureBundleError,
    LimitError,
    MalformedError,
    MisreportedDigestError,
    RejectedByPolicyError,
    RejectedByRulesError,
    RollbackError,
    SizeMismatchError,
    TrustError,
    TrustFileError,
    UnknownStreamError,
)
from bundler.events import Notice, WarningIssued
from bundler.oci.digest import Digest
from bundler.oci.json import timestamps

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from bundler.bundle.audit.rules.audited import AuditedLocation
    from bundler.bundle.audit.rules.evaluate import Verdict
    from bundler.bundle.format.authenticate import AuthenticatedBundle
    from bundler.bundle.format.reading.volume_files import VolumeFiles
    from bundler.bundle.importing.report import ImportReport
    from bundler.errors import BundlerError
    from bundler.events import Emit
    from bundler.trust.private_keys.signers import Signer

_REFUSALS: dict[type[TrustError], str] = {
    RollbackError: "rollback",
    EquivocationError: "equivocation",
    FutureBundleError: "future",
    ExpiredError: "expired",
    UnknownStreamError: "unknown-stream",
    TrustFileError: "trust-file",
}
_LATER_REFUSALS: dict[type[BundlerError], str | None] = {
    MisreportedDigestError: None,  # the target is wrong, and not the bundle
    DamagedBundleError: "damaged",
    DigestMismatchError: "damaged",
    SizeMismatchError: "damaged",
    RejectedByPolicyError: "policy",
    RejectedByRulesError: "rules",
}
"""The refusals of an admitted bundle; the first class of an error counts."""
_UNREAD_REFUSALS: dict[type[BundlerError], str | None] = _LATER_REFUSALS | {
    MalformedError: "malformed",
    LimitError: "malformed",
}
"""The refusals before its images are read, when no file of the target was read either."""


class ImportSession:
    """The records during one import.

    ``admit`` is called once, when the bundle is authenticated. From then on, no other process can
    import a bundle of the same stream, until the session is closed. With ``dry_run``, the records
    are only read. ``receipt_signers`` sign the receipt. ``operator`` is the member of that name in
    the entries of the log. ``now`` is the time of the check; None: the current time.
    """

    def __init__(
        self,
        path: Path,
        overrides: Overrides,
        emit: Emit,
        *,
        dry_run: bool,
        receipt_signers: Sequence[Signer] = (),
        operator: Mapping[str, str] | None = None,
        now: datetime | None = None,
    ) -> None:
        self._path = path
        self._overrides = overrides
        self._emit = emit
        self.dry_run = dry_run
        self._receipt_signers = receipt_signers
        self._operator = {} if operator is None else {"operator": dict(operator)}
        self._evidence = EvidenceDraft(path)
        self._now = now
        self._stack = ExitStack()
        self._admission: Admission | None = None
        self._bundle: AuthenticatedBundle | None = None
        """The bundle that was admitted."""
        self._refusals = _UNREAD_REFUSALS
        if not dry_run and site.prepare(path):
            emit(
                Notice(
                    "an earlier import was interrupted before its entry in the log, which is"
                    " written now: see airbundle log show"
                )
            )

    def admit(self, bundle: AuthenticatedBundle) -> None:
        """Check a bundle against the records; a refusal is recorded.

        Raises:
            UnfitSignerError: a signer of the receipt may not sign it.
            LostRecordsError: the records are damaged.
            TrustError: the bundle is refused.
            LockedError: another process imports a bundle of the stream.
        """
        stream, now = bundle.inventory.stream, self._now or datetime.now(UTC)
        receipt_keys = [signer.public for signer in self._receipt_signers]
        bundle.trust.check_receipt_signers(receipt_keys, stream, now)
        records = site.read(self._path)
        known = records.streams.get(stream)
        if not self.dry_run:
            is_recorded = known is not None and known.inventory == Digest.of(bundle.raw)
            changes = bundle.is_authenticated and not self._overrides.signers
            shared = is_recorded or not changes
            self._stack.enter_context(site.lock_stream(self._path, stream, shared=shared))
            records = site.read(self._path)
        try:
            admission = admit(bundle, records, self._overrides, now)
        except TrustError as error:
            self._record_refusal(bundle, _REFUSALS[type(error)])
            raise
        self._admission, self._bundle = admission, bundle
        for line in admission.describe_overrides():
            self._emit(WarningIssued(line))
        if self.dry_run:
            self._announce_adoption("an import adopts it")
        if admission.clock_behind is not None and self._now is None:
            days = admission.clock_behind.total_seconds() / 86400
            self._emit(
                WarningIssued(
                    f"the clock is {days:,.1f} days behind the last time seen, which is used"
                    " instead"
                )
            )

    def note_fork(self, bundle: AuthenticatedBundle) -> None:
        """Record a bundle that is refused because of a fork of the trust file."""
        self._record_refusal(bundle, _REFUSALS[TrustFileError])

    def preview(self, bundle: AuthenticatedBundle) -> None:
        """Check a bundle of which only the plan has arrived; ``admit`` follows, and records it.

        Raises:
            TrustError: the bundle will be refused.
        """
        records = site.read(self._path)
        with suppress(EquivocationError):  # the digest of the inventory is not known yet
            admit(bundle, records, self._overrides, self._now or datetime.now(UTC))

    def keep(self, audited: AuditedLocation, verdict: Verdict | None = None) -> None:
        """Keep the bundle, what was read of its images, and the verdict of rules about them.

        Called before the target is opened: an import that cannot be recorded changes nothing.

        Raises:
            LimitError: the evidence is too large.
            DamagedEvidenceError: an object with the same digest exists, and is damaged.
            NoSpaceError, MediumError: it cannot be written.
        """
        self._refusals = _LATER_REFUSALS
        if self._bundle is not None and not self.dry_run:
            self._evidence.add_bundle(self._bundle)
            self._evidence.add_location(audited, verdict)
            site.check_space(self._path)

    def note_owed(self, target: str, files: VolumeFiles, digests: Collection[str]) -> None:
        """Keep which layers a target lacks as long as volumes are missing.

        Raises:
            NoSpaceError, MediumError: it cannot be written.
        """
        if self.dry_run:
            return
        now = self._now or datetime.now(UTC)
        try:
            owed_volumes.write(self._path, files, target, digests, now)
        except LimitError as error:
            self._emit(WarningIssued(f"{error.message}; the records do not state what is missing"))

    def describe(self) -> dict[str, Any]:
        """Return the members of the receipt about the check; unset ones are absent."""
        return {} if self._admission is None else self._admission.to_json()

    def record(self, report: ImportReport) -> tuple[SignedReceipt, Path]:
        """Write the signed receipt, and the entry in the log; return the receipt and its path.

        The import is recorded even if a signer of the receipt fails, see ``SignedReceipt.failure``.

        Raises:
            LostRecordsError: the records were damaged during the import.
            LockedError, NoSpaceError, MediumError: they cannot be written.
        """
        results = {
            str(item.image.reference): {"name": item.name, "action": item.state}
            for item in report.images
        }
        evidence = self._evidence.finish(results)
        receipt = SignedReceipt.create(report.to_json() | self.describe(), self._receipt_signers)
        ended = report.ended.strftime("%Y-%m-%dT%H%M%SZ")
        inventory = report.bundle.inventory
        stem = f"{inventory.stream}-{inventory.serial}-{ended}"
        state = None if self._admission is None else self._admission.state
        unchanged = {"seen": timestamps.format_utc(report.ended), "stateUnchanged": True}
        trust = report.bundle.trust
        used: dict[str, Any] = {}
        if state is not None and state.trust is not None and trust.digest is not None:
            used = {MEMBER: TrustFileState(state.trust, trust.digest).to_json()}
        members = describe_bundle(report.bundle) | {
            "authenticated": report.bundle.is_authenticated,
            **(state.to_json() if state else unchanged),
            "target": report.target,
            "images": len(report.images),
            "failed": len(report.failed),
            **used,
            "threshold": trust.threshold,
            "policy": report.policy.to_json(),
            "evidence": evidence.text,
            **self._operator,
            **self.describe(),
        }
        recorded = site.record_import(self._path, receipt, stem, report.ended, members)
        self._announce_adoption("this import adopts it")
        if report.owed is None and len(report.images) == len(inventory.images):
            owed_volumes.remove(self._path, inventory.stream, report.target)
        return receipt, recorded

    def _announce_adoption(self, event: str) -> None:
        """Emit a notice if the stream of the bundle is new at this site."""
        if self._bundle is not None and self._admission is not None and self._admission.adopts:
            inventory = self._bundle.inventory
            self._emit(
                Notice(
                    f"stream {inventory.stream}: not imported before; {event} at serial"
                    f" {inventory.serial}, and lower serials are refused from then on"
                )
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        with self._stack:
            names = (name for kind, name in self._refusals.items() if isinstance(error, kind))
            if self._bundle and (refusal := next(names, None)):
                self._record_refusal(self._bundle, refusal)

    def _record_refusal(self, bundle: AuthenticatedBundle, refusal: str) -> None:
        """Record that a bundle was refused; one that is not authenticated proves nothing."""
        if bundle.is_authenticated and not self.dry_run:
            self._evidence.add_bundle(bundle)
            evidence = {"evidence": self._evidence.finish().text}
            members = describe_bundle(bundle) | {"refusal": refusal} | evidence | self._operator
            site.append(self._path, streams.REFUSED, self._now or datetime.now(UTC), members)


def describe_bundle(bundle: AuthenticatedBundle) -> dict[str, Any]:
    """Return the members of a log entry that identify a bundle."""
    return bundle.describe_unfit() | {
        "stream": bundle.inventory.stream,
        "serial": bundle.inventory.serial,
        "inventory": Digest.of(bundle.raw).text,
        "signedBy": [key.id for key in bundle.signers],
    }
