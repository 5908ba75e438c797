"""``airbundle sync``: copy many images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options import sync as syncing
from bundler.cli.options.command import command
from bundler.cli.options.conversion import convert_manifests
from bundler.cli.options.group import option
from bundler.cli.options.platforms import platforms
from bundler.cli.options.registry_access import both_sides
from bundler.cli.options.retry import retry_options
from bundler.cli.output import reports
from bundler.cli.runtime.context import CommandContext, pass_context

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.cli.options.conversion import ConversionFlags
    from bundler.cli.options.platforms import PlatformOptions
    from bundler.cli.options.registry_access import AccessOptions
    from bundler.cli.options.retry import Retry
    from bundler.cli.options.sync import SyncOptions


@command(
    "sync", "airbundle sync --src docker --dest dir --scoped quay.io/prometheus/node-exporter ."
)
@click.argument("source")
@click.argument("destination")
@syncing.endpoints
@platforms
@option("--referrers", is_flag=True, help="Also copy signatures, attestations and SBOMs.")
@convert_manifests
@common.digestfile("Write the digests and names of the copies to this file.")
@option("--keep-going", is_flag=True, help="Skip images that fail, and copy the rest.")
@common.dry_run("Print which images would be copied; write nothing.")
@both_sides(local=False)
@retry_options
@common.jobs(f"Number of parallel transfers (default: {syncing.DEFAULT_JOBS}).")
@common.as_json
@pass_context
def sync(
    context: CommandContext,
    source: str,
    destination: str,
    *,
    endpoints: SyncOptions,
    platforms: PlatformOptions,
    referrers: bool,
    conversion: ConversionFlags,
    digestfile: Path | None,
    keep_going: bool,
    dry_run: bool,
    src_access: AccessOptions,
    dest_access: AccessOptions,
    retry: Retry,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Copy images that are missing at DESTINATION. Can be run again after an interruption.

    SOURCE is a repository, all its tags or one (docker), a directory with images below it (dir),
    a layout, an archive or a storage (oci, oci-archive, docker-archive, containers-storage), or a
    file that lists registries, repositories and tags (yaml). DESTINATION is HOST[:PORT][/PREFIX]
    (docker), a directory, a layout, an archive, or the front of names in a storage.
    """
    from bundler.images.sync.sync import SyncRequest, sync_images  # noqa: PLC0415 - not for --help

    request = SyncRequest(
        endpoints.question(source, src_access),
        endpoints.create_destination(destination),
        platforms.selection(context.platform),
        referrers,
        conversion.options(context.environment),
        conversion.signatures,
    )
    with context.run(jobs or syncing.DEFAULT_JOBS) as run:
        reading = endpoints.reading(run, source, src_access)
        writing = endpoints.writing(run, destination, dest_access)
        engine, check = run.engine_options(keep_going=keep_going), context.policy_check()
        report = run.retry(
            retry,
            lambda: sync_images(
                request, reading, writing, engine, policy_check=check, dry_run=dry_run
            ),
        )
    if digestfile is not None and not dry_run:
        digestfile.write_text(report.digest_lines())
    reports.synced(report, as_json=as_json, dry_run=dry_run)
    report.check()
