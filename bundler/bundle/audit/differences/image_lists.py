"""Compare lists of images: those of bundles, inventories, receipts, and other sources.

Only names, digests and the entries of inventories are compared; no content is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from bundler.bundle.format.inventory.parse_inventory import FAMILY, MAX_INVENTORY, parse_inventory
from bundler.bundle.records.receipts import MAX_RECEIPT, TYPE as RECEIPT
from bundler.content.files.safe_directory import RegularFile
from bundler.errors import LimitError, UnexpectedFileError
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from bundler.bundle.audit.images import OpenImages
    from bundler.bundle.format.inventory.inventory import BundledImage, Inventory
    from bundler.oci.digest import Digest

_IMPORTED = ("new", "same", "replaced", "merged")
"""The actions in a receipt after which the target has the image."""
_MAX_IMAGES = 100_000


@dataclass(frozen=True, slots=True)
class ImageEntry:
    """The name and the digest of an image, and the digests of what is stored with it."""

    name: str
    digest: Digest
    attached: frozenset[str] | None = None
    """Digests of referrers and of signature files; None: unknown."""


ImageList: TypeAlias = "Mapping[str, ImageEntry]"
"""Images by their names."""


@dataclass(frozen=True, slots=True)
class ChangedImage:
    """An image with the same name and other content."""

    name: str
    old: Digest
    new: Digest
    attached: tuple[str, ...] = ()
    """The referrers and signature files that only the new image has."""
    detached: tuple[str, ...] = ()
    """Those that only the old image has."""

    def to_json(self) -> dict[str, Any]:
        """Return the image as JSON, without empty members."""
        value: dict[str, Any] = {"name": self.name, "old": self.old.text, "new": self.new.text}
        if self.attached:
            value["attached"] = list(self.attached)
        if self.detached:
            value["detached"] = list(self.detached)
        return value


@dataclass(frozen=True, slots=True)
class ListDifference:
    """The difference between two lists of images, each part sorted by name."""

    added: tuple[ImageEntry, ...]
    removed: tuple[ImageEntry, ...]
    moved: tuple[ChangedImage, ...]
    """The images whose names have another digest."""
    changed: tuple[ChangedImage, ...]
    """The images with the same digest, and other referrers or signature files."""
    same: int
    """The number of images that are equal."""

    def __len__(self) -> int:
        return len(self.added) + len(self.removed) + len(self.moved) + len(self.changed)

    def to_json(self) -> dict[str, Any]:
        """Return the difference as JSON."""
        return {
            "added": [{"name": item.name, "digest": item.digest.text} for item in self.added],
            "removed": [{"name": item.name, "digest": item.digest.text} for item in self.removed],
            "moved": [item.to_json() for item in self.moved],
            "changed": [item.to_json() for item in self.changed],
            "unchanged": self.same,
        }


def compare_lists(old: ImageList, new: ImageList) -> ListDifference:
    """Compare two lists of images by name."""
    moved: list[ChangedImage] = []
    changed: list[ChangedImage] = []
    same = 0
    for name in sorted(old.keys() & new.keys()):
        before, after = old[name], new[name]
        attached: tuple[str, ...] = ()
        detached: tuple[str, ...] = ()
        if before.attached is not None and after.attached is not None:
            attached = tuple(sorted(after.attached - before.attached))
            detached = tuple(sorted(before.attached - after.attached))
        change = ChangedImage(name, before.digest, after.digest, attached, detached)
        if before.digest != after.digest:
            moved.append(change)
        elif attached or detached:
            changed.append(change)
        else:
            same += 1
    return ListDifference(
        added=tuple(new[name] for name in sorted(new.keys() - old.keys())),
        removed=tuple(old[name] for name in sorted(old.keys() - new.keys())),
        moved=tuple(moved),
        changed=tuple(changed),
        same=same,
    )


def list_inventory(inventory: Inventory) -> ImageList:
    """Return the images of an inventory, with their referrers and signature files."""
    return {str(image.reference): describe_image(image) for image in inventory.images}


def describe_image(image: BundledImage) -> ImageEntry:
    """Return an image of an inventory, with its referrers and signature files."""
    attached = {item.digest.text for item in image.referrers}
    attached |= {item.digest.text for item in image.signatures}
    return ImageEntry(str(image.reference), image.digest, frozenset(attached))


def list_source(images: OpenImages) -> ImageList:
    """Return the images of a source other than a bundle, by their names there.

    Raises:
        NotFoundError: a name does not exist.
    """
    found = {}
    for image in images.images:
        reference = image.request.source
        name = reference.name or str(reference)
        found[name] = ImageEntry(name, image.find_digest())
    return found


def read_document(path: Path) -> Inventory | ImageList:
    """Read an inventory or a receipt, which is not authenticated.

    Raises:
        NotFoundError, MediumError: the file cannot be read.
        UnexpectedFileError: it is neither an inventory nor a receipt.
        MalformedError, LimitError, UnsupportedError: it is one that cannot be read.
    """
    return parse_document(read_raw_document(path), path)


def read_raw_document(path: Path) -> bytes:
    """Read the bytes of an inventory or a receipt.

    Raises:
        NotFoundError, MediumError, LimitError: the file cannot be read.
    """
    with RegularFile.open(path) as file:
        if file.size > MAX_RECEIPT:
            raise LimitError(f"{path}: too large (expected at most {MAX_RECEIPT:,} bytes)")
        return file.read(MAX_RECEIPT)


def parse_document(raw: bytes, path: Path) -> Inventory | ImageList:
    """Parse an inventory or a receipt; raises as ``read_document``."""
    expected = "bundle.json or a receipt"
    if not raw.lstrip().startswith(b"{"):
        hint = f"for an archive of images, write oci-archive:{path} or docker-archive:{path}"
        raise UnexpectedFileError(str(path), "not JSON", expected, hint=hint)
    table = Table.parse(raw, str(path), limit=MAX_RECEIPT)
    if not str(table.value.get("_type", "")).startswith((FAMILY, RECEIPT)):
        raise UnexpectedFileError(str(path), "neither an inventory nor a receipt", expected)
    if table.value.get("_type") != RECEIPT:
        if len(raw) > MAX_INVENTORY:
            raise LimitError(f"{path}: too large (expected at most {MAX_INVENTORY:,} bytes)")
        return parse_inventory(raw, subject=str(path))
    found = {}
    for image in table.tables("images", _MAX_IMAGES):
        if image.one_of("action", (*_IMPORTED, "skipped", "conflict", "failed")) in _IMPORTED:
            name = image.text("reference")
            found[name] = ImageEntry(name, image.digest("digest"))
    return found
