"""List what a bundle says it holds, and how large it is; nothing is hashed but manifests.

Nothing here vouches for anything: who wants to rely on it runs a verification.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from bundler.bundle.format import directory
from bundler.bundle.format import signatures as signing
from bundler.bundle.verifying import image_tree
from bundler.errors import DamagedBundleError
from bundler.oci.json import timestamps

if TYPE_CHECKING:
    from collections.abc import Container, Iterable
    from pathlib import Path

    from bundler.bundle.format.inventory import BundledImage, Inventory
    from bundler.bundle.verifying.image_tree import Contents, ImageTree
    from bundler.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class ListedImage:
    """One image; sizes in bytes, each blob and manifest counted once, referrers included."""

    image: BundledImage
    blobs: int
    size: int
    unique: int
    """The bytes that no other image of the bundle needs."""

    @property
    def shared(self) -> int:
        """The bytes that other images of the bundle need too."""
        return self.size - self.unique

    def to_json(self) -> dict[str, Any]:
        """The same for machines; what is not known or not there is null or empty."""
        image = self.image
        return {
            "reference": image.reference,
            "digest": image.digest.text,
            "mediaType": image.media_type,
            "platforms": list(image.platforms),
            "index": image.index,
            "replaces": None if image.replaces is None else image.replaces.text,
            "rename": image.rename,
            "origin": image.origin,
            "source": image.source,
            "blobs": self.blobs,
            "size": self.size,
            "unique": self.unique,
            "shared": self.shared,
            "referrers": [
                {
                    "digest": referrer.digest.text,
                    "subject": referrer.subject.text,
                    "artifactType": referrer.artifact_type,
                    "tag": referrer.tag,
                }
                for referrer in image.referrers
            ],
        }


@dataclass(frozen=True, slots=True)
class Listing:
    """A whole bundle; sizes in bytes."""

    inventory: Inventory
    images: tuple[ListedImage, ...]
    blobs: int
    size: int
    """Of all blobs and manifests, each counted once."""
    signatures: tuple[str, ...]
    """The first 16 digits of the ids of the keys that seem to have signed it."""
    expired: bool

    def to_json(self) -> dict[str, Any]:
        """The same for machines."""
        known = self.inventory
        return {
            "stream": known.stream,
            "serial": known.serial,
            "format": known.format,
            "created": timestamps.format_utc(known.created),
            "expires": None if known.expires is None else timestamps.format_utc(known.expires),
            "expired": self.expired,
            "complete": known.complete,
            "tool": {"name": known.tool.name, "version": known.tool.version},
            "signatures": list(self.signatures),
            "blobs": self.blobs,
            "size": self.size,
            "images": [image.to_json() for image in self.images],
        }


def list_bundle(bundle: Path, *, now: datetime | None = None) -> Listing:
    """What the bundle in this directory holds.

    Raises:
        NotFoundError: there is no bundle.
        MalformedError, LimitError, UnsupportedError: its inventory cannot be read.
        DamagedBundleError: a manifest is missing or damaged, so that sizes cannot be told.
    """
    _, inventory = signing.read_inventory(bundle)
    walked = image_tree.walk(bundle, inventory)
    if walked.problems:
        raise DamagedBundleError(
            f"{bundle}: not all of it can be listed",
            [error.message for _, error in sorted(walked.problems.items())],
            hint=f"airbundle verify {bundle} names all that is damaged",
        )
    there = directory.find(bundle).entries
    sizes = [_sizes(trees, there) for _, trees in walked.images]
    everything = {digest: size for each in sizes for digest, size in each.items()}
    return Listing(
        inventory=inventory,
        images=_images(walked, sizes),
        blobs=len(everything),
        size=sum(everything.values()),
        signatures=tuple(
            key for name in signing.read_signatures(bundle) if (key := directory.signing_key(name))
        ),
        expired=inventory.expired(now or datetime.now(UTC)),
    )


def _images(walked: Contents, sizes: list[dict[Digest, int]]) -> tuple[ListedImage, ...]:
    users = Counter(digest for each in sizes for digest in each)
    return tuple(
        ListedImage(
            image=image,
            blobs=len(each),
            size=sum(each.values()),
            unique=sum(size for digest, size in each.items() if users[digest] == 1),
        )
        for (image, _), each in zip(walked.images, sizes, strict=True)
    )


def _sizes(trees: Iterable[ImageTree], there: Container[str]) -> dict[Digest, int]:
    """The size of each thing that travels."""
    return {
        part.descriptor.digest: part.descriptor.size
        for tree in trees
        for part in tree.parts
        if part.required or part.path in there
    }
