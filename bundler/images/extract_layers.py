"""Put single layers of an image into a directory, beside its manifest."""

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
    found: ImageRoot,
    image: ImageManifest,
    wanted: Sequence[Digest],
    destination: Destination,
    cancellation: Cancellation,
) -> None:
    """Write the ``wanted`` blobs to ``destination``, or all of the image, and its manifest.

    Raises:
        NotFoundError: a blob is not where the image is.
        IntegrityError: a blob is not what its digest says.
    """
    known = {child.digest: Node.of(child, kind) for child, kind in children(image)}
    nodes = [known.get(one, Node("layer", "application/octet-stream", one)) for one in wanted]
    for node in nodes or known.values():
        what = f"{found.reference}: blob {node.digest}"
        with found.source.open(node) as stream:
            destination.push(
                node,
                VerifiedReader(
                    stream,
                    what,
                    digest=node.digest,
                    size=node.size,
                    media_type=node.media_type,
                    observe=lambda _: cancellation.check(),
                ),
            )
    root = Descriptor(image.media_type, Digest.of(image.raw), len(image.raw))
    what = f"{found.reference}: manifest {root.digest}"
    content = VerifiedReader(BytesIO(image.raw), what, digest=root.digest, size=root.size)
    destination.push(Node.of(root, "manifest"), content)
    destination.commit([Publication(root, ())])
