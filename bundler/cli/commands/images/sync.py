"""``airbundle sync``: copy many images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.images.conversion import ImageConversionOptions, convert_manifests
from bundler.cli.options.images.platforms import PlatformOptions, platforms
from bundler.cli.options.images.retry import RetryOptions, retry_options
from bundler.cli.options.option import option
from bundler.cli.options.registry_access import AccessOptions, both_sides
from bundler.cli.options.signing.signing import SigningOptions, sign_images
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.images.sync.sources import SourceTransport
    from bundler.images.sync.sync import SyncReport
    from bundler.images.sync.targets import DestinationTransport

_SOURCES = ("containers-storage", "dir", "docker", "docker-archive", "oci", "oci-archive", "yaml")
_DESTINATIONS = ("containers-storage", "dir", "docker", "oci", "oci-archive")
DEFAULT_JOBS = 8
"""Higher than for one image: a sync of small images mostly waits for responses."""

_SECTION = "Source and destination"
_STATES = {"new": "to copy", "present": "already present", "copied": "copied", "failed": "failed"}


@command(
    "sync", "airbundle sync --src docker --dest dir --scoped quay.io/prometheus/node-exporter ."
)
@click.argument("source")
@click.argument("destination")
@option(
    "-s",
    "--src",
    "source_kind",
    required=True,
    type=click.Choice(_SOURCES),
    section=_SECTION,
    help="Transport of SOURCE, or yaml.",
)
@option(
    "-d",
    "--dest",
    "destination_kind",
    required=True,
    type=click.Choice(_DESTINATIONS),
    section=_SECTION,
    help="Transport of DESTINATION.",
)
@option(
    "--scoped",
    is_flag=True,
    section=_SECTION,
    help="Keep the source registry and path in target names.",
)
@option(
    "--append-suffix",
    "suffix",
    default="",
    metavar="TEXT",
    section=_SECTION,
    help="Append TEXT to each target name.",
)
@common.names(_SECTION)
@platforms
@option("--referrers", is_flag=True, help="Also copy signatures, attestations and SBOMs.")
@convert_manifests
@sign_images(identity=False)
@common.digestfile("Write the digests and names of the copies to this file.")
@option("--keep-going", is_flag=True, help="Skip images that fail, and copy the rest.")
@common.dry_run("Print which images would be copied; write nothing.")
@both_sides(local=False)
@retry_options
@common.jobs(f"Number of parallel transfers (default: {DEFAULT_JOBS}).")
@common.as_json
@pass_context
def sync(
    context: CommandContext,
    source: str,
    destination: str,
    *,
    source_kind: SourceTransport | Literal["yaml"],
    destination_kind: DestinationTransport,
    scoped: bool,
    suffix: str,
    rename_rules: tuple[str, ...],
    platforms: PlatformOptions,
    referrers: bool,
    conversion: ImageConversionOptions,
    signing: SigningOptions,
    digestfile: Path | None,
    keep_going: bool,
    dry_run: bool,
    src_access: AccessOptions,
    dest_access: AccessOptions,
    retry: RetryOptions,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Copy the images that DESTINATION does not have. To resume a sync, run it again.

    SOURCE is a repository or one tag of it (docker), a directory that contains images (dir), a
    layout, an archive or a store (oci, oci-archive, docker-archive, containers-storage), or a file
    that lists registries, repositories and tags (yaml). DESTINATION is HOST[:PORT][/PREFIX]
    (docker), a directory, a layout, an archive, or a prefix of names in containers-storage.
    """
    from bundler.copy.target_names import NameMapping, parse_rules  # noqa: PLC0415 - not for --help
    from bundler.images.copy_image import TransferOptions  # noqa: PLC0415 - as above
    from bundler.images.sync.sources import SyncSource  # noqa: PLC0415
    from bundler.images.sync.sync import SyncRequest, sync_images  # noqa: PLC0415
    from bundler.images.sync.targets import SyncDestination  # noqa: PLC0415

    _check_locations(source_kind, source, destination_kind, destination)
    remote = source_kind in ("docker", "yaml")
    request = SyncRequest(
        SyncSource(
            None if source_kind == "yaml" else source_kind,
            source,
            src_access.create_override() if remote else None,
        ),
        SyncDestination(
            destination_kind,
            destination,
            NameMapping(parse_rules(rename_rules), "full" if scoped else "basename", suffix=suffix),
        ),
        TransferOptions(
            platforms.create_selection(context.detect_platform),
            referrers,
            conversion.create_options(context),
            conversion.signatures,
        ),
    )
    signers = signing.load_signers(context)
    cannot_help = keep_going or source_kind != "yaml"  # the images of other sources exist
    with context.run(jobs or DEFAULT_JOBS) as run, common.suggest_keep_going(given=cannot_help):
        request = request.with_signer(signers.create_sign_manifest(run))
        if remote:  # the source contains the settings of its registries
            reading = run.create_open_options()
        else:
            reading = src_access.create_open_options(run, f"{source_kind}:{source}")
        target = f"{destination_kind}:{destination}"
        if destination_kind == "docker":
            target = f"docker://{destination.rstrip('/')}/image"
        writing = dest_access.create_open_options(run, target)
        engine = run.create_engine_options(keep_going=keep_going)
        check = run.create_policy_check()
        report = retry.call(
            lambda: sync_images(
                request, reading, writing, engine, policy_check=check, dry_run=dry_run
            ),
            run.cancellation,
            run.emit,
        )
    if digestfile is not None and not dry_run:
        digestfile.write_text(report.digest_lines())
    if as_json:
        text.print_json(report.to_json() | {"dryRun": dry_run})
    else:
        print_report(report, quiet=context.options.quiet, dry_run=dry_run)
    report.check()


def _check_locations(
    source_kind: str, source: str, destination_kind: str, destination: str
) -> None:
    """Check that the locations are written without a transport, as their options require.

    Raises:
        UsageError: one of them has a transport, or the source is a registry without a repository.
    """
    for option_name, kind, location in (
        ("--src", source_kind, source),
        ("--dest", destination_kind, destination),
    ):
        prefix = "docker://" if kind == "docker" else f"{kind}:"
        if location.startswith(prefix):
            raise UsageError(
                f"{location[:200]}: the transport is already given by {option_name}",
                hint=f"write {location.removeprefix(prefix)[:200]}",
            )
    host, _, port = source.partition(":")
    is_registry = port.isdecimal() and "/" not in host and ("." in host or host == "localhost")
    if source_kind == "docker" and is_registry:
        raise UsageError(
            f"{source[:200]}: a registry without a repository (expected HOST[:PORT]/REPOSITORY)",
            hint=f"write {source[:200]}/REPOSITORY",
        )


def print_report(report: SyncReport, *, quiet: bool, dry_run: bool) -> None:
    """Print the report of a sync as text."""
    rows = [(line.source, line.destination, _STATES[line.state]) for line in report.images]
    rows += [(item.subject, "-", "not listed") for item in report.unlisted]
    text.print_table(("IMAGE", "DESTINATION", "RESULT"), rows)
    if not quiet:
        text.print_omitted_layers(report.omitted)
    if not dry_run:
        text.print_line(f"transferred: {text.format_transfer(report.totals)}")
