"""Reports of the selected platforms for which an image is not available.

An image that is available for at least one of its selected platforms is exported without the
others, with an index or without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bundler.copy.image import ResolvedImage


def describe(images: Iterable[ResolvedImage]) -> list[str]:
    """Describe the missing platforms of each image on one line."""
    return [
        f"not available: {image.display_name}: {', '.join(map(str, image.missing_platforms))}"
        for image in images
        if image.missing_platforms
    ]


def to_json(images: Iterable[ResolvedImage]) -> dict[str, Any]:
    """Return the member ``missingPlatforms`` of a report, unless it is empty."""
    members = [
        {"reference": image.display_name, "platforms": list(map(str, image.missing_platforms))}
        for image in images
        if image.missing_platforms
    ]
    return {"missingPlatforms": members} if members else {}
