"""Compute the sizes of images that share content; shared content is counted once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bundler.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Sizes:
    """The size of the content of one or more images, in bytes."""

    blobs: int
    """The number of configs and layers; manifests do not count."""
    size: int
    unique: int
    """The size of the content that belongs to no other image."""

    @property
    def shared(self) -> int:
        """The size of the content shared with other images."""
        return self.size - self.unique


def compute_sizes(images: Sequence[Mapping[Digest, int]]) -> tuple[list[Sizes], Sizes]:
    """Compute the sizes of each image and of all together, from the sizes of their content."""
    users = Counter(digest for content in images for digest in content)
    everything = {digest: size for content in images for digest, size in content.items()}
    each = [
        Sizes(
            blobs=len(content),
            size=sum(content.values()),
            unique=sum(size for digest, size in content.items() if users[digest] == 1),
        )
        for content in images
    ]
    total = sum(everything.values())
    return each, Sizes(len(everything), total, total)
