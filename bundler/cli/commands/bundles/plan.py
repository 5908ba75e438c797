"""``airbundle plan``: what an export would move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.output import reports
from bundler.cli.runtime import context

if TYPE_CHECKING:
    from pathlib import Path


@common.command("plan", "airbundle plan plant-7.yaml /media/stick/plant-7")
@click.argument("manifest", type=common.PATH)
@click.argument("destination", type=common.PATH, required=False)
@click.option(
    "--format", "kind", type=click.Choice(["oci", "dir"]), default="oci", help="The bundle's form."
)
@click.option("--locked", is_flag=True, help="Plan what the lock beside the manifest says.")
@click.option("--keep-going", is_flag=True, help="Name all that cannot be had, and plan the rest.")
@common.jobs
@common.as_json
def plan(
    manifest: Path,
    destination: Path | None,
    *,
    kind: str,
    locked: bool,
    keep_going: bool,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Show what an export of MANIFEST would move: images, platforms, bytes, requests, room.

    With DESTINATION, what lies there already is not counted, and its free space is compared.
    Nothing is written.
    """
    from bundler.bundle.exporting.estimate import estimate  # noqa: PLC0415 - not for --help
    from bundler.cli.runtime import manifest_input  # noqa: PLC0415

    asked = manifest_input.load(manifest, locked=locked)
    with context.running(jobs) as work:
        options = work.options(asked.manifest.registries)
        request = asked.request(options, work.emit, destination, kind)
        engine = work.engine(keep_going=keep_going)
        numbers = estimate(request, engine, compare=destination is not None)
    reports.estimated(numbers, as_json=as_json)
