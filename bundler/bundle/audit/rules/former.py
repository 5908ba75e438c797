"""The former bundle that rules about changes, and reports, compare with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.bundle.audit.differences.image_lists import (
    list_inventory,
    parse_document,
    read_raw_document,
)
from bundler.bundle.format.inventory.inventory import Inventory
from bundler.bundle.format.inventory.read_inventory import read_inventory
from bundler.bundle.format.reading.open_files import is_bundle, open_files
from bundler.oci.digest import Digest

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.audit.differences.image_lists import ImageList


@dataclass(frozen=True, slots=True)
class FormerBundle:
    """The images of a former bundle, which is not authenticated."""

    path: str
    """The path that the user gave."""
    digest: Digest
    """The digest of its inventory, or of the receipt."""
    images: ImageList


def read_former(path: Path) -> FormerBundle:
    """Read the images of a bundle, an inventory or a receipt.

    Raises:
        NotFoundError, MediumError: it cannot be read.
        UnexpectedFileError: it is nothing of the kind.
        MalformedError, LimitError, UnsupportedError: it cannot be read.
    """
    found: Inventory | ImageList
    if is_bundle(path):
        with open_files(path) as files:
            raw, found = read_inventory(files)
    else:
        raw = read_raw_document(path)
        found = parse_document(raw, path)
    images = list_inventory(found) if isinstance(found, Inventory) else found
    return FormerBundle(str(path), Digest.of(raw), images)
