"""List the images of a source location: a registry, a directory, a layout, an archive, a store."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from bundler import transports
from bundler.errors import LimitError, MissingFileError, NotFoundError, UnsupportedError
from bundler.oci.reference import DEFAULT_TAG, ImageReference
from bundler.ports import ListsTags
from bundler.transports.source_reference import derive_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bundler.ports import OpenOptions, Reference

_ANY_IMAGE = "localhost/any"
"""Placeholder in references to a containers-storage, which must contain an image name."""
_MAX_IMAGES = 100_000


@dataclass(frozen=True, slots=True)
class SourceImage:
    """One image at a source. Implements ``Reference``."""

    source: Reference
    """The location to open, which several images may share: a repository, a layout, a directory."""
    name: str | None
    """The name of the image at the source; None: the only image."""
    display_name: str
    """The complete reference, for messages and reports."""
    target_name: str
    """The name to which the mapping of target names applies: ``host/repository:tag``, or a
    relative path."""

    @property
    def transport(self) -> str:
        """The transport of the source."""
        return self.source.transport

    def __str__(self) -> str:
        return self.display_name


def parse_registry_location(transport: str, location: str) -> ImageReference | None:
    """Parse a repository or image in a registry; None: the transport is for local images.

    Raises:
        InvalidReferenceError: ``location`` is not the name of a repository or image.
    """
    return ImageReference.parse(location) if transport == "docker" else None


def create_registry_image(image: ImageReference) -> SourceImage:
    """Create the source of an image in a registry."""
    reference = transports.parse(f"docker://{image}")
    repository = transports.parse(f"docker://{image.repository}")
    return SourceImage(repository, reference.name, str(reference), str(image))


def list_local_images(transport: str, location: str, options: OpenOptions) -> Iterator[SourceImage]:
    """List the named image, or all images below a directory, in a layout, an archive or a store.

    Raises:
        InvalidReferenceError: ``location`` is invalid for the transport.
        LimitError: the directory contains too many images.
        NotFoundError: the location does not exist or contains no images.
        UnsupportedError: images of this transport have no names.
    """
    if transport == "dir":
        yield from _list_directories(Path(location))
        return
    is_storage = transport == "containers-storage" and not location.rpartition("]")[2]
    reference = transports.parse(f"{transport}:{location}{_ANY_IMAGE if is_storage else ''}")
    names: Sequence[str | None] = [reference.name]
    if is_storage or reference.name is None:
        with closing(transports.open_source(reference, options)) as source:
            if not isinstance(source, ListsTags):
                raise UnsupportedError(f"{reference}: transport {transport} cannot list names")
            names = source.tags() or [None]
        if is_storage and names == [None]:
            raise NotFoundError(f"{transport}:{location}: no named images")
    for name in names:
        prefix = f"{transport}:{location}" if is_storage else f"{reference}:"
        label = str(reference) if name in (None, reference.name) else f"{prefix}{name}"
        # If the name is only a tag, the repository is derived from the path.
        derived = derive_name(location.partition(":")[0], name or "")
        target_name = ":".join(derived or (name or "",))
        if derived is None and not ImageReference.parse(target_name).version:
            target_name += f":{DEFAULT_TAG}"
        yield SourceImage(reference, name, label, target_name)


def _list_directories(base: Path) -> Iterator[SourceImage]:
    """List the directories below ``base`` that contain an image, sorted by name."""
    from bundler.transports.directory.image_files import find_image_directories  # noqa: PLC0415

    if not base.is_dir():
        raise MissingFileError(str(base))
    count = 0
    for path in find_image_directories(base):
        count += 1
        if count > _MAX_IMAGES:
            raise LimitError(f"{base}: more than {_MAX_IMAGES:,} images")
        name = path.relative_to(base).as_posix()
        if name == ".":
            name = PurePath(os.path.abspath(base)).name  # noqa: PTH100 - keep symbolic links
        reference = transports.parse(f"dir:{path}")
        yield SourceImage(reference, None, str(reference), name)
    if not count:
        raise NotFoundError(
            f"{base}: no images", hint="specify a directory with images, each with a manifest.json"
        )
