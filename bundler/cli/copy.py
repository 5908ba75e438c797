"""``airbundle copy``: one image, with all that belongs to it, from one place to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli import options, outcomes, run
from bundler.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.cli.options import AccessOptions


@options.command(
    "copy", "airbundle copy docker://quay.io/prometheus/prometheus:v2.53.1 oci:layout:prom"
)
@click.argument("source")
@click.argument("destination")
@click.option("-a", "--all", "everything", is_flag=True, help="All platforms; this is the default.")
@click.option(
    "--platform",
    "platforms",
    metavar="OS/ARCH[/VARIANT]",
    multiple=True,
    help="Only this platform; given several times, an index with these and a new digest.",
)
@click.option("--referrers", is_flag=True, help="Take signatures and the like along.")
@click.option(
    "--digestfile", metavar="FILE", type=options.PATH, help="Write the copied digest to this file."
)
@click.option("--dry-run", is_flag=True, help="Say what would move; write nothing.")
@options.access("src-", "the source's registry")
@options.access("dest-", "the destination's registry")
@options.daemon_host("src-", "the source's container engine")
@options.daemon_host("dest-", "the destination's container engine")
@options.jobs
@options.as_json
def copy(
    source: str,
    destination: str,
    *,
    everything: bool,
    platforms: tuple[str, ...],
    referrers: bool,
    digestfile: Path | None,
    dry_run: bool,
    src_access: AccessOptions,
    dest_access: AccessOptions,
    src_daemon_host: str | None,
    dest_daemon_host: str | None,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Copy one image from one place to another.

    SOURCE and DESTINATION are docker://HOST/NAME:TAG, oci:DIRECTORY:NAME, dir:DIRECTORY,
    oci-archive:FILE:NAME (replaced, if it is there) or docker-daemon:NAME:TAG; docker-archive:FILE
    can be read. Nothing changes on the way, and the digest stays, unless several --platform are
    given.
    """
    if everything and platforms:
        raise UsageError("--all and --platform exclude one another")
    from bundler import transports  # noqa: PLC0415 - not for --help
    from bundler.copy.select import Selection  # noqa: PLC0415 - as above
    from bundler.images.copying import CopyOrder, copy_image  # noqa: PLC0415 - as above
    from bundler.oci.platform import Platform  # noqa: PLC0415 - as above

    selection = Selection(tuple(map(Platform.parse, platforms)))
    order = CopyOrder(transports.parse(source), transports.parse(destination), selection, referrers)
    src = run.overrides(source, src_access), run.daemon_host(source, src_daemon_host)
    dest = run.overrides(destination, dest_access), run.daemon_host(destination, dest_daemon_host)
    with run.running(jobs) as work:
        reading, writing = work.options(*src), work.options(*dest)
        report = copy_image(order, reading, writing, work.engine(), dry_run=dry_run)
    if digestfile is not None and not dry_run:
        digestfile.write_text(f"{report.root.digest}\n")
    outcomes.copied(report, as_json=as_json, dry_run=dry_run)
