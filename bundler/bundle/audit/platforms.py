"""The images of the platforms below a root, and the selection of one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.copy.resolving.fetch import fetch
from bundler.errors import NoPlatformError, UnsupportedError
from bundler.oci import manifest
from bundler.oci.manifest import ImageConfig, ImageManifest, Index
from bundler.oci.platform import Platform, choose

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.copy.image import ResolvedImage
    from bundler.oci.digest import Digest

_ATTESTATION = Platform("unknown", "unknown")
"""The platform of BuildKit's attestations, which are entries of the index."""
_STATEMENT = "application/vnd.in-toto+json"
"""The media type of their layers; any other content with this platform is an image."""


@dataclass(frozen=True, slots=True)
class PlatformImage:
    """The image of one platform."""

    digest: Digest
    platform: Platform | None
    """The platform in the index, or in the config of an image without an index."""
    manifest: ImageManifest


def list_platforms(image: ResolvedImage) -> Iterator[PlatformImage]:
    """Yield the images below the root, in the order of the index, without attestations.

    Raises:
        UnsupportedError: the root is an artifact, or of Docker's schema 1.
    """
    stated: dict[Digest, Platform] = {}
    manifests = []
    for item in reversed(image.graph.manifests):  # the root is the last
        parsed = manifest.parse(item.raw, item.descriptor.media_type)
        if isinstance(parsed, Index):
            for entry in parsed.manifests:
                if entry.platform is not None:
                    stated[entry.digest] = entry.platform
        elif isinstance(parsed, ImageManifest) and not parsed.is_artifact:
            manifests.append((item.descriptor.digest, parsed))
    if not manifests:
        raise UnsupportedError(f"{image.display_name}: not a container image, so it has no files")
    for digest, parsed in reversed(manifests):
        platform = stated.get(digest)
        if platform is None and digest == image.graph.root.digest:
            raw = fetch(image.source, parsed.config, image.display_name, kind="config")
            platform = ImageConfig.parse(raw).platform
        is_statement = all(layer.media_type == _STATEMENT for layer in parsed.layers)
        if platform != _ATTESTATION or not (parsed.layers and is_statement):
            yield PlatformImage(digest, platform, parsed)


def select_platform(
    image: ResolvedImage, requested: Platform | None, machine: Platform
) -> PlatformImage:
    """Return the image for ``requested``; None: the only image, or the one for ``machine``.

    Raises:
        NoPlatformError: there is no such image.
        UnsupportedError: the root is not a container image.
    """
    images = list(list_platforms(image))
    if len(images) == 1 and requested is None:
        return images[0]
    offered = [item.platform for item in images]
    position = choose(requested or machine, offered)
    if position is None:
        raise NoPlatformError(
            image.display_name,
            requested=[str(requested or machine)],
            offered=[str(item) for item in offered if item is not None],
        )
    return images[position]
