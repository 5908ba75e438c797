"""The rehearsal of an import, for ``verify --offline`` and ``export --rehearse``."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bundler.cli.output import text
from bundler.errors import (
    BundlerError,
    CancelledError,
    ExpiredError,
    FutureBundleError,
    RollbackError,
    TrustError,
    UnauthenticatedError,
)
from bundler.events import discard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bundler.bundle.format.reading.open_files import BundleLocation
    from bundler.bundle.importing.import_bundle import ImportRequest
    from bundler.bundle.importing.report import ImportReport
    from bundler.bundle.records.admission import Overrides
    from bundler.cli.runtime.context import CommandContext, CommandRun
    from bundler.cli.runtime.importing.import_target import TargetSettings
    from bundler.events import Emit
    from bundler.trust.private_keys.signers import Signer


_HINTS: dict[type[BundlerError], str] = {
    RollbackError: "carry the newest bundle of the stream; an import needs a reason to go back",
    FutureBundleError: "compare the clocks of both sides, and export the bundle again",
    ExpiredError: "export a newer bundle",
}


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The result of a rehearsal."""

    report: ImportReport | None
    """None: the import would fail."""
    refusal: BundlerError | None = None
    """The error with which the import would fail."""
    trust_file: Path | None = None
    """The trust file that was applied; None: none, or only as by any import."""
    missing_signatures: int = 0
    """How many more keys must sign by ``trust_file``."""

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
                "name": result.name,
                **result.describe_acceptance(),
            }
            for result in self.report.images
        ]
        value: dict[str, Any] = {"images": images, "policy": self.report.policy.to_json()}
        if self.report.rules is not None:
            value["rules"] = self.report.rules
        if self.missing_signatures:
            value["missingSignatures"] = self.missing_signatures
        return value

    def print_text(self, *, names: bool) -> None:
        """Print the result as text, with the target names on request, unless it would fail."""
        if self.report is None:
            return
        if names:
            rows = [(str(result.image.reference), result.name) for result in self.report.images]
            text.print_table(("OLD NAME", "NEW NAME"), rows)
        total = len(self.report.images)
        applied = self.report.policy.path
        policy = f"{applied} accepts {'it' if total == 1 else 'them'}" if applied else "no policy"
        number = text.count(total, "image")
        verdict = "checked" if self.missing_signatures else "can be imported"
        rules = "" if self.report.rules is None else "; the rules are met"
        text.print_line(f"rehearsed without a network: {number} {verdict}; {policy}{rules}")
        if self.missing_signatures:
            more = text.count(self.missing_signatures, "more signature")
            text.print_line(
                f"a site with the trust file {self.trust_file} still requires {more} by keys with"
                " the role bundle: airbundle sign BUNDLE --key FILE.key"
            )


@contextmanager
def refuse_network() -> Iterator[None]:
    """Refuse every use of a network during the block, also by programs if that is permitted."""
    from bundler.cli.runtime.importing import offline  # noqa: PLC0415 - loads ctypes

    offline.leave_network()
    with offline.refuse_sockets():
        yield


def rehearse_export(
    context: CommandContext,
    bundle: BundleLocation,
    signers: Sequence[Signer],
    settings: TargetSettings,
    trust_file: Path | None,
) -> Rehearsal:
    """Verify a bundle that was just written, and rehearse its import at a new site.

    All of ``signers`` must have signed it. A medium that does not contain what was written is a
    refusal, too. ``settings`` are those of the target. By ``trust_file``, unless it is None, at
    least one of the signatures must count; the result states how many are missing.

    Raises:
        ConfigError: ``trust_file`` cannot be read, or is not valid.
    """
    from tempfile import TemporaryDirectory  # noqa: PLC0415 - only for rehearsals

    from bundler.bundle.importing.import_bundle import ImportRequest  # noqa: PLC0415 - as above
    from bundler.bundle.records.admission import Overrides  # noqa: PLC0415 - as above
    from bundler.bundle.verifying.verify import verify  # noqa: PLC0415 - as above
    from bundler.trust.bundle_trust import NO_KEYS, TrustedKeys  # noqa: PLC0415 - as above

    keys = [signer.public for signer in signers]
    trust = TrustedKeys.create(keys, len(keys)) if keys else NO_KEYS
    with refuse_network(), context.run() as run, TemporaryDirectory(prefix="airbundle-") as folder:
        verification = verify(bundle, trust, cancellation=run.cancellation, emit=run.emit)
        if keys or not verification.whole:
            try:
                verification.check()
            except BundlerError as error:
                return Rehearsal(None, refusal=error)
        options = run.create_open_options()
        request = ImportRequest(bundle, settings.target, options, trust, names=settings.names)
        overrides = Overrides(unsigned=not keys)
        rehearsal = rehearse(run, request, Path(folder) / "records", overrides, emit=discard)
    if trust_file is None or rehearsal.refusal is not None:
        return rehearsal
    try:
        missing = _count_missing_signatures(bundle, trust_file)
    except TrustError as error:
        return Rehearsal(None, refusal=error)
    return replace(rehearsal, trust_file=trust_file, missing_signatures=missing)


def _count_missing_signatures(bundle: BundleLocation, trust_file: Path) -> int:
    """Return how many more keys must sign a bundle that was just written, by a trust file.

    Raises:
        TrustError: the bundle is signed, but no signature counts; or the trust file has expired.
    """
    from bundler.bundle.format.authenticate import authenticate  # noqa: PLC0415 - as above
    from bundler.bundle.format.inventory.parse_inventory import parse_inventory  # noqa: PLC0415 - as above
    from bundler.bundle.format.reading.open_files import open_files  # noqa: PLC0415 - as above
    from bundler.trust.trust_files import role_check, trust_store  # noqa: PLC0415 - as above

    store = trust_store.load(trust_file, read_only=True)
    with open_files(bundle) as files:
        found = authenticate(files, store)
    contents = parse_inventory(found.raw)
    _, error = found.find_accepted(contents, datetime.now(UTC))
    if error is None:
        return 0
    unfit = role_check.find_unfit(
        store.content, "bundle", found.signers, contents.stream, contents.created
    )
    counted = len(found.signers) - len(unfit)
    if isinstance(error, UnauthenticatedError) and (counted or not error.signed_by):
        return store.threshold - counted
    raise error


def rehearse(
    run: CommandRun,
    request: ImportRequest,
    records: Path,
    overrides: Overrides,
    emit: Emit | None = None,
) -> Rehearsal:
    """Rehearse an import at the site with ``records``, with the policy of the user.

    ``emit`` receives the notices of the comparison with the records; None: the display of the run.

    Raises:
        CancelledError: the run was cancelled.
        ConfigError: the policy is not valid.
    """
    from bundler.bundle.importing import rehearse as importing  # noqa: PLC0415 - not for --help
    from bundler.bundle.records.import_session import ImportSession  # noqa: PLC0415 - as above
    from bundler.cli.runtime import policy_file  # noqa: PLC0415 - as above

    policy = policy_file.find_policy(run)
    with ImportSession(
        records, overrides, emit or run.emit, dry_run=True, now=request.now
    ) as session:
        checked = replace(
            request, admit=session.admit, allow_unsigned=overrides.unsigned, policy=policy
        )
        try:
            report = importing.rehearse(checked, run.create_engine_options())
        except CancelledError:
            raise
        except BundlerError as error:
            # The hints of an import name options that a rehearsal does not have.
            error.hint = _HINTS.get(type(error), error.hint)
            return Rehearsal(None, refusal=error)
    return Rehearsal(report)
