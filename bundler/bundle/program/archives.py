"""Zip archives with the same bytes for the same members."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_TIME = (1980, 1, 1, 0, 0, 0)


def write(path: Path, members: Mapping[str, bytes], *, start: bytes = b"") -> None:
    """Write an archive with ``members`` by name, after the bytes ``start``."""
    with path.open("wb") as file:
        file.write(start)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in sorted(members.items()):
                archive.writestr(zipfile.ZipInfo(name, _TIME), data, zipfile.ZIP_DEFLATED)
