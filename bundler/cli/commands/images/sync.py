"""``airbundle sync``: many images, from one place to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common, conversion
from bundler.cli.options import sync as syncing
from bundler.cli.runtime import context

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.cli.options.common import AccessOptions, Retry
    from bundler.cli.options.conversion import ConversionFlags, PlatformOptions
    from bundler.cli.options.sync import SyncOptions


@common.command(
    "sync", "airbundle sync --src docker --dest dir --scoped quay.io/prometheus/node-exporter ."
)
@click.argument("source")
@click.argument("destination")
@syncing.both_ends
@conversion.platforms
@click.option("--referrers", is_flag=True, help="Take signatures and the like along.")
@conversion.manifests
@click.option(
    "--digestfile", metavar="FILE", type=common.PATH, help="Write digests and names to this file."
)
@click.option("--keep-going", is_flag=True, help="Leave out what fails; the rest is copied.")
@click.option("--dry-run", is_flag=True, help="Say which images would be copied; write nothing.")
@common.both_sides(local=False)
@common.retries
@syncing.jobs
@common.as_json
def sync(
    source: str,
    destination: str,
    *,
    ends: SyncOptions,
    choice: PlatformOptions,
    referrers: bool,
    form: ConversionFlags,
    digestfile: Path | None,
    keep_going: bool,
    dry_run: bool,
    src_access: AccessOptions,
    dest_access: AccessOptions,
    retry: Retry,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Copy what DESTINATION lacks of the images in SOURCE; run again, it goes on.

    SOURCE is a repository, all its tags or one (docker), a directory with images below it (dir),
    a layout, an archive or a storage (oci, oci-archive, docker-archive, containers-storage), or a
    file that lists registries, repositories and tags (yaml). DESTINATION is HOST[:PORT][/PREFIX]
    (docker), a directory, a layout, an archive, or the front of names in a storage.
    """
    from bundler.images.sync.sync import SyncRequest, sync_images  # noqa: PLC0415 - not for --help

    order = SyncRequest(
        ends.question(source, src_access),
        ends.naming(destination),
        choice.selection(context.platform),
        referrers,
        form.changes(),
        form.signatures,
        ends.refuse_existing,
    )
    with context.running(jobs or syncing.DEFAULT_JOBS) as work:
        reading = ends.reading(work, source, src_access)
        writing = ends.writing(work, destination, dest_access)
        places = reading, writing, work.engine(keep_going=keep_going)
        report = work.retrying(
            retry, lambda: sync_images(order, *places, admit=work.admit(), dry_run=dry_run)
        )
    syncing.told(report, digestfile, as_json=as_json, dry_run=dry_run)
    report.check()
