"""The former bundle that rules about changes compare with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.bundle.audit.differences.image_lists import list_inventory, read_document
from bundler.bundle.format.inventory import Inventory
from bundler.bundle.format.read_inventory import read_inventory

if TYPE_CHECKING:
    from pathlib import Path

    from bundler.bundle.audit.differences.image_lists import ImageList


def read_former(path: Path) -> ImageList:
    """Read the images of a bundle, an inventory or a receipt, which is not authenticated.

    Raises:
        NotFoundError, MediumError: it cannot be read.
        MalformedError, LimitError, UnsupportedError: it is none of these.
    """
    if path.is_dir():
        return list_inventory(read_inventory(path)[1])
    document = read_document(path)
    return list_inventory(document) if isinstance(document, Inventory) else document
