"""The index of a layout: read ``index.json``, and add the images of a commit.

https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md#indexjson-file
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.errors import IntegrityError, MissingFileError
from bundler.oci import image_layout
from bundler.oci.image_layout import LayoutIndex
from bundler.ports import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bundler.ports import Publication
    from bundler.transports.oci_layout.blobs import Files


def read_index(files: Files) -> LayoutIndex:
    """Read the index of a layout.

    Raises:
        MissingFileError: there is no index.
        LimitError, MalformedError, UnsupportedError: not a layout of a supported version.
    """
    index = read_index_if_present(files)
    if index is None:
        path = str(files.path / image_layout.INDEX_FILE)
        raise MissingFileError(path, part_of="an OCI image layout")
    return index


def read_index_if_present(files: Files) -> LayoutIndex | None:
    """Read the index of a layout; None if nothing has been committed yet.

    Raises:
        LimitError, MalformedError, UnsupportedError: not a layout of a supported version.
    """
    names = files.list_names()
    if image_layout.LAYOUT_FILE in names:
        mark = files.read(image_layout.LAYOUT_FILE, limit=image_layout.MAX_LAYOUT_FILE)
        image_layout.check_layout_file(mark, str(files.path / image_layout.LAYOUT_FILE))
    if image_layout.INDEX_FILE not in names:
        return None
    raw = files.read(image_layout.INDEX_FILE, limit=image_layout.MAX_INDEX)
    return LayoutIndex.parse(raw, str(files.path / image_layout.INDEX_FILE))


def create_index(path: Path) -> LayoutIndex:
    """Return an empty index for the layout at ``path``."""
    return LayoutIndex.empty(str(path / image_layout.INDEX_FILE))


def add_images(
    index: LayoutIndex, images: Sequence[Publication], has: Callable[[Node], bool]
) -> LayoutIndex:
    """Add an entry for each name of each image, or one entry for an image without names.

    Raises:
        ConflictError: two images have the same name.
        IntegrityError: ``has`` reports that a root was not pushed.
    """
    for image in images:
        if not has(Node.of(image.root, "manifest")):
            raise IntegrityError(f"{index.subject}: {image.root.digest} was not pushed")
    return index.with_entries(
        image_layout.create_entry(image.root, name, dict(image.annotations))
        for image in images
        for name in image.names or (None,)
    )
