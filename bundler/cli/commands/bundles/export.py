"""``airbundle export``: write a bundle from a bundle manifest."""

from __future__ import annotations

import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.have import HaveOptions, have
from bundler.cli.options.medium import MediumOptions, medium
from bundler.cli.options.option import option, parse_percent, refuse_conflicts
from bundler.cli.options.registry_access import AccessOptions, registry_access
from bundler.cli.options.signing.bundle_signers import (
    NO_SIGNERS,
    SignerOptions,
    bundle_signers,
    require_signers,
)
from bundler.cli.output import export_report, text
from bundler.cli.runtime.bundle_location import read_recipients
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.cli.runtime.exporting.medium_request import add_medium

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.bundle.exporting.report import ExportReport
    from bundler.bundle.format.inventory.inventory import Format
    from bundler.bundle.format.inventory.presupposed import HeldBlob
    from bundler.bundle.format.plan.resend_request import ResendRequest
    from bundler.cli.runtime.importing.rehearsal import Rehearsal
    from bundler.oci.digest import Digest
    from bundler.trust.bundle_trust import SignedDocument
    from bundler.trust.private_keys.signers import Signer


def _read_resend_request(path: Path | None) -> ResendRequest | None:
    if path is None:
        return None
    from bundler.bundle.format.plan.resend_request import ResendRequest  # noqa: PLC0415 - rare

    return ResendRequest.read(path)


