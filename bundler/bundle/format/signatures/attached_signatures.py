"""Sigstore signatures in a bundle: the layers of the referrers that have cosign's tag for them.

https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from bundler.content.streams import VerifiedReader
from bundler.copy.resolving.fetch import fetch
from bundler.errors import LimitError, MalformedError
from bundler.oci import manifest as manifests
from bundler.oci.manifest import ImageManifest
from bundler.oci.signature import MAX_SIGNATURE, SigstoreSignature
from bundler.ports import Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bundler.bundle.format.inventory.inventory import BundledImage
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import Source

MAX_LAYERS = 128
MAX_TOTAL = 16 * 1024 * 1024


def find_all(images: Iterable[BundledImage]) -> Mapping[Digest, Sequence[Descriptor]]:
    """Return the manifests that contain signatures, each once, by the manifest they belong to."""
    found: defaultdict[Digest, dict[Digest, Descriptor]] = defaultdict(dict)
    for image in images:
        for item in image.referrers:
            if item.tag == f"{item.subject.algorithm}-{item.subject.hex}.sig":
                found[item.subject][item.digest] = item.root
    return {subject: list(roots.values()) for subject, roots in found.items()}


def read(source: Source, roots: Sequence[Descriptor]) -> list[bytes]:
    """Read the signatures in the manifests ``roots``, as ``oci.signature`` encodes them.

    Raises:
        IntegrityError: a manifest or a signature is damaged or malformed.
        LimitError: there are too many signatures, or they are too large.
    """
    layers: list[Descriptor] = []
    for root in roots:
        subject = f"signatures {root.digest}"
        parsed = manifests.parse(fetch(source, root, subject), root.media_type, subject=subject)
        if not isinstance(parsed, ImageManifest):
            raise MalformedError(f"{subject}: not the manifest of signatures")
        layers += parsed.layers
    if len(layers) > MAX_LAYERS or sum(layer.size for layer in layers) > MAX_TOTAL:
        raise LimitError(
            f"too many signatures (expected at most {MAX_LAYERS} of {MAX_TOTAL:,} bytes in total)"
        )
    signatures = []
    for layer in layers:
        subject = f"signature {layer.digest}"
        if not 0 <= layer.size <= MAX_SIGNATURE:
            raise LimitError(f"{subject}: too large (expected at most {MAX_SIGNATURE:,} bytes)")
        with source.open(Node.of(layer, "layer")) as stream:
            reader = VerifiedReader(stream, subject, digest=layer.digest, size=layer.size)
            payload = reader.read()
        signatures.append(
            SigstoreSignature(layer.media_type, payload, layer.annotations).to_bytes()
        )
    return signatures
