"""List the tags of a repository, or the names of the images in an archive or layout."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.errors import UnsupportedError, UsageError
from bundler.gocompat.values import Member, Struct, strings
from bundler.ports import ListsTags, RegistryRepository, RepositoryReference

if TYPE_CHECKING:
    from bundler.ports import Reference, Source


def list_tags(source: Source, reference: Reference) -> Struct:
    """List the names in ``source``, with the name of the repository if it is one.

    Raises:
        UnsupportedError: images of this transport have no names.
        UsageError: ``reference`` names one image instead of a repository.
    """
    if not isinstance(source, ListsTags):
        raise UnsupportedError(
            f"{reference}: images in {reference.transport}: have no names to list",
            hint="use docker://, oci: or docker-archive:",
        )
    repository = ""
    if isinstance(source, RegistryRepository) and isinstance(reference, RepositoryReference):
        image = reference.image
        if image is not None:
            if image.version is not None:
                raise UsageError(
                    f"{reference}: expected a repository, got one image",
                    hint=f"remove the tag or digest: {reference.transport}://{image.repository}",
                )
            repository = image.repository
    return Struct(
        "tagListOutput",
        (
            Member("Repository", repository, omit_empty=True),
            Member("Tags", strings(source.tags())),
        ),
    )
