"""``airbundle ls``: list the images of a bundle, or at another source."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import click

from bundler.cli.options import common
from bundler.cli.options.auditing.location import location_arguments
from bundler.cli.options.command import command
from bundler.cli.options.option import option
from bundler.cli.options.registry_access import AccessOptions, access
from bundler.cli.options.signing.bundle_trust import TrustOptions, key_trust
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.cli.runtime.inspecting import opened_images
from bundler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bundler.bundle.audit.listings.list_contents import Listing
    from bundler.bundle.audit.listings.list_images import SortKey
    from bundler.bundle.audit.location import Location
    from bundler.gocompat.regexp import GoExpression


@command("ls", "airbundle ls /media/stick/plant-7")
@location_arguments(location="LOCATION")
@option("-l", "--long", "is_long", is_flag=True, help="Print each platform, with sizes and age.")
@option(
    "--match",
    multiple=True,
    metavar="PATTERN",
    help="List only images whose reference matches this RE2 expression. May be repeated.",
)
@option(
    "--platform",
    metavar="OS/ARCH[/VARIANT]",
    help="List only images for this platform.",
)
@option(
    "--sort",
    "sort_key",
    type=click.Choice(["name", "size", "unique", "shared", "created"]),
    help="Sort by name, or the largest or newest first (default: the order of the location).",
)
@access("the registry")
@key_trust
@common.identity
@common.as_json
@pass_context
def ls(
    context: CommandContext,
    location: Location,
    *,
    is_long: bool,
    match: tuple[str, ...],
    platform: str | None,
    sort_key: str | None,
    access: AccessOptions,
    trust: TrustOptions,
    identity_files: tuple[Path, ...],
    as_json: bool,
) -> None:
    """List the images of LOCATION with platforms, sizes and shared bytes.

    LOCATION is a bundle, the directories of all its volumes, - for an archive on standard input, or
    a reference as for copy. UNIQUE is the size of the content that no other image has, with --long
    also no other platform; AGE the time since the creation that the config states. VERIFIED shows
    the keys, identities and policies by which the exporting side verified the image, as the
    inventory states. Only manifests are verified, with --long also configs; airbundle verify checks
    everything.
    """
    from bundler.bundle.audit.listings import list_images  # noqa: PLC0415 - not for --help
    from bundler.bundle.audit.listings.list_contents import list_bundle  # noqa: PLC0415 - as above
    from bundler.cli.output import image_lists  # noqa: PLC0415 - as above

    patterns, requested = _parse_patterns(match), opened_images.parse_platform(platform)
    listing: Listing | None = None
    with opened_images.open_images(context, location, access, trust, identity_files) as (
        opened,
        run,
    ):
        is_detailed = is_long or sort_key == "created"
        if opened.inventory is not None and opened.files is not None:
            listing = list_bundle(opened.files, opened.inventory)
            images, total = list_images.from_listing(listing), listing.total
            resolved = opened.resolve_all(run.emit) if is_detailed else []
        else:
            resolved = opened.resolve_all(run.emit)
            images, total = list_images.list_resolved(resolved)
        if is_detailed:
            images = list_images.add_details(images, resolved)
    selected = list_images.select(images, patterns, requested)
    if sort_key is not None:
        selected = list_images.sort(selected, cast("SortKey", sort_key))
    found = image_lists.FoundImages(str(location), tuple(selected), len(images), total, listing)
    if as_json:
        value = image_lists.describe(found, details=is_long)
        text.print_json(opened_images.describe_authentication(opened) | value)
        return
    image_lists.print_table(found, details=is_long)
    if not context.options.quiet:
        image_lists.print_notes(found)


def _parse_patterns(match: Sequence[str]) -> list[GoExpression]:
    from bundler.gocompat.regexp import GoExpression  # noqa: PLC0415 - rare

    try:
        return [GoExpression.parse(pattern) for pattern in match]
    except UsageError as error:
        raise UsageError(f"--match: {error.message}") from None
