"""The base image of an image: another image at the same location that has its first layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bundler.bundle.audit.platforms import list_platforms
from bundler.errors import BundlerError, CancelledError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bundler.bundle.audit.images import ImageAtLocation
    from bundler.bundle.audit.platforms import PlatformImage
    from bundler.events import Emit
    from bundler.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class BaseImage:
    """An image whose layers are the first layers of another one."""

    name: str
    digest: Digest
    """The digest of the manifest for the platform."""
    layers: int
    """The number of its layers."""

    def to_json(self) -> dict[str, Any]:
        """Return the image as JSON."""
        return {"name": self.name, "digest": self.digest.text, "layers": self.layers}


def find_base_image(
    image: PlatformImage, known: Iterable[ImageAtLocation], emit: Emit
) -> BaseImage | None:
    """Return the largest base of ``image`` among the images ``known``; None if there is none.

    The layers of a base are the first layers of ``image``, but not all of them. Images that cannot
    be read are left out.
    """
    layers = [layer.digest for layer in image.manifest.layers]
    found: BaseImage | None = None
    for candidate in known:
        try:
            others = list(list_platforms(candidate.resolve(emit)))
        except CancelledError:
            raise
        except BundlerError:
            continue
        for other in others:
            number = len(other.manifest.layers)
            begins = [layer.digest for layer in other.manifest.layers] == layers[:number]
            if begins and (found.layers if found else 0) < number < len(layers):
                found = BaseImage(candidate.name, other.digest, number)
    return found
