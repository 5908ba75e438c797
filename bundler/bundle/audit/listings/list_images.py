"""List images with their sizes and platforms: those of a bundle, or at any other source."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from bundler.bundle.audit.platforms import list_platforms
from bundler.bundle.format.inventory.sizes import Sizes, compute_sizes
from bundler.copy.resolving.fetch import fetch
from bundler.errors import UnsupportedError
from bundler.oci.json import timestamps
from bundler.oci.manifest import ImageConfig
from bundler.oci.platform import Platform, choose

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.bundle.audit.listings.list_contents import Listing
    from bundler.bundle.audit.platforms import PlatformImage
    from bundler.bundle.format.inventory.inventory import BundledImage
    from bundler.copy.image import ResolvedImage
    from bundler.gocompat.regexp import GoExpression
    from bundler.oci.digest import Digest

SortKey = Literal["name", "size", "unique", "shared", "created"]


@dataclass(frozen=True, slots=True)
class ListedPlatform:
    """The image of one platform."""

    platform: Platform | None
    digest: Digest
    created: datetime | None
    """The time that its config states, in UTC; None: none, or not a time."""
    sizes: Sizes
    """``unique`` is the size of the content that no other platform or image has."""
    referrers: int

    def to_json(self) -> dict[str, Any]:
        """Return the platform as JSON; sizes in bytes."""
        return {
            "platform": self.platform and str(self.platform),
            "digest": self.digest.text,
            "created": self.created and timestamps.format_utc(self.created),
            "blobs": self.sizes.blobs,
            "size": self.sizes.size,
            "unique": self.sizes.unique,
            "shared": self.sizes.shared,
            "referrers": self.referrers,
        }


@dataclass(frozen=True, slots=True)
class ListedImage:
    """An image with its sizes, referrers included."""

    name: str
    digest: Digest
    media_type: str
    platforms: tuple[str, ...]
    sizes: Sizes
    referrers: int
    listed: BundledImage | None
    """The entry in the inventory; None: the image is not part of a bundle."""
    details: tuple[ListedPlatform, ...] = ()
    """The images of the platforms; empty for an artifact, or if they were not requested."""

    @property
    def created(self) -> datetime | None:
        """The latest time at which the image of a platform was created."""
        return max((item.created for item in self.details if item.created), default=None)

    def to_json(self) -> dict[str, Any]:
        """Return the image as JSON; sizes in bytes."""
        return {
            "reference": self.name,
            "digest": self.digest.text,
            "mediaType": self.media_type,
            "platforms": list(self.platforms),
            "blobs": self.sizes.blobs,
            "size": self.sizes.size,
            "unique": self.sizes.unique,
            "shared": self.sizes.shared,
            "referrers": self.referrers,
        }


def from_listing(listing: Listing) -> list[ListedImage]:
    """Return the images of a bundle that has been listed."""
    return [
        ListedImage(
            str(image.reference),
            image.digest,
            image.media_type,
            image.platforms,
            sizes,
            len(image.referrers),
            image,
        )
        for image, sizes in listing.images
    ]


def list_resolved(resolved: Sequence[ResolvedImage]) -> tuple[list[ListedImage], Sizes]:
    """Return images that are not those of a bundle, with their referrers, and their total size."""
    blobs = [
        {
            node.digest: node.size or 0
            for graph in image.graphs
            for node in graph.blobs
            if node.digest is not None
        }
        for image in resolved
    ]
    sizes, total = compute_sizes(blobs)
    found = [
        ListedImage(
            image.display_name,
            image.graph.root.digest,
            image.graph.root.media_type,
            tuple(map(str, image.graph.platforms)),
            own,
            len(image.referrers),
            None,
        )
        for image, own in zip(resolved, sizes, strict=True)
    ]
    return found, total


def add_details(
    images: Sequence[ListedImage], resolved: Sequence[ResolvedImage]
) -> list[ListedImage]:
    """Return ``images`` with their platforms; ``resolved`` are the same images, with referrers.

    The configs are read.

    Raises:
        BundlerError: a config is missing or damaged.
    """
    platforms: list[tuple[ResolvedImage, list[PlatformImage]]] = []
    for image in resolved:
        found: list[PlatformImage] = []
        with suppress(UnsupportedError):  # an artifact has no platforms
            found = list(list_platforms(image))
        platforms.append((image, found))
    contents = [
        {item.digest: max(item.size, 0) for item in (each.manifest.config, *each.manifest.layers)}
        for _, found in platforms
        for each in found
    ]
    remaining = iter(compute_sizes(contents)[0])
    listed = []
    for item, (own, found) in zip(images, platforms, strict=True):
        details = []
        for each in found:
            config = each.manifest.config
            raw = fetch(own.source, config, own.display_name, kind="config")
            parsed = ImageConfig.parse(raw, subject=f"{own.display_name}: config {config.digest}")
            created = None
            with suppress(ValueError, OverflowError):
                stated = datetime.fromisoformat(parsed.created or "")
                created = stated.replace(tzinfo=stated.tzinfo or UTC).astimezone(UTC)
            referrers = sum(referrer.subject == each.digest for referrer in own.referrers)
            sizes = next(remaining)
            details.append(ListedPlatform(each.platform, each.digest, created, sizes, referrers))
        listed.append(replace(item, details=tuple(details)))
    return listed


def select(
    images: Sequence[ListedImage],
    patterns: Sequence[GoExpression] = (),
    platform: Platform | None = None,
) -> list[ListedImage]:
    """Return the images whose names match one of ``patterns``, and that have ``platform``.

    Their other platforms are left out of the details.
    """
    selected = []
    for image in images:
        if patterns and not any(pattern.search(image.name) for pattern in patterns):
            continue
        if platform is None:
            selected.append(image)
        elif choose(platform, [_parse_platform(text) for text in image.platforms]) is not None:
            position = choose(platform, [item.platform for item in image.details])
            details = () if position is None else (image.details[position],)
            selected.append(replace(image, details=details))
    return selected


def sort(images: Sequence[ListedImage], key: SortKey) -> list[ListedImage]:
    """Return the images by name, or else the largest or the newest first."""
    if key == "name":
        return sorted(images, key=lambda image: image.name)
    if key == "created":
        oldest = datetime.min.replace(tzinfo=UTC)
        return sorted(images, key=lambda image: image.created or oldest, reverse=True)
    return sorted(images, key=lambda image: getattr(image.sizes, key), reverse=True)


def _parse_platform(text: str) -> Platform | None:
    """Parse a platform of an inventory or an index, which may not be a valid one."""
    parts = text.split("/")
    if len(parts) < 2:
        return None
    return Platform(parts[0], parts[1], parts[2] if len(parts) > 2 else None)
