"""List the tags of a repository, or the names of the images in an archive or layout."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from bundler import transports
from bundler.errors import UnsupportedError, UsageError
from bundler.gocompat.values import Struct, StructField, to_slice
from bundler.images.format_output import format_struct
from bundler.ports import ListsTags, RegistryRepository, RepositoryReference

if TYPE_CHECKING:
    from bundler.ports import OpenOptions, Reference


def list_tags(reference: Reference, options: OpenOptions) -> bytes:
    """Return a JSON document with the names in a repository, an archive or a layout.

    Raises:
        UnsupportedError: images of this transport have no names.
        UsageError: ``reference`` has a tag or a digest.
    """
    with closing(transports.open_source(reference, options)) as source:
        if not isinstance(source, ListsTags):
            raise UnsupportedError(
                f"{reference}: images in {reference.transport}: have no names to list",
                hint="use docker://, oci: or docker-archive:",
            )
        image = None
        if isinstance(source, RegistryRepository) and isinstance(reference, RepositoryReference):
            image = reference.image
        if image is not None and image.version is not None:
            raise UsageError(
                f"{reference}: expected a repository, got one image",
                hint=f"remove the tag or digest: {reference.transport}://{image.repository}",
            )
        names = Struct(
            "tagListOutput",
            (
                StructField("Repository", image.repository if image else "", omit_empty=True),
                StructField("Tags", to_slice(source.tags())),
            ),
        )
    return format_struct(names)
