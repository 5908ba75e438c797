"""Output of a list of images: a table, JSON, and notes on the bundle."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bundler.cli.output import text
from bundler.oci.json.timestamps import format_to_minute

if TYPE_CHECKING:
    from bundler.bundle.audit.listings.list_contents import Listing
    from bundler.bundle.audit.listings.list_images import ListedImage
    from bundler.bundle.format.inventory.sizes import Sizes

_HEADER = (
    *("IMAGE", "DIGEST", "PLATFORMS", "SIZE", "SHARED", "REFERRERS", "SIGNATURES"),
    *("VERIFIED", "RENAME", "REPLACES"),
)
_LONG_HEADER = (
    *("IMAGE", "DIGEST", "SIZE", "UNIQUE", "SHARED", "REFERRERS", "SIGNATURES", "AGE", "VERIFIED"),
)
_SHORT = 19  # "sha256:" and twelve digits, the usual short form of a digest


@dataclass(frozen=True, slots=True)
class FoundImages:
    """The images that were selected, and the location where they are."""

    location: str
    images: tuple[ListedImage, ...]
    number: int
    """The number of all images at the location."""
    total: Sizes
    """The size of all images at the location."""
    listing: Listing | None
    """None: the location is not a bundle."""


def describe(found: FoundImages, *, details: bool) -> dict[str, Any]:
    """Return the list as JSON, with ``details`` for each platform."""
    value: dict[str, Any]
    if found.listing is None:
        value = {"location": found.location, "blobs": found.total.blobs, "size": found.total.size}
        items = [image.to_json() for image in found.images]
    else:
        value = found.listing.to_json()
        by_name = {image["reference"]: image for image in value["images"]}
        items = [by_name[image.name] for image in found.images]
    if details:
        for item, image in zip(items, found.images, strict=True):
            item["details"] = [detail.to_json() for detail in image.details]
    value["images"] = items
    return value


def print_table(found: FoundImages, *, details: bool) -> None:
    """Print a row for each image; with ``details``, also one for each platform."""
    if details:
        rows = [row for image in found.images for row in _format_long(image)]
        text.print_table(_LONG_HEADER, rows, right=range(2, 8))
        return
    rows = []
    for image in found.images:
        listed = image.listed
        verified = listed.verified if listed else ()
        row = (
            image.name,
            image.digest.text[:_SHORT],
            " ".join(image.platforms) or "-",
            text.format_size(image.sizes.size),
            text.format_size(image.sizes.shared),
            str(image.referrers),
            str(len(listed.signatures) or "") if listed else "",
            ", ".join(dict.fromkeys(item.label for item in verified)),
            (listed.rename or "") if listed else "",
            listed.replaces.text[:_SHORT] if listed and listed.replaces else "",
        )
        rows.append(row)
    text.print_table(_HEADER, rows, right=range(3, 7))


def print_notes(found: FoundImages) -> None:
    """Print the number of images and their size to stderr, and what an inventory states."""
    number = text.count(found.number, "image")
    if len(found.images) < found.number:
        number = f"{len(found.images)} of {number}"
    listing = found.listing
    if listing is None:
        text.print_note(f"{found.location}: {number}, {text.format_total(found.total)}")
        return
    known = listing.inventory
    until = ""
    if known.expires is not None:
        verb = "expired" if listing.expired else "expires"
        until = f", {verb} {format_to_minute(known.expires)}"
    text.print_note(
        f"{known.stream} {known.serial}: {number}, "
        f"{text.format_total(listing.total)}, {text.count(listing.referrers, 'referrer')}, "
        f"{text.count(listing.signature_files, 'signature file')}, "
        f"created {format_to_minute(known.created)}{until}"
    )
    if not known.complete:
        text.print_note(text.INCOMPLETE)
    if known.presupposed_file is not None:
        layers = text.count(known.presupposed_file.count, "layer")
        text.print_note(f"not in the bundle, but at its target: {layers}")
    for line in listing.omissions.describe():
        text.print_note(line)
    if not listing.signatures:
        text.print_note("not signed")


def _format_long(image: ListedImage) -> list[tuple[str, ...]]:
    """Return a row for the image, and one for each platform."""
    listed = image.listed
    verified = listed.verified if listed else ()
    rows: list[tuple[str, ...]] = [
        (
            image.name,
            image.digest.text[:_SHORT],
            text.format_size(image.sizes.size),
            text.format_size(image.sizes.unique),
            text.format_size(image.sizes.shared),
            str(image.referrers),
            str(len(listed.signatures) or "") if listed else "",
            _format_age(image.created),
            ", ".join(dict.fromkeys(item.label for item in verified)),
        )
    ]
    rows += [
        (
            f"  {item.platform or 'no platform stated'}",
            item.digest.text[:_SHORT],
            text.format_size(item.sizes.size),
            text.format_size(item.sizes.unique),
            text.format_size(item.sizes.shared),
            str(item.referrers),
            "",
            _format_age(item.created),
            "",
        )
        for item in image.details
    ]
    return rows


def _format_age(created: datetime | None) -> str:
    """Format the time since ``created``; builds that are reproducible often state 1970."""
    if created is None or created.year <= 1970:
        return ""
    days = (datetime.now(UTC) - created).days
    if days < 0:
        return "future"
    return f"{days} d" if days < 730 else f"{days // 365} y"
