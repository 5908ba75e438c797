"""``airbundle plan``: show what an export would transfer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.option import option
from bundler.cli.output import reports
from bundler.cli.runtime.context import CommandContext, pass_context

if TYPE_CHECKING:
    from bundler.bundle.format.inventory import Format


@command("plan", "airbundle plan plant-7.yaml /media/stick/plant-7")
@click.argument("manifest", type=common.PATH)
@click.argument("destination", type=common.PATH, required=False)
@common.bundle_format
@option("--locked", is_flag=True, help="Plan an export of the digests recorded in the lock file.")
@option("--keep-going", is_flag=True, help="List images that fail, and plan the rest.")
@common.jobs()
@common.as_json
@pass_context
def plan(
    context: CommandContext,
    manifest: Path,
    destination: Path | None,
    *,
    bundle_format: str,
    locked: bool,
    keep_going: bool,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Show what an export of MANIFEST would transfer: images, platforms, bytes, requests, space.

    With DESTINATION, content that is already present there is not counted, and the free space is
    checked. Nothing is written.
    """
    context.options.refuse_policy("plan")
    from bundler.bundle.exporting.estimate import estimate  # noqa: PLC0415 - not for --help
    from bundler.bundle.exporting.export import ExportRequest  # noqa: PLC0415
    from bundler.cli.runtime import manifest_input  # noqa: PLC0415

    source = manifest_input.load(manifest, context.environment, locked=locked)
    with context.run(jobs) as run:
        options = run.create_open_options(source.manifest.registries)
        request = ExportRequest(
            images=source.create_image_requests(options, run.emit),
            options=options,
            bundle=destination or Path(source.manifest.name),
            stream=source.manifest.name,
            format=cast("Format", bundle_format),
            expires=source.manifest.expires,
        )
        engine = run.create_engine_options(keep_going=keep_going)
        numbers = estimate(request, engine, check_medium=destination is not None)
    reports.print_estimate(numbers, as_json=as_json)
