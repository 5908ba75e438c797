"""``airbundle copy``: copy one image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.images.conversion import ImageConversionOptions, convert_images
from bundler.cli.options.images.platforms import PlatformOptions, platforms
from bundler.cli.options.images.retry import RetryOptions, retry_options
from bundler.cli.options.option import option
from bundler.cli.options.registry_access import AccessOptions, both_sides
from bundler.cli.options.signing.signing import SigningOptions, sign_images
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context

if TYPE_CHECKING:
    from pathlib import Path


@command("copy", "airbundle copy docker://quay.io/prometheus/prometheus:v2.53.1 oci:layout:prom")
@click.argument("source")
@click.argument("destination")
@platforms
@option("--referrers", is_flag=True, help="Also copy signatures, attestations and SBOMs.")
@option(
    "--additional-tag",
    "tags",
    metavar="NAME",
    multiple=True,
    help="Also publish the image under this name. May be repeated.",
)
@convert_images
@sign_images(identity=True)
@common.digestfile("Write the digest of the copy to this file.")
@common.dry_run("Print what would be copied; write nothing.")
@both_sides()
@retry_options
@common.jobs()
@common.as_json
@pass_context
def copy(
    context: CommandContext,
    source: str,
    destination: str,
    *,
    platforms: PlatformOptions,
    referrers: bool,
    tags: tuple[str, ...],
    conversion: ImageConversionOptions,
    signing: SigningOptions,
    digestfile: Path | None,
    dry_run: bool,
    src_access: AccessOptions,
    dest_access: AccessOptions,
    retry: RetryOptions,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Copy one image from SOURCE to DESTINATION.

    SOURCE and DESTINATION are docker://HOST/NAME:TAG, oci:DIRECTORY:NAME, dir:DIRECTORY,
    oci-archive:FILE:NAME, docker-archive:FILE:NAME, docker-daemon:NAME:TAG or
    containers-storage:NAME:TAG. The digest is preserved unless the destination requires a
    different manifest format.
    """
    from bundler import transports  # noqa: PLC0415 - not for --help
    from bundler.images.copy_image import CopyRequest, TransferOptions, copy_image  # noqa: PLC0415

    request = CopyRequest(
        transports.parse(source),
        transports.parse(destination),
        TransferOptions(
            platforms.create_selection(context.detect_platform),
            referrers,
            conversion.create_options(context),
            conversion.signatures,
            sign_identity=signing.parse_identity(),
        ),
        tags,
    )
    signers = signing.load_signers(context)
    with context.run(jobs) as run:
        request = request.with_signer(signers.create_sign_manifest(run))
        reading = src_access.create_open_options(run, source)
        writing = dest_access.create_open_options(run, destination)
        engine, check = run.create_engine_options(), run.create_policy_check()
        report = retry.call(
            lambda: copy_image(
                request, reading, writing, engine, policy_check=check, dry_run=dry_run
            ),
            run.cancellation,
            run.emit,
        )
    if digestfile is not None and not dry_run:
        digestfile.write_text(str(report.root.digest))
    if not dry_run and report.destination.partition(":")[2].partition(":")[0] == "/dev/stdout":
        return
    if as_json:
        text.print_json(report.to_json() | {"dryRun": dry_run})
        return
    text.print_line(f"{report.destination} {report.root.digest}")
    if not context.options.quiet:
        text.print_omitted_layers(report.omitted)
    if dry_run:
        text.print_line(f"to transfer: {text.format_transfer(report.totals)}")
