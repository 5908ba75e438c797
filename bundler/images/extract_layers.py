"""Copy single layers of an image into a directory, beside its manifest."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from bundler.content.streams.verified import VerifiedReader
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import children
from bundler.ports import Node, Publication

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.cancel import Cancellation
    from bundler.images.inspect import ImageRoot
    from bundler.oci.manifest import ImageManifest
    from bundler.ports import Destination


def extract_layers(
    root: ImageRoot,
    image: ImageManifest,
    digests: Sequence[Digest],
    destination: Destination,
    cancellation: Cancellation,
) -> None:
    """Write the blobs with ``digests``, or all blobs if empty, and the manifest of an image.

    Args:
        root: where the image is read from.
        image: the image that contains the blobs.
        digests: the blobs to write; they need not be part of the image.
        destination: receives the blobs, and is committed.
        cancellation: checked for every chunk.

    Raises:
        NotFoundError: a blob is not at the source.
        IntegrityError: a blob does not match its digest.
    """
    known = {child.digest: Node.of(child, kind) for child, kind in children(image)}
    nodes = [
        known.get(digest, Node("layer", "application/octet-stream", digest)) for digest in digests
    ]
    for node in nodes or known.values():
        with root.source.open(node) as stream:
            content = VerifiedReader(
                stream,
                f"{root.reference}: blob {node.digest}",
                digest=node.digest,
                size=node.size,
                media_type=node.media_type,
                observe=lambda _: cancellation.check(),
            )
            destination.push(node, content)
    descriptor = Descriptor(image.media_type, Digest.of(image.raw), len(image.raw))
    subject = f"{root.reference}: manifest {descriptor.digest}"
    content = VerifiedReader(
        BytesIO(image.raw), subject, digest=descriptor.digest, size=descriptor.size
    )
    destination.push(Node.of(descriptor, "manifest"), content)
    destination.commit([Publication(descriptor, ())])
