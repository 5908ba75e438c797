"""``airbundle plan``: show what an export would transfer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.options.have import HaveOptions, have
from bundler.cli.options.option import option
from bundler.cli.options.registry_access import AccessOptions, registry_access
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.bundle.exporting.estimate import Estimate
    from bundler.bundle.format.inventory.inventory import Format
    from bundler.bundle.format.inventory.presupposed import HeldBlob
    from bundler.oci.digest import Digest


@command("plan", "airbundle plan plant-7.yaml /media/stick/plant-7")
@click.argument("manifest", type=common.PATH)
@click.argument("destination", type=common.PATH, required=False)
@common.bundle_format
@option("--locked", is_flag=True, help="Plan an export of the digests recorded in the lock file.")
@common.image_policies
@have
@option("--keep-going", is_flag=True, help="List images that fail, and plan the rest.")
@registry_access("every registry of the manifest")
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
    policies: common.ImagePolicies,
    have: HaveOptions,
    keep_going: bool,
    access: AccessOptions,
    jobs: int | None,
    as_json: bool,
) -> None:
    """Show what an export of MANIFEST would transfer: images, platforms, bytes, requests, space.

    If DESTINATION is given, content that is already present there is not counted, and the free
    space is checked. Nothing is written.

    Registry options override the `registries` of MANIFEST, which override the configuration files.
    """
    context.options.refuse_policy("plan")
    from bundler.bundle.exporting.estimate import estimate  # noqa: PLC0415 - not for --help
    from bundler.bundle.exporting.export import ExportRequest  # noqa: PLC0415
    from bundler.cli.runtime.exporting import manifest_input  # noqa: PLC0415

    source = manifest_input.load(manifest, context.environment, policies, locked=locked)
    held: Mapping[Digest, HeldBlob] = {}
    if have.files:
        from bundler.cli.runtime.exporting.held_blobs import read_held_blobs  # noqa: PLC0415 - with this option

        held = read_held_blobs(context, have, source.manifest.name)
    with context.run(jobs) as run:
        options = run.create_open_options(source.create_overrides(access))
        request = ExportRequest(
            images=source.create_image_requests(options, run.emit),
            options=options,
            bundle=destination or Path(source.manifest.name),
            stream=source.manifest.name,
            format=cast("Format", bundle_format),
            expires=source.manifest.expires,
            held=held,
        )
        engine = run.create_engine_options(keep_going=keep_going)
        with common.suggest_keep_going(given=keep_going or len(request.images) == 1):
            numbers = estimate(request, engine, check_medium=destination is not None)
    print_estimate(numbers, as_json=as_json)


def print_estimate(numbers: Estimate, *, as_json: bool) -> None:
    """Print the estimate of an export.

    Raises:
        PartialError: some images could not be resolved.
    """
    from bundler.bundle.exporting.resolving import foreign_layers  # noqa: PLC0415 - not for --help

    if numbers.refusal is not None:
        text.print_note(f"warning: the export would be refused: {numbers.refusal.message}")
        if numbers.refusal.hint:
            text.print_note(f"hint: {numbers.refusal.hint}")
    if number := len(numbers.incomplete):
        images = text.count(number, "image")
        text.print_note(f"warning: the bundle would be incomplete: {images} without foreign layers")
        text.print_note(f"hint: {foreign_layers.HINT}")
    if as_json:
        text.print_json(numbers.to_json())
    else:
        _print_text(numbers)
    numbers.check()


def _print_text(numbers: Estimate) -> None:
    from bundler.bundle.exporting.resolving import missing_platforms  # noqa: PLC0415 - not for --help

    rows = [
        (
            str(image.reference),
            " ".join(image.platforms) or "-",
            text.format_size(sizes.size),
            text.format_size(sizes.unique),
            str(len(image.referrers)),
            image.rename or "",
        )
        for image, sizes in numbers.images
    ]
    text.print_table(
        ("IMAGE", "PLATFORMS", "SIZE", "OWN", "REFERRERS", "RENAME"), rows, right={2, 3, 4}
    )
    plan = numbers.plan
    for line in missing_platforms.describe(planned.image for planned in plan.images):
        text.print_line(line)
    text.print_line(
        f"{text.count(len(rows), 'image')}, {text.format_total(numbers.total)};"
        f" sharing saves {text.format_size(numbers.saved)}"
    )
    text.print_line(f"to transfer: {text.format_transfer(numbers.totals)}")
    for number, size in enumerate(numbers.volumes, 1):
        text.print_line(f"volume {number} of {len(numbers.volumes)}: {text.format_size(size)}")
    if numbers.presupposed.blobs:
        text.print_line(f"left out, at the target: {text.format_total(numbers.presupposed)}")
    if number := sum(len(image.signatures) for image, _ in numbers.images):
        text.print_line(f"signature files: {number}")
    for planned in plan.images:
        for item in planned.image.verified:
            text.print_line(f"signature verified: {planned.image.display_name}: {item}")
        for problem in planned.image.unverified:
            text.print_line(f"signature not verified: {planned.image.display_name}: {problem}")
    for line in numbers.omissions.describe():
        text.print_line(line)
    medium = numbers.medium
    if medium is not None:
        verdict = "enough" if numbers.enough_space else "not enough"
        text.print_line(
            f"free: {text.format_size(medium.free)} ({medium.file_system or 'disk'}"
            f" at {medium.mount_point}); needed: {text.format_size(numbers.needed)}, {verdict}"
        )
        if numbers.blob_too_large:
            text.print_line(f"a blob exceeds the maximum file size of {medium.file_system}")
