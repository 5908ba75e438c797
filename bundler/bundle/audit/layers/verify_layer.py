"""Verify a layer whose contents are known, without decompressing it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bundler.content.streams import VerifiedReader, drain
from bundler.ports import Node

if TYPE_CHECKING:
    from bundler.cancel import Cancellation
    from bundler.oci.descriptor import Descriptor
    from bundler.ports import Source


def verify_layer(source: Source, layer: Descriptor, cancellation: Cancellation) -> None:
    """Read a layer to its end, and compare it with its digest and size.

    Raises:
        NotFoundError: the source does not have the layer.
        IntegrityError: the layer does not match its descriptor.
    """
    with source.open(Node.of(layer, "layer")) as stream:
        size = None if layer.size < 0 else layer.size
        subject = f"layer {layer.digest}"
        drain(
            VerifiedReader(
                stream,
                subject,
                digest=layer.digest,
                size=size,
                observe=lambda _: cancellation.check(),
            )
        )
