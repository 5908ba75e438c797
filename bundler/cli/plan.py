"""``airbundle plan``: what an export would move."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli import options, outcomes, run

if TYPE_CHECKING:
    from pathlib import Path


@options.command("plan", "airbundle plan plant-7.yaml /media/stick/plant-7")
@click.argument("manifest", type=options.PATH)
@click.argument("destination", type=options.PATH, required=False)
@click.option(
    "--format", "kind", type=click.Choice(["oci", "dir"]), default="oci", help="The bundle's form."
)
@click.option("--locked", is_flag=True, help="Plan what the lock beside the manifest says.")
@click.option("--keep-going", is_flag=True, help="Name all that cannot be had, and plan the rest.")
@options.jobs
@options.as_json
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
    from bundler.bundle import exporting  # noqa: PLC0415 - not for --help
    from bundler.cli import wanting  # noqa: PLC0415

    asked = wanting.load(manifest, locked=locked)
    order = asked.order(destination, kind)
    with run.running(jobs) as work:
        settings = work.options(asked.manifest.registries)
        images = asked.images(settings, work.emit)
        survey = exporting.survey(order, images, settings, work.engine(keep_going=keep_going))
    outcomes.surveyed(survey, destination, as_json=as_json)
