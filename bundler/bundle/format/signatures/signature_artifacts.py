"""Referrers that contain a signature or an attestation, as their only layer.

cosign 3 stores sigstore bundles in this form, and Notation its envelopes.

https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidelines-for-artifact-usage
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.content.streams import VerifiedReader
from bundler.copy.resolving.fetch import fetch
from bundler.errors import LimitError, MalformedError
from bundler.oci import manifest
from bundler.oci.manifest import ImageManifest
from bundler.ports import Node

if TYPE_CHECKING:
    from bundler.oci.descriptor import Descriptor
    from bundler.ports import Source

MAX_CONTENT = 4 * 1024 * 1024
"""Maximum size of a bundle, and of an envelope of Notation, in bytes."""
SIGSTORE_BUNDLE = "application/vnd.dev.sigstore.bundle"
"""The beginning of the artifact types of sigstore bundles, which end with the version."""
NOTATION_SIGNATURE = "application/vnd.cncf.notary.signature"


@dataclass(frozen=True, slots=True)
class SignatureArtifact:
    """A referrer that contains a signature."""

    subject: str
    """Its name in messages."""
    manifest: ImageManifest
    """It has one layer."""
    content: bytes = field(repr=False)
    """The content of the layer."""


def may_be_artifact(item: Descriptor, kind: str) -> bool:
    """Return whether the type of a listed referrer begins with ``kind``, or is not stated."""
    return item.artifact_type is None or item.artifact_type.startswith(kind)


def read_artifact(source: Source, item: Descriptor, kind: str) -> SignatureArtifact | None:
    """Read a referrer whose artifact type begins with ``kind``; None if it has another type.

    Raises:
        NotFoundError: the source does not have it.
        IntegrityError, LimitError, UnsupportedError: it is damaged, malformed or too large.
    """
    subject = f"signature {item.digest}"
    raw = fetch(source, item, subject)
    parsed = manifest.parse(raw, item.media_type, subject=subject)
    if not (manifest.get_artifact_type(parsed) or "").startswith(kind):
        return None  # the source did not state its type
    if not isinstance(parsed, ImageManifest) or len(parsed.layers) != 1:
        raise MalformedError(f"{subject}: not the manifest of a signature")
    (layer,) = parsed.layers
    if not 0 <= layer.size <= MAX_CONTENT:
        raise LimitError(f"{subject}: too large (expected at most {MAX_CONTENT:,} bytes)")
    with source.open(Node.of(layer, "layer")) as stream:
        content = VerifiedReader(stream, subject, digest=layer.digest, size=layer.size).read()
    return SignatureArtifact(subject, parsed, content)
