"""Write layers of an image, and its manifest, to a new directory."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack, closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from bundler import transports
from bundler.content.streams.verified import VerifiedReader
from bundler.images.inspect import read_root, select_image
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import list_children
from bundler.ports import Node, Publication

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.cancel import Cancellation
    from bundler.images.inspect import ImageRoot
    from bundler.oci.manifest import ImageManifest
    from bundler.oci.platform import Platform
    from bundler.ports import Destination, OpenOptions, PolicyCheck, Reference


@dataclass(frozen=True, slots=True)
class LayersRequest:
    """The layers to extract."""

    reference: Reference
    platform: Platform
    """Selects the image of an index."""
    digests: tuple[Digest, ...] = ()
    """The blobs to extract, which need not be part of the image; empty: all blobs of the image."""


def extract_layers(
    request: LayersRequest,
    source_options: OpenOptions,
    destination_options: OpenOptions,
    policy_check: PolicyCheck | None = None,
) -> Path:
    """Write layers and the manifest to a new directory ``layers-...``; return its path.

    Args:
        request: the image and its layers.
        source_options: options for opening the source.
        destination_options: options for opening the new directory, below the current one.
        policy_check: rejects an image that the policy does not accept; None: no check.

    Raises:
        NotFoundError: the image or a blob does not exist at the source.
        IntegrityError: a blob does not match its digest.
        RejectedByPolicyError: ``policy_check`` rejects the image.
    """
    reference = request.reference
    with ExitStack() as stack:
        source = transports.open_source(reference, source_options)
        stack.enter_context(closing(source))
        root = read_root(source, reference)
        if policy_check is not None:
            policy_check(source, str(reference), root.root, root.raw)
        image = select_image(root, request.platform)
        directory = Path(tempfile.mkdtemp(prefix="layers-", dir="."))
        with ExitStack() as undo:
            undo.callback(shutil.rmtree, directory)
            target = transports.parse(f"dir:{directory}")
            with closing(transports.open_destination(target, destination_options)) as destination:
                _write(root, image, request.digests, destination, source_options.cancellation)
            undo.pop_all()
    return directory


def _write(
    root: ImageRoot,
    image: ImageManifest,
    digests: Sequence[Digest],
    destination: Destination,
    cancellation: Cancellation,
) -> None:
    """Write the blobs with ``digests`` (if empty, all blobs of the image) and the manifest."""
    known = {child.digest: Node.of(child, kind) for child, kind in list_children(image)}
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
