"""``airbundle import``: push the images of a bundle to a target."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, cast

import click

from bundler.cli.options import common, records
from bundler.cli.options.auditing.contents_cache import CacheOptions, cache_options
from bundler.cli.options.auditing.gate import GateOptions, gate_options
from bundler.cli.options.command import command
from bundler.cli.options.import_names import SECTION, ImportNameOptions, import_names
from bundler.cli.options.option import option
from bundler.cli.options.registry_access import AccessOptions, registry_access
from bundler.cli.options.signing.bundle_signers import SignerOptions, bundle_signers
from bundler.cli.options.signing.bundle_trust import TrustOptions, bundle_trust
from bundler.cli.output import receipts, text
from bundler.cli.runtime import trusted_keys
from bundler.cli.runtime.bundle_location import find_location
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.cli.runtime.signing.bundle_signers import read_signers
from bundler.cli.runtime.volume_prompts import import_volumes
from bundler.errors import TrustError, UsageError, VolumesOwedError
from bundler.events import Notice

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.bundle.format.authenticate import AuthenticatedBundle
    from bundler.bundle.importing.comparing.compare_images import Existing
    from bundler.bundle.importing.report import ImportReport
    from bundler.bundle.records.receipts import SignedReceipt
    from bundler.cli.runtime.context import CommandRun
    from bundler.config.registry_access import RegistryOverride
    from bundler.events import Emit
    from bundler.ports import TransportOptions
    from bundler.trust.bundle_trust import BundleTrust

_RESULTS = {"same": "already present"}


@command(
    "import", "airbundle import /media/stick/plant-7 docker://registry.plant:5000 --key plant.pub"
)
@click.argument("bundle", type=common.PATH, nargs=-1, required=True)
@click.argument("target")
@bundle_trust
@common.identity
@import_names
@option(
    "--existing",
    type=click.Choice(["error", "skip", "overwrite", "merge-platforms"]),
    section=SECTION,
    help="Action for target names with different content (default: error). merge-platforms: replace"
    " the platforms of the bundle in the index at the target, and keep its others.",
)
@option("--verify-first", is_flag=True, help="Verify the whole bundle before the first push.")
@option(
    "--verify-pushed",
    is_flag=True,
    help="Read everything back from TARGET and compare the digests, of blobs before names are"
    " published.",
)
@option("--keep-going", is_flag=True, help="Skip images that fail, and import the rest.")
@option(
    "--publish-as-complete",
    is_flag=True,
    help="Of a bundle on volumes, publish each image as soon as all its content has come (default:"
    " no name before everything has come).",
)
@gate_options
@records.keep_packages
@cache_options
@common.dry_run("Print references and target names; push nothing.")
@records.overrides
@records.directory
@option(
    "--receipt",
    type=common.PATH,
    section=records.SECTION,
    help="Write a copy of the receipt to this file.",
)
@bundle_signers("--receipt-key", "receipt_signers", "receipt-", "Signers of the receipt")
@registry_access("the target's registry", uploads=True)
@common.jobs()
@common.as_json
@pass_context
def import_(
    context: CommandContext,
    bundle: tuple[Path, ...],
    target: str,
    *,
    trust: TrustOptions,
    identity_files: tuple[Path, ...],
    names: ImportNameOptions,
    existing: str | None,
    verify_first: bool,
    verify_pushed: bool,
    keep_going: bool,
    publish_as_complete: bool,
    gate: GateOptions,
    keep_packages: bool,
    cache: CacheOptions,
    dry_run: bool,
    overrides: records.OverrideOptions,
    records_path: Path | None,
    receipt: Path | None,
    receipt_signers: SignerOptions,
    jobs: int | None,
    as_json: bool,
    access: AccessOptions,
) -> None:
    """Push the images of BUNDLE to TARGET; the bundle must be signed by a trusted key.

    BUNDLE is a directory, or those of several volumes of one bundle, in any order, or an archive or
    its parts. If volumes or parts are missing, the content of the others is pushed, no name is
    published, and the exit status is 11. If it is -, an archive is read from standard input, and
    pushed while it arrives; so is one that is decrypted with --identity.

    TARGET is docker://HOST[:PORT][/PREFIX], atomic:HOST[:PORT]/NAMESPACE for image streams of
    OpenShift, oci:DIRECTORY, dir:DIRECTORY, or a YAML file with
    one of these targets and further settings. Options override these settings, which override the
    configuration files.

    The trust file of the site states the trusted keys; without one, --key does. At a site with a
    trust file, --key and another --trust override it: they need --reason, and a new stream needs
    --adopt.
    """
    site = records.find_records(records_path, context.environment)
    overridden = overrides.create_overrides(
        signers=trusted_keys.find_override(context, trust, site),
        policy=context.ignores_policy_file(),
    )
    rules = gate.load(bundle)
    reads_layers = keep_packages or (rules is not None and rules.rules.depth == "contents")
    _check_stream(
        bundle[0],
        identity_files,
        reads_layers=reads_layers or verify_first,
        publish_as_complete=publish_as_complete,
    )
    trusted = trusted_keys.read_trust(
        context,
        trust,
        read_only=dry_run,
        records=None if overridden.signers else site,
    )
    signers = read_signers(context, receipt_signers)
    for signer in signers:  # or a signature of one kind could pass as one of the other
        if signer.public in trusted.bundle_keys:
            raise UsageError(
                f"receipt: key {signer.public.id[:16]} signs bundles",
                hint="create a key for receipts: airbundle keygen PREFIX",
            )
    from bundler.bundle.importing import import_bundle  # noqa: PLC0415 - not for --help
    from bundler.bundle.importing.target import RegistryTarget  # noqa: PLC0415 - as above
    from bundler.bundle.records.evidence.import_gate import KeepingGate  # noqa: PLC0415 - as above
    from bundler.bundle.records.import_session import ImportSession  # noqa: PLC0415 - as above
    from bundler.cli.runtime import policy_file  # noqa: PLC0415 - as above
    from bundler.cli.runtime.importing import import_target  # noqa: PLC0415 - as above

    settings = import_target.read_target(target, names, context.environment)
    override, patterns = access.create_override(), names.parse_patterns()
    if settings.override is not None:
        override = override.with_defaults(settings.override) if override else settings.override
    by_host: dict[str, RegistryOverride] = {}
    if not isinstance(settings.target, RegistryTarget):
        access.refuse_registry_options(target)
    elif override is not None:
        by_host[settings.target.domain] = override
    if receipt is not None and not dry_run:
        receipts.check_path(receipt)
    with (
        common.suggest_repair(bundle),
        context.run(jobs) as run,
        # Evidence is what was read, and not what was kept of an earlier command.
        cache.open(context, is_needed=reads_layers and dry_run) as kept,
    ):

        def perform(present: tuple[Path, ...]) -> None:
            """Import from the directories that are present, and record and print the result."""

            def admit(authenticated: AuthenticatedBundle) -> None:
                session.admit(authenticated)
                if verify_first:
                    _verify(present, trusted, trust, run)

            with ImportSession(
                site,
                overridden,
                run.emit,
                dry_run=dry_run,
                receipt_signers=signers,
                operator=context.environment.describe_operator(),
            ) as session:
                request = import_bundle.ImportRequest(
                    bundle=find_location(run, present, identity_files),
                    target=settings.target,
                    options=run.create_open_options(by_host, _open_journal(site, dry_run=dry_run)),
                    trust=trusted,
                    signature_files=trust.signature_files,
                    allow_unsigned=overridden.unsigned,
                    admit=admit,
                    preview=session.preview,
                    note_fork=session.note_fork,
                    note_owed=partial(session.note_owed, str(settings.target)),
                    gate=KeepingGate(session, rules, keep_packages, kept).check,
                    names=settings.names,
                    only=patterns,
                    existing=cast("Existing", existing or settings.existing or "error"),
                    policy=policy_file.find_policy(run),
                    publish_as_complete=publish_as_complete,
                    verify_pushed=verify_pushed,
                    dry_run=dry_run,
                )
                engine = run.create_engine_options(keep_going=keep_going, read_everything=True)
                report = import_bundle.import_bundle(request, engine)
                signed, recorded = (None, None) if dry_run else session.record(report)
            if as_json:
                text.print_json(report.to_json() | session.describe() | {"dryRun": dry_run})
            else:
                print_report(report, dry_run=dry_run)
            if signed is not None and recorded is not None:
                _copy_receipt(signed, recorded, receipt, run.emit)
            report.check()

        import_volumes(perform, bundle, may_ask=not (as_json or dry_run))


def _verify(
    bundle: tuple[Path, ...], trusted: BundleTrust, trust: TrustOptions, run: CommandRun
) -> None:
    """Verify a bundle whose signers were checked, with the options that allow others.

    Of volumes, those that are present are verified.
    """
    from bundler.bundle.format.reading.open_files import open_files  # noqa: PLC0415 - only with this option
    from bundler.bundle.format.reading.volume_files import VolumeFiles  # noqa: PLC0415 - as above

    with open_files(bundle) as files:
        if isinstance(files, VolumeFiles) and not files.is_complete:
            from bundler.bundle.verifying.verify_volumes import verify_volumes  # noqa: PLC0415 - as above

            volumes = verify_volumes(
                files,
                trusted,
                datetime.now(UTC),
                cancellation=run.cancellation,
                emit=run.emit,
            )
            with suppress(TrustError, VolumesOwedError):
                volumes.check()
            return
    from bundler.bundle.verifying.verify import verify  # noqa: PLC0415 - only with this option

    verification = verify(
        bundle,
        trusted,
        signature_files=trust.signature_files,
        cancellation=run.cancellation,
        emit=run.emit,
    )
    with suppress(TrustError):
        verification.check()


def _copy_receipt(signed: SignedReceipt, recorded: Path, receipt: Path | None, emit: Emit) -> None:
    """Write the copy of a receipt, print its path, and raise the error of a signer that failed."""
    path = receipts.write_copy(signed, recorded, receipt) if receipt else recorded
    emit(Notice(f"receipt: {path}"))
    if signed.failure is not None:
        signed.failure.add_note(f"the import is recorded; {path} lacks this signature")
        raise signed.failure


def _open_journal(records_path: Path, *, dry_run: bool) -> list[TransportOptions]:
    """Return the option to keep unfinished uploads in the records; none for a dry run."""
    if dry_run:
        return []
    from bundler.registry.upload_journal import UploadJournal  # noqa: PLC0415 - not for --help
    from bundler.transports.docker.options import DockerOptions  # noqa: PLC0415 - as above

    journal = UploadJournal(records_path / "uploads")
    journal.remove_old()
    return [DockerOptions(upload_journal=journal)]


def _check_stream(
    bundle: Path, identity_files: Sequence[Path], *, reads_layers: bool, publish_as_complete: bool
) -> None:
    """Refuse to read the layers in a stream before they are pushed, and names before its end."""
    if not (identity_files or str(bundle) == "-"):
        return
    kind = "an encrypted archive" if identity_files else "a pipe"
    if publish_as_complete:
        raise UsageError(
            f"--publish-as-complete does not apply to {kind}, whose inventory arrives last",
            hint="leave it out",
        )
    if reads_layers:
        raise UsageError(
            f"{kind} is read once, so its layers cannot be read before they are pushed",
            hint="write the archive to a file without encryption, or leave out --verify-first,"
            " --keep-packages and rules about the contents of layers",
        )


def print_report(report: ImportReport, *, dry_run: bool) -> None:
    """Print the report of an import as text."""
    rows = [
        (
            str(image.image.reference),
            image.name,
            _RESULTS.get(image.state, image.state),
            image.former or "",
        )
        for image in report.images
    ]
    text.print_table(("OLD NAME", "NEW NAME", "RESULT", "FORMER DIGEST"), rows)
    if report.read_back is not None:
        text.print_line(report.read_back.describe())
    if not report.bundle.inventory.complete:
        text.print_line(text.INCOMPLETE)
    text.print_line(f"{'to push' if dry_run else 'pushed'}: {text.format_transfer(report.totals)}")
    if report.verified_pushed is not None:
        total = text.format_total(report.verified_pushed)
        text.print_line(f"read back from the target: {total}: as pushed")
    for line in report.omissions.describe():
        text.print_line(line)
    for result in report.images:
        for unstored in result.unstored_signatures:
            text.print_line(str(unstored))
        for name, reason in result.refused_referrers.items():
            text.print_line(f"{result.name}: referrer {name} not stored: {reason}")
