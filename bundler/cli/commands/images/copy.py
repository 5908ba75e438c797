"""``airbundle copy``: one image, with all that belongs to it, from one place to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common, conversion
from bundler.cli.output import reports
from bundler.cli.runtime import context

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.cli.options.common import AccessOptions, Retry
    from bundler.cli.options.conversion import ConversionFlags, PlatformOptions


@common.command(
    "copy", "airbundle copy docker://quay.io/prometheus/prometheus:v2.53.1 oci:layout:prom"
)
@click.argument("source")
@click.argument("destination")
@conversion.platforms
@click.option("--referrers", is_flag=True, help="Take signatures and the like along.")
@click.option(
    "--additional-tag", "tags", metavar="NAME", multiple=True, help="Give it this name too."
)
@conversion.manifests_and_layers
@click.option(
    "--digestfile", metavar="FILE", type=common.PATH, help="Write the copied digest to this file."
)
@click.option("--dry-run", is_flag=True, help="Say what would move; write nothing.")
@common.both_sides()
@common.retries
@common.jobs
@common.as_json
def copy(
    source: str,
    destination: str,
    *,
    choice: PlatformOptions,
    referrers: bool,
    tags: tuple[str, ...],
    form: ConversionFlags,
    digestfile: Path | None,
    dry_run: bool,
    src_access: AccessOptions,
    dest_access: AccessOptions,
    retry: Retry,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Copy one image from one place to another.

    SOURCE and DESTINATION are docker://HOST/NAME:TAG, oci:DIRECTORY:NAME, dir:DIRECTORY,
    oci-archive:FILE:NAME, docker-archive:FILE:NAME, docker-daemon:NAME:TAG or
    containers-storage:NAME:TAG. The digest stays, unless the destination cannot hold the form.
    """
    from bundler import transports  # noqa: PLC0415 - not for --help
    from bundler.images.copy_image import CopyRequest, copy_image  # noqa: PLC0415 - as above

    order = CopyRequest(
        transports.parse(source),
        transports.parse(destination),
        choice.selection(context.platform),
        referrers,
        form.changes(),
        tags,
        form.signatures,
    )
    with context.running(jobs) as work:
        reading, writing = work.opening(source, src_access), work.opening(destination, dest_access)
        places = reading, writing, work.engine()
        report = work.retrying(
            retry, lambda: copy_image(order, *places, admit=work.admit(), dry_run=dry_run)
        )
    if digestfile is not None and not dry_run:
        digestfile.write_text(str(report.root.digest))
    reports.copied(report, as_json=as_json, dry_run=dry_run)
