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
    *("VERIFIED", "RENAME", "REPLACES"),
)
_SHORT = 19  # "sha256:" and twelve digits, the usual short form of a digest


@command("ls", "airbundle ls /media/stick/plant-7")
@click.argument("bundle", type=common.PATH)
@common.as_json
@pass_context
def ls(context: CommandContext, bundle: Path, *, as_json: bool) -> None:
    """List the images of BUNDLE with platforms, sizes and shared bytes.

    VERIFIED shows the keys, identities and policies by which the exporting side verified the
    image, as the inventory states. Only the manifests are verified; airbundle verify checks
    everything.
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
            str(len(image.signatures) or ""),
            ", ".join(dict.fromkeys(item.label for item in image.verified)),
            image.rename or "",
            image.replaces.text[:_SHORT] if image.replaces else "",
        )
        for image, sizes in listing.images
    ]
    text.print_table(_HEADER, rows, right=range(3, 7))
    if context.options.quiet:
        return
    known = listing.inventory
    until = ""
    if known.expires is not None:
        verb = "expired" if listing.expired else "expires"
        until = f", {verb} {format_to_minute(known.expires)}"
    text.print_note(
        f"{known.stream} {known.serial}: {text.count(len(rows), 'image')}, "
        f"{text.format_total(listing.total)}, {text.count(listing.referrers, 'referrer')}, "
        f"{text.count(listing.signature_files, 'signature file')}, "
        f"created {format_to_minute(known.created)}{until}"
    )
    if not known.complete:
        text.print_note(text.INCOMPLETE)
    for line in listing.omissions.describe():
        text.print_note(line)
    if not listing.signatures:
        text.print_note("not signed")
