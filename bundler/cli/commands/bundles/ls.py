"""``airbundle ls``: list the images of a bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli.options import common
from bundler.cli.options.command import command
from bundler.cli.output import text
from bundler.cli.runtime.context import CommandContext, pass_context
from bundler.oci.json.timestamps import format_to_minute

if TYPE_CHECKING:
    from pathlib import Path


_HEADER = (
    *("IMAGE", "DIGEST", "PLATFORMS", "SIZE", "SHARED", "REFERRERS", "SIGNATURES"),
    *("RENAME", "REPLACES"),
)
_SIGNATURES = _HEADER.index("SIGNATURES")  # the column is absent if no image has signature files
_SHORT = 19  # "sha256:" and twelve digits, the usual short form of a digest


@command("ls", "airbundle ls /media/stick/plant-7")
@click.argument("bundle", type=common.PATH)
@common.as_json
@pass_context
def ls(context: CommandContext, bundle: Path, *, as_json: bool) -> None:
    """List the images of BUNDLE with platforms, sizes and shared bytes.

    Only the manifests are verified; airbundle verify checks everything.
    """
    from bundler.bundle.audit.list_contents import list_bundle  # noqa: PLC0415 - not for --help

    listing = list_bundle(bundle)
    if as_json:
        text.print_json(listing.to_json())
        return
    rows: list[tuple[str, ...]] = [
        (
            str(image.reference),
            image.digest.text[:_SHORT],
            " ".join(image.platforms) or "-",
            text.format_size(sizes.size),
            text.format_size(sizes.shared),
            str(len(image.referrers)),
            str(len(image.signatures)),
            image.rename or "",
            image.replaces.text[:_SHORT] if image.replaces else "",
        )
        for image, sizes in listing.images
    ]
    header: tuple[str, ...] = _HEADER
    if not any(image.signatures for image, _ in listing.images):
        header, *rows = (row[:_SIGNATURES] + row[_SIGNATURES + 1 :] for row in (header, *rows))
    text.print_table(header, rows, right=(3, 4, 5, 6) if header is _HEADER else (3, 4, 5))
    if context.options.quiet:
        return
    known = listing.inventory
    until = ""
    if known.expires is not None:
        verb = "expired" if listing.expired else "expires"
        until = f", {verb} {format_to_minute(known.expires)}"
    text.print_note(
        f"{known.stream} {known.serial}: {text.count(len(rows), 'image')}, "
        f"{text.format_total(listing.total)}, "
        f"created {format_to_minute(known.created)}{until}"
    )
    if not known.complete:
        text.print_note(text.INCOMPLETE)
    for line in listing.omissions.describe():
        text.print_note(line)
    if not listing.signatures:
        text.print_note("not signed")
