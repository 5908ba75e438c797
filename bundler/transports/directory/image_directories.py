"""The ``dir:`` images below a directory, found by their manifests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bundler.errors import LimitError
from bundler.transports.directory.transport import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAX_DEPTH = 32


def find_image_directories(base: Path) -> Iterator[Path]:
    """Yield every directory that holds an image, in the order of names.

    No image is looked for inside another, and no link to a directory is followed.

    Raises:
        LimitError: directories are nested too deeply.
    """
    yield from _below(base, 0)


def _below(folder: Path, depth: int) -> Iterator[Path]:
    if depth > _MAX_DEPTH:
        raise LimitError(f"{folder}: nested deeper than {_MAX_DEPTH} levels")
    with os.scandir(folder) as items:
        entries = sorted(items, key=lambda item: item.name)
    if any(item.name == MANIFEST and not item.is_dir() for item in entries):
        yield folder
        return
    for item in entries:
        if item.is_dir(follow_symlinks=False):
            yield from _below(folder / item.name, depth + 1)
