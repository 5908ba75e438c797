"""Conversion options for an image, from which ``decide`` creates a conversion plan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol

from bundler.content.streams import Reader
from bundler.oci import media_types
from bundler.ports import SynthesizesManifests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bundler.oci.descriptor import Descriptor
    from bundler.oci.reference import ImageReference
    from bundler.ports import Source

Algorithm = Literal["gzip", "zstd", "zstd:chunked"]
ManifestFormat = Literal["oci", "v2s2", "v2s1"]

MANIFEST_TYPES: Mapping[ManifestFormat, str] = {
    "oci": media_types.OCI_MANIFEST,
    "v2s2": media_types.DOCKER_MANIFEST,
    "v2s1": media_types.DOCKER_SCHEMA1_SIGNED,
}
"""The media type of the manifests of each format."""


class TransformedStream(Reader, Protocol):
    """A reader that transforms another stream, such as a compressor, with annotations."""

    def annotations(self) -> Mapping[str, str]:
        """Return annotations for the layer's descriptor; complete only at the end of the stream."""
        ...

    def close(self) -> None:
        """Release threads and memory, but not the underlying stream."""
        ...


DIGESTS_PRESERVED = "instructed to preserve digests"
"""The reason why no digest may change if the user requires that."""


@dataclass(frozen=True, slots=True)
class Encryption:
    """The layers to encrypt, and the function that encrypts them."""

    encrypt: Callable[[Reader, Descriptor], TransformedStream]
    """Encrypts the bytes of the layer with the given descriptor."""
    layers: tuple[int, ...] = ()
    """Positions of the layers to encrypt: 0 is the first, -1 the last. Empty: all layers."""


@dataclass(frozen=True, slots=True)
class ConversionOptions:
    """Requested changes of manifest format, compression and encryption."""

    manifest_format: ManifestFormat | None = None
    compression: Algorithm | Literal["none"] | None = None
    """The compression of all layers; ``none``: uncompressed. None: unchanged."""
    only_uncompressed: bool = False
    """Leave compressed layers unchanged, regardless of their compression."""
    level: int | None = None
    """The compression level; None: the default of the algorithm."""
    force_compression: bool = False
    """Recompress layers even if they have this compression, or are present at the destination."""
    compress_uncompressed: bool = False
    """Compress uncompressed layers if the destination prefers compressed layers."""
    accept_uncompressed: bool = False
    """Leave uncompressed layers uncompressed, and correct their media type."""
    precompute: bool = False
    """Convert each layer to a temporary file, so that its digest is known before the push."""
    encryption: Encryption | None = None
    decryption: Callable[[Reader, Descriptor], Reader] | None = None
    """Decrypts the bytes of the layer with the given descriptor; the reader raises an error at the
    end of a modified layer."""
    fixed_reason: str | None = None
    """The reason why digests must not change; None: they may change."""
    keep_fixed_images: bool = False
    """Keep the format of images that must not change; otherwise, a ``manifest_format`` that would
    change them is an error. For indexes, it is always an error."""
    target_name: ImageReference | None = None
    """The name of the image at the destination, which a schema 1 manifest contains."""

    def for_endpoints(
        self, source: Source, target_name: ImageReference | None
    ) -> ConversionOptions:
        """Return these options with the additions that a source and a destination require.

        ``target_name`` is the name of the image at the destination; None if it has none.
        """
        options = self
        if isinstance(source, SynthesizesManifests):
            options = replace(options, compress_uncompressed=True)
        if target_name is None:
            return options
        if target_name.digest is not None and options.fixed_reason is None:
            options = replace(options, fixed_reason="the destination reference contains a digest")
        return replace(options, target_name=target_name)

    @property
    def changes_images(self) -> bool:
        """Whether any conversion is requested."""
        requested = replace(self, fixed_reason=None, keep_fixed_images=False, target_name=None)
        return requested != NO_CONVERSION


NO_CONVERSION = ConversionOptions()
