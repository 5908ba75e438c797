"""``airbundle relay``: write the images of a bundle to another bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.import_names import ImportNameOptions
from bundler.cli.options.medium import MediumOptions, medium
from bundler.cli.options.option import option
from bundler.cli.options.signing.bundle_signers import (
    SignerOptions,
    bundle_signers,
    require_signers,
)
from bundler.cli.options.signing.bundle_trust import TrustOptions, bundle_trust
from bundler.cli.output import export_report, text
from bundler.cli.runtime.bundle_location import read_recipients
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.cli.runtime.exporting.medium_request import add_medium

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.format.inventory.inventory import Format
    from bundler.trust.private_keys.signers import Signer


@command(
    "relay", "airbundle relay /media/in/plant-7 /media/out/plant-7 --key a.pub --sign-key b.key"
)
@click.argument("bundle", type=common.PATH, nargs=-1, required=True)
@click.argument("destination", type=common.PATH)
@bundle_trust
@option(
    "--only",
    multiple=True,
    metavar="PATTERN",
    help="Relay only images whose reference matches this RE2 expression. May be repeated.",
)
@common.bundle_format
@common.archive
@common.encrypt_to
@option(
    "--stream",
    default="",
    metavar="NAME",
    help="Stream of the new bundle (default: that of BUNDLE with -relay at the end).",
)
@bundle_signers("--sign-key")
@option("--unsigned", is_flag=True, help="Write an unsigned bundle.")
@medium
@common.jobs()
@common.as_json
@pass_context
def relay(
    context: CommandContext,
    bundle: tuple[Path, ...],
    destination: Path,
    *,
    trust: TrustOptions,
    only: tuple[str, ...],
    bundle_format: str,
    archive: bool,
    recipients: tuple[str, ...],
    stream: str,
    signers: SignerOptions,
    unsigned: bool,
    medium: MediumOptions,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Verify BUNDLE, and write its images to a new bundle, the directory or archive DESTINATION.

    BUNDLE is a directory, an archive, or the directories of all volumes of one bundle.

    The new bundle contains the images with their names, referrers and signatures. It is signed with
    the given keys, belongs to a stream of its own, names BUNDLE and its signers in its inventory,
    and expires when BUNDLE does. Running the command again resumes an interrupted one.
    """
    require_signers(signers, "--sign-key", unsigned=unsigned)
    from bundler.bundle.exporting import relay as relaying  # noqa: PLC0415 - not for --help
    from bundler.bundle.exporting.export import ExportRequest  # noqa: PLC0415 - as above
    from bundler.bundle.format.files import bundle_paths  # noqa: PLC0415 - as above
    from bundler.cli.runtime import trusted_keys  # noqa: PLC0415 - as above

    keys: tuple[Signer, ...] = ()
    if signers.given:
        from bundler.cli.runtime.signing.bundle_signers import read_signers  # noqa: PLC0415 - to sign only

        keys = read_signers(context, signers)
    trusted = trusted_keys.read_trust(context, trust, read_only=True)
    patterns = ImportNameOptions(only=only).parse_patterns()
    with context.run(jobs) as run:
        request = ExportRequest(
            images=(),
            options=run.create_open_options({}),
            bundle=destination,
            stream=stream,
            format=cast("Format", bundle_format),
            keys=keys,
            archive=archive or bundle_paths.is_archive_name(destination),
            recipients=read_recipients(recipients),
        )
        relayed = relaying.RelayRequest(
            bundle=bundle,
            trust=trusted,
            signature_files=trust.signature_files,
            only=patterns,
            export=add_medium(request, medium, run, may_ask=not as_json),
        )
        report = relaying.relay(relayed, run.create_engine_options())
    if as_json:
        text.print_json(report.to_json())
        return
    export_report.print_report(report)
    original = report.inventory.relayed[-1]
    text.print_line(f"relayed from: {original.stream} {original.serial}")
    if not context.options.quiet:
        for message in report.completion_messages:
            text.print_note(message)
