"""Conversion options for an image, and the conversions of layers that result from them.

By default, nothing is converted. ``decide`` creates a conversion plan from the options.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol

from bundler.oci import media_types
from bundler.ports import SynthesizesManifests

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bundler.content.streams.reader import Reader
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
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


class TransformedStream(Protocol):
    """A reader that transforms another stream, such as a compressor, with annotations."""

    def read(self, size: int = -1, /) -> bytes:
        """As ``Reader.read``."""
        ...

    def readinto(self, buffer: memoryview, /) -> int:
        """As ``Reader.readinto``."""
        ...

    def annotations(self) -> Mapping[str, str]:
        """Return annotations for the layer's descriptor; complete only at the end of the stream."""
        ...

    def close(self) -> None:
        """Release threads and memory, but not the underlying stream."""
        ...


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
    """Decrypts the bytes of the layer with the given descriptor.

    At the end of a modified layer, the reader raises an error.
    """
    fixed_reason: str | None = None
    """The reason why digests must not change; None: they may change."""
    target_name: ImageReference | None = None
    """The name of the image at the destination, which a schema 1 manifest contains."""

    def for_endpoints(
        self, source: Source, target_name: ImageReference | None
    ) -> ConversionOptions:
        """Return these options with the additions that a source and a destination require.

        Args:
            source: the source of the image.
            target_name: the name of the image at the destination; None if unset.
        """
        options = self
        if isinstance(source, SynthesizesManifests):
            options = replace(options, compress_uncompressed=True)
        if target_name is None:
            return options
        if target_name.digest is not None and options.fixed_reason is None:
            options = replace(options, fixed_reason="the destination names a digest")
        return replace(options, target_name=target_name)

    @property
    def changes_images(self) -> bool:
        """Whether any conversion is requested."""
        return replace(self, fixed_reason=None, target_name=None) != NO_CONVERSION


NO_CONVERSION = ConversionOptions()


@dataclass(frozen=True, slots=True)
class LayerConversion:
    """The conversion of one layer."""

    form: Literal["unchanged", "compressed", "uncompressed"] = "unchanged"
    """``unchanged``: the bytes are not changed, but the actual compression is detected."""
    algorithm: Algorithm = "gzip"
    level: int | None = None
    only_uncompressed: bool = False
    """Leave a compressed layer unchanged, regardless of its compression."""
    force: bool = False
    """Recompress a layer even if it has this compression."""
    diff_id: bool = False
    """Compute the digest of the uncompressed bytes."""
    precompute: bool = False
    encrypt: Callable[[Reader, Descriptor], TransformedStream] | None = None
    decrypt: Callable[[Reader, Descriptor], Reader] | None = None

    @property
    def may_stay(self) -> bool:
        """Whether the original layer can be used if it is present at the destination."""
        return (
            self.form != "uncompressed"
            and not (self.force or self.diff_id)
            and self.encrypt is None
            and self.decrypt is None
        )


@dataclass(frozen=True, slots=True)
class LayerChange:
    """A layer to convert, and its conversion."""

    layer: Descriptor
    """The layer at the source; its size is -1 if unknown."""
    conversion: LayerConversion
    diff_id: Digest | None = None
    """The diff ID in the config of the image; None if unknown."""


@dataclass(frozen=True, slots=True)
class ConvertedLayer:
    """A layer at the destination, after its conversion."""

    descriptor: Descriptor
    """The digest, size and annotations of the new layer, but the original media type."""
    compression: str | None
    """``gzip`` or ``zstd``; None: uncompressed."""
    diff_id: Digest | None = None
    """None unless requested by ``LayerConversion.diff_id``."""
    encrypted: bool = False