@command("export", "airbundle export plant-7.yaml /media/stick/plant-7 --sign-key plant.key")
@click.argument("manifest", type=common.PATH)
@click.argument("destination", type=common.PATH)
@common.bundle_format
@common.archive
@common.encrypt_to
@bundle_signers("--sign-key")
@option(
    "--trust",
    "trust_path",
    type=common.PATH,
    metavar="FILE",
    section="Signers",
    help="Carry this trust file and its former versions (default: that of the site, if any).",
)
@option(
    "--attest",
    is_flag=True,
    section="Signers",
    help="Add an attestation to each image, which states its source and this bundle (default:"
    " attest in MANIFEST).",
)
@option("--unsigned", is_flag=True, help="Write an unsigned bundle.")
@option("--locked", is_flag=True, help="Export exactly the digests recorded in the lock file.")
@common.image_policies
@have
@medium
@option(
    "--resend",
    metavar="FILE",
    type=common.PATH,
    help="Write the volumes again that this request of airbundle owed names, under the same plan:"
    " the first one to DESTINATION, and each further one to a --volume.",
)
@option(
    "--in-place",
    is_flag=True,
    help="If the medium has no room for the former and the new bundle, remove content of the former"
    " one first. If the export fails then, no bundle remains.",
)
@option(
    "--recovery",
    metavar="PERCENT",
    type=parse_percent,
    default=0,
    help="Add recovery data of this size, from 1% to 100%, with which airbundle repair restores"
    " damaged files (default: none).",
)
@option(
    "--keep-going", is_flag=True, help="Skip images that fail, and mark the bundle as incomplete."
)
@option(
    "--rehearse",
    is_flag=True,
    help="Finally read the bundle again, and check all that an import will check; with a trust"
    " file, also whether more signatures are required.",
)
@option(
    "--rehearse-target",
    metavar="TARGET",
    help="As --rehearse, with the target names at this target, or with this target file. It is not"
    " accessed.",
)
@common.dry_run("Print what would be exported; write nothing.")
@registry_access("every registry of the manifest")
@common.jobs()
@common.as_json
@pass_context
def export(
    context: CommandContext,
    manifest: Path,
    destination: Path,
    *,
    bundle_format: str,
    archive: bool,
    recipients: tuple[str, ...],
    signers: SignerOptions,
    trust_path: Path | None,
    attest: bool,
    unsigned: bool,
    locked: bool,
    policies: common.ImagePolicies,
    have: HaveOptions,
    medium: MediumOptions,
    resend: Path | None,
    in_place: bool,
    recovery: int,
    keep_going: bool,
    rehearse: bool,
    rehearse_target: str | None,
    dry_run: bool,
    access: AccessOptions,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Resolve MANIFEST and write a signed bundle to the directory or archive DESTINATION.

    If DESTINATION is -, the archive is written to standard output.

    MANIFEST is a bundle manifest, a file of one reference per line, or a skopeo sync file. Content
    that DESTINATION already has is hashed again and kept; running the command again resumes an
    interrupted export.

    Registry options override the `registries` of MANIFEST, which override the configuration files.
    """
    refuse_conflicts({"--attest": attest, "--unsigned": unsigned})
    if not dry_run:
        require_signers(signers, "--sign-key", unsigned=unsigned)
    is_pipe = str(destination) == "-"
    rehearsed = {"--rehearse": rehearse or rehearse_target is not None}
    refuse_conflicts(rehearsed | {"a pipe": is_pipe})
    refuse_conflicts(rehearsed | {"--encrypt-to": recipients})
    keys = _read_keys(context, signers)
    from bundler.bundle.exporting import export as exporting  # noqa: PLC0415 - not for --help
    from bundler.bundle.format.files import bundle_paths  # noqa: PLC0415
    from bundler.cli.runtime.exporting import manifest_input  # noqa: PLC0415

    rehearsal_target = None
    if rehearse or rehearse_target is not None:
        from bundler.cli.runtime.importing.import_target import read_target  # noqa: PLC0415 - to rehearse

        rehearsal_target = read_target(rehearse_target, None, context.environment)
    source = manifest_input.load(manifest, context.environment, policies, locked=locked)
    chain: Mapping[int, SignedDocument] = {}
    if trust_path := trust_path or context.environment.find_trust_file():
        from bundler.cli.runtime.trusted_keys import read_chain  # noqa: PLC0415 - if one exists

        chain = read_chain(context, trust_path, keys, source.manifest.name)
    held = _read_held_blobs(context, have, source.manifest.name)
    with context.run(jobs) as run:
        options = run.create_open_options(source.create_overrides(access))
        given = exporting.ExportRequest(
            images=source.create_image_requests(options, run.emit),
            options=options,
            bundle=destination,
            stream=source.manifest.name,
            format=cast("Format", bundle_format),
            archive=archive or bundle_paths.is_archive_name(destination),
            recipients=read_recipients(recipients),
            expires=source.manifest.expires,
            held=held,
            keys=keys,
            trust_chain=chain,
            in_place=in_place,
            resend=_read_resend_request(resend),
            recovery=recovery,
            policy_check=run.create_policy_check(),
            attest=attest or source.manifest.attest,
            manifest_files={file.path: file.digest for file in source.manifest.files},
        )
        request = add_medium(given, medium, run, may_ask=not as_json)
        engine = run.create_engine_options(keep_going=keep_going)
        with common.suggest_keep_going(given=keep_going or len(request.images) == 1):
            if dry_run:
                from bundler.bundle.exporting.estimate import estimate  # noqa: PLC0415
                from bundler.cli.commands.bundles.plan import print_estimate  # noqa: PLC0415

                print_estimate(estimate(request, engine), as_json=as_json)
                return
            report = exporting.export(request, engine)
    if (report.removed_signatures or (trust_path and keys and not request.is_stream)) and not (
        context.options.quiet
    ):
        _print_signature_notes(report, trust_path, signed=bool(keys))
    rehearsal = None
    if rehearsal_target is not None:
        from bundler.cli.runtime.importing.rehearsal import rehearse_export  # noqa: PLC0415 - with this option

        location = tuple(map(Path, report.volumes.values())) or destination
        rehearsal = rehearse_export(context, location, keys, rehearsal_target, trust_path)
    with redirect_stdout(sys.stderr) if is_pipe else nullcontext():
        _print_results(report, rehearsal, names=rehearse_target is not None, as_json=as_json)
    if rehearsal is not None:
        rehearsal.check()
    if not (context.options.quiet or is_pipe):
        for message in report.completion_messages:
            text.print_note(message)
    report.check()


def _read_keys(context: CommandContext, signers: SignerOptions) -> tuple[Signer, ...]:
    if signers == NO_SIGNERS:
        return ()
    from bundler.cli.runtime.signing.bundle_signers import read_signers  # noqa: PLC0415 - to sign only

    return read_signers(context, signers)


def _read_held_blobs(
    context: CommandContext, have: HaveOptions, stream: str
) -> Mapping[Digest, HeldBlob]:
    if not have.files:
        return {}
    from bundler.cli.runtime.exporting.held_blobs import read_held_blobs  # noqa: PLC0415 - with this option

    return read_held_blobs(context, have, stream)


def _print_results(
    report: ExportReport, rehearsal: Rehearsal | None, *, names: bool, as_json: bool
) -> None:
    """Print the report of an export and of its rehearsal; ``names``: with the target names."""
    if as_json:
        rehearsed = {} if rehearsal is None else {"rehearsal": rehearsal.to_json()}
        text.print_json(report.to_json() | rehearsed)
        return
    export_report.print_report(report)
    if rehearsal is not None:
        rehearsal.print_text(names=names)


def _print_signature_notes(report: ExportReport, trust_path: Path | None, *, signed: bool) -> None:
    """Print which signatures the export removed, and which sites with the trust file still need."""
    from bundler.cli.runtime.exporting import export_signatures  # noqa: PLC0415 - if there are any
    from bundler.trust.trust_files import trust_store  # noqa: PLC0415 - loads cryptography

    store = None if trust_path is None else trust_store.load(trust_path, read_only=True)
    export_signatures.print_removed(report.removed_signatures, store)
    if store is not None and signed:
        export_signatures.print_missing(report.bundle, store)
