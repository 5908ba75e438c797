"""All names in one place: a repository's tags, an archive's or a layout's images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.errors import UnsupportedError, UsageError
from bundler.gocompat.values import Member, Struct, strings
from bundler.ports import InRepository, ListsTags, RegistryRepository

if TYPE_CHECKING:
    from bundler.ports import Reference, Source


def list_tags(source: Source, reference: Reference) -> Struct:
    """The names that ``source`` tells, under the repository's name where it is one.

    Raises:
        UnsupportedError: images have no names there.
        UsageError: ``reference`` names one image of a repository, not the repository.
    """
    if not isinstance(source, ListsTags):
        raise UnsupportedError(
            f"{reference}: images in {reference.transport}: have no names to list",
            hint="docker://, oci: and docker-archive: have",
        )
    repository = ""
    if isinstance(source, RegistryRepository) and isinstance(reference, InRepository):
        image = reference.image
        if image is not None:
            if image.version is not None:
                raise UsageError(
                    f"{reference}: names one image, and its repository is wanted",
                    hint=f"leave the tag or digest out: docker://{image.repository}",
                )
            repository = image.repository
    return Struct(
        "tagListOutput",
        (
            Member("Repository", repository, omit_empty=True),
            Member("Tags", strings(source.tags())),
        ),
    )
