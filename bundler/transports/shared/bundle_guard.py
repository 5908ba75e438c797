"""Protect bundles from commands other than ``export``.

A bundle is also an image layout, or a tree of ``dir:`` images. If another command wrote to it, it
would no longer match its signed inventory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

INVENTORY = "bundle.json"
BLOBS = "blobs"
IMAGES = "images"


def refuse_bundle(path: Path) -> None:
    """Check that ``path`` is neither a bundle nor below the content of one.

    Raises:
        UsageError: writing to ``path`` would damage a bundle.
    """
    resolved = path.resolve()
    above = [each.parent for each in (resolved, *resolved.parents) if each.name in (BLOBS, IMAGES)]
    for bundle in (resolved, *above):
        if (bundle / INVENTORY).is_file():
            name = path if bundle == resolved else bundle
            raise UsageError(
                f"{name}: contains a bundle, which this command would damage",
                hint="specify another directory; only airbundle export changes a bundle",
            )
