"""Remove an image where it lies, or only one of its names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.errors import UnsupportedError
from bundler.ports import Deletes, DeletesTags

if TYPE_CHECKING:
    from bundler.oci.descriptor import Descriptor
    from bundler.ports import Destination, Reference


def delete(place: Destination, reference: Reference) -> Descriptor:
    """Remove the image that ``reference`` names, for good; what it was.

    Raises:
        UnsupportedError: nothing can be removed there.
        NotFoundError: there is no such image.
    """
    if not isinstance(place, Deletes):
        raise UnsupportedError(
            f"{reference}: images cannot be deleted in {reference.transport}:",
            hint="remove the file or the directory itself",
        )
    return place.delete(reference.name)


def untag(place: Destination, reference: Reference) -> Descriptor:
    """Remove the tag that ``reference`` names, and leave what it stood for.

    Raises:
        UnsupportedError: a name cannot be removed alone there.
        UsageError: ``reference`` names no tag.
        NotFoundError: there is no such tag.
    """
    if not isinstance(place, DeletesTags):
        raise UnsupportedError(
            f"{reference}: a name cannot be removed alone in {reference.transport}:",
            hint="without --tag-only its image goes too, unless another name stands for it",
        )
    return place.untag(reference.name)
