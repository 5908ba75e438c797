"""Write layers of an image, and its manifest, to a new directory."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bundler import transports
from bundler.content.streams import VerifiedReader
from bundler.copy.blob_transfer import push_bytes
from bundler.images.inspect import read_root, select_image
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import list_children
from bundler.ports import Node, Publication

if TYPE_CHECKING:
    from bundler.oci.platform import Platform
    from bundler.ports import OpenOptions, Reference
    from bundler.signature_ports import PolicyCheck


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

    The directory is created in the current one. ``policy_check`` rejects an image that the policy
    does not accept; None: no check.

    Raises:
        NotFoundError: the image or a blob does not exist at the source.
        IntegrityError: a blob does not match its digest.
        RejectedByPolicyError: ``policy_check`` rejects the image.
    """
    reference, cancellation = request.reference, source_options.cancellation
    with closing(transports.open_source(reference, source_options)) as source, ExitStack() as undo:
        root = read_root(source, reference)
        if policy_check is not None:
            policy_check.check_reference(str(reference))
        image = select_image(root, request.platform, policy_check)
        known = {child.digest: Node.of(child, kind) for child, kind in list_children(image)}
        nodes = [
            known.get(digest, Node("layer", "application/octet-stream", digest))
            for digest in request.digests or known
        ]
        directory = Path(tempfile.mkdtemp(prefix="layers-", dir="."))
        undo.callback(shutil.rmtree, directory)
        target = transports.parse(f"dir:{directory}")
        with closing(transports.open_destination(target, destination_options)) as destination:
            for node in nodes:
                with source.open(node) as stream:
                    content = VerifiedReader(
                        stream,
                        f"{reference}: blob {node.digest}",
                        digest=node.digest,
                        size=node.size,
                        media_type=node.media_type,
                        observe=lambda _: cancellation.check(),
                    )
                    destination.push(node, content)
            descriptor = Descriptor(image.media_type, Digest.of(image.raw), len(image.raw))
            push_bytes(Node.of(descriptor, "manifest"), image.raw, destination)
            destination.commit([Publication(descriptor, ())])
        undo.pop_all()
    return directory
