"""Delete an image, or only a tag, from a registry or a layout."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler import transports
from bundler.errors import UnsupportedError
from bundler.ports import Deletes, DeletesTags

if TYPE_CHECKING:
    from bundler.oci.descriptor import Descriptor
    from bundler.ports import OpenOptions, Reference


@dataclass(frozen=True, slots=True)
class DeleteRequest:
    """The image or the tag to delete."""

    reference: Reference
    tag_only: bool = False
    """Delete only the tag and keep the image."""


def delete_image(request: DeleteRequest, options: OpenOptions) -> Descriptor:
    """Delete an image or a tag; return the descriptor that the name resolved to.

    Raises:
        UnsupportedError: the transport cannot delete images, or cannot delete a tag only.
        UsageError: ``tag_only`` is set, but the reference has no tag.
        NotFoundError: the image or the tag does not exist.
    """
    reference = request.reference
    with closing(transports.open_destination(reference, options)) as destination:
        if request.tag_only:
            if isinstance(destination, DeletesTags):
                return destination.untag(reference.name)
            raise UnsupportedError(
                f"{reference}: transport {reference.transport} cannot delete a tag only",
                hint="omit --tag-only to delete the image, unless it has another name",
            )
        if isinstance(destination, Deletes):
            return destination.delete(reference.name)
        raise UnsupportedError(
            f"{reference}: transport {reference.transport} cannot delete images",
            hint="remove the file or the directory itself",
        )
