"""``airbundle ls``: what a bundle holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bundler.cli import options, render

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.listing import Listing


_SHORT = 19  # "sha256:" and twelve digits, as other tools show a digest


@options.command("ls", "airbundle ls /media/stick/plant-7")
@click.argument("bundle", type=options.PATH)
@options.as_json
def ls(bundle: Path, *, as_json: bool) -> None:
    """List the images of BUNDLE: platforms, sizes, and what they share.

    Nothing is verified but the manifests that are read: airbundle verify does that.
    """
    from bundler.bundle.listing import list_bundle  # noqa: PLC0415 - not for --help

    listing = list_bundle(bundle)
    if as_json:
        render.document(listing.to_json())
    else:
        _show(listing)


def _show(listing: Listing) -> None:
    rows = [
        (
            listed.image.reference,
            listed.image.digest.text[:_SHORT],
            " ".join(listed.image.platforms) or "-",
            render.size(listed.size),
            render.size(listed.shared),
            str(len(listed.image.referrers)),
            listed.image.rename or "",
            listed.image.replaces.text[:_SHORT] if listed.image.replaces else "",
        )
        for listed in listing.images
    ]
    header = ("IMAGE", "DIGEST", "PLATFORMS", "SIZE", "SHARED", "REFERRERS", "RENAME", "REPLACES")
    render.table(header, rows, right=(3, 4, 5))
    known = listing.inventory
    until = ""
    if known.expires is not None:
        verb = "expired" if listing.expired else "expires"
        until = f", {verb} {known.expires:%Y-%m-%d %H:%M}Z"
    render.aside(
        f"{known.stream} {known.serial}: {render.count(len(rows), 'image')}, "
        f"{render.size(listing.size)} in {render.count(listing.blobs, 'blob')}, "
        f"created {known.created:%Y-%m-%d %H:%M}Z{until}"
    )
    if not known.complete:
        render.aside("not complete: its export left out what could not be had")
    if not listing.signatures:
        render.aside("not signed")
