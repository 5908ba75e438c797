"""Read the files of images that a program wrote."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.fakes import images

if TYPE_CHECKING:
    from pathlib import Path

# Without these options, skopeo compresses uncompressed layers.
COPY_UNCHANGED = ("copy", "--all", "--preserve-digests")


def read_files(directory: Path) -> dict[str, bytes]:
    """Return the content of every file below ``directory`` by its relative path."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def read_digests(directory: Path) -> set[str]:
    """Return the digest of every manifest and blob of a ``dir:`` image, computed from its bytes."""
    files = read_files(directory)
    return {images.sha256(data) for name, data in files.items() if name != "version"}


def read_entries(index: bytes) -> list[dict[str, object]]:
    """Return the entries of an ``index.json``."""
    entries: list[dict[str, object]] = json.loads(index)["manifests"]
    return entries


def read_diff_ids(image: images.Image) -> list[str]:
    """Return the diff IDs in the config of an image."""
    diff_ids: list[str] = json.loads(image.blobs[0].data)["rootfs"]["diff_ids"]
    return diff_ids
