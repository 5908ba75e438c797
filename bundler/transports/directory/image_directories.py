"""Find the ``dir:`` images below a directory, by their manifests."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bundler.errors import LimitError
from bundler.transports.directory.image_files import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_MAX_DEPTH = 32


def find_image_directories(base: Path, depth: int = 0) -> Iterator[Path]:
    """Yield every directory that contains an image, sorted by name.

    Directories inside an image are not searched, and links to directories are not followed.

    Raises:
        LimitError: directories are nested too deeply.
    """
    if depth > _MAX_DEPTH:
        raise LimitError(f"{base}: nested deeper than {_MAX_DEPTH} levels")
    with os.scandir(base) as items:
        entries = sorted(items, key=lambda item: item.name)
    if any(item.name == MANIFEST and not item.is_dir() for item in entries):
        yield base
        return
    for item in entries:
        if item.is_dir(follow_symlinks=False):
            yield from find_image_directories(base / item.name, depth + 1)
