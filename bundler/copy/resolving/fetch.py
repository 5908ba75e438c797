"""Read and verify a manifest or a config of an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from bundler.content.streams import VerifiedReader
from bundler.errors import BundlerError, LimitError, MalformedError
from bundler.oci import manifest, media_types
from bundler.oci.manifest import ImageManifest
from bundler.ports import Node
from bundler.signature_ports import HasSignatures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import Source

MAX_DEPTH = 8
"""The maximum number of levels of nested indexes."""


def fetch(
    source: Source,
    descriptor: Descriptor,
    label: str,
    *,
    kind: Literal["manifest", "config"] = "manifest",
) -> bytes:
    """Read and verify a manifest or a config.

    Raises:
        IntegrityError: the bytes do not match ``descriptor``.
        LimitError: the content is larger than allowed.
    """
    subject = f"{label}: {kind} {descriptor.digest.text}"
    if descriptor.size > manifest.MAX_MANIFEST:
        raise LimitError(
            f"{subject}: too large (expected at most {manifest.MAX_MANIFEST:,} bytes,"
            f" got {descriptor.size:,})"
        )
    with source.open(Node.of(descriptor, kind)) as stream:
        if descriptor.media_type in media_types.SCHEMA1:
            raw = stream.read(manifest.MAX_MANIFEST + 1)
            manifest.verify(raw, descriptor, subject)
            return raw
        reader = VerifiedReader(stream, subject, digest=descriptor.digest, size=descriptor.size)
        return reader.read()


def read_signatures(source: Source, manifest: Digest) -> Sequence[bytes]:
    """Return the signatures that ``source`` stores with a manifest, unverified.

    Raises:
        BundlerError: they cannot be read; its field ``reads_signatures`` is set.
    """
    try:
        return source.signatures(manifest) if isinstance(source, HasSignatures) else ()
    except BundlerError as error:
        error.reads_signatures = True
        raise


def check_same_image(source: Source, original: bytes, raw: bytes, subject: str) -> None:
    """Check that a manifest with uncompressed layers describes the same image as the original.

    Both have the same config, and it lists the layers.

    Raises:
        MalformedError: they describe different images.
    """
    first, second = (manifest.parse(item, None, subject=subject) for item in (original, raw))
    if isinstance(first, ImageManifest) and isinstance(second, ImageManifest):
        config = fetch(source, second.config, subject, kind="config")
        diff_ids = manifest.ImageConfig.parse(config, subject=subject).diff_ids
        layers = tuple(layer.digest for layer in second.layers)
        if first.config.digest == second.config.digest and diff_ids == layers:
            return
    raise MalformedError(f"{subject}: the stored layers are not those of the original manifest")
