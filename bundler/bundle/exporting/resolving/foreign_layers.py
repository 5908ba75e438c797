"""Find the sources of the foreign layers of an image.

A registry often has the foreign layers of its images. A layer that it does not have can be
downloaded from the URLs in its descriptor, which are contacted only on request.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bundler.bundle.format.inventory import absent_layers
from bundler.errors import BundlerError, MissingLayersError, NotFoundError, RateLimitedError
from bundler.events import WarningIssued

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import ExitStack

    from bundler.copy.image import ResolvedImage
    from bundler.events import Emit
    from bundler.oci.digest import Digest
    from bundler.ports import Holdings, Node, OpenOptions, Source

HINT = (
    "--foreign-layers fetch downloads these layers from their URLs;"
    " --foreign-layers leave exports images without them"
)
_REFUSALS = range(400, 500)
"""HTTP statuses of a registry that refuses to send one layer, but not the others."""


def find_foreign_sources(
    image: ResolvedImage, holdings: Holdings, options: OpenOptions, stack: ExitStack
) -> ResolvedImage:
    """Return ``image`` with the sources of its foreign layers.

    For a layer that ``image.source`` does not have, the source is its URLs if the request permits
    that, or else ``image.source`` if ``holdings`` contain the layer; otherwise the layer has no
    source. ``stack`` closes the sources.

    Raises:
        MissingLayersError: the request requires all layers, and one is absent.
        RegistryError: the request requires a download, and no URL has the layer.
    """
    policy = image.request.foreign_layers
    sources: dict[Digest, Source] = {}
    urls: Source | None = None
    for node in image.foreign_layers:
        if node.digest is None or node.digest in sources:
            continue
        if _has(image, node, options.emit):
            sources[node.digest] = image.source
        elif policy == "fetch":
            if urls is None:
                from bundler.transports.docker.foreign_urls import (  # noqa: PLC0415 - imports requests
                    ForeignUrlSource,
                )

                opened = ForeignUrlSource(image.source, image.display_name, options)
                stack.callback(opened.close)
                urls = opened
            if not holdings.has(node):
                with urls.open(node):  # an export fails before its first transfer
                    pass
            sources[node.digest] = urls
        elif holdings.has(node):
            sources[node.digest] = image.source
    found = replace(image, foreign_sources=sources)
    if found.absent_layers and policy == "fail":
        layers = map(absent_layers.describe, absent_layers.from_nodes(found.absent_layers))
        raise MissingLayersError(image.display_name, list(layers), hint=HINT)
    return found


def describe_missing(images: Iterable[ResolvedImage]) -> list[str]:
    """Describe the missing layers of ``images``, one per line."""
    return [
        f"{image.display_name}: {absent_layers.describe(layer)}"
        for image in images
        for layer in absent_layers.from_nodes(image.missing_layers)
    ]


def _has(image: ResolvedImage, node: Node, emit: Emit) -> bool:
    """Return whether the source can open ``node``; warn if a registry refuses to send it."""
    try:
        with image.source.open(node):
            return True
    except NotFoundError:
        return False
    except BundlerError as error:
        status = error.exchange.status if error.exchange is not None else None
        if status is None or status not in _REFUSALS or isinstance(error, RateLimitedError):
            raise
        emit(WarningIssued(f"{image.display_name}: {error.message}"))
        return False
