"""Conversion options of an image, and the conversion of each layer that follows from them.

By default nothing changes. ``decide`` turns options into a conversion plan.
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
"""The media type of each format's manifests."""


class TransformedStream(Protocol):
    """A reader of another stream's bytes in another form, and the annotations of the result."""

    def read(self, size: int = -1, /) -> bytes:
        """As ``Reader.read``."""
        ...

    def readinto(self, buffer: memoryview, /) -> int:
        """As ``Reader.readinto``."""
        ...

    def annotations(self) -> Mapping[str, str]:
        """Annotations for the layer's descriptor; only complete at the end of the stream."""
        ...

    def close(self) -> None:
        """Release threads and memory, but not the underlying stream."""
        ...


@dataclass(frozen=True, slots=True)
class Encryption:
    """How to encrypt layers, and which ones."""

    encrypt: Callable[[Reader, Descriptor], TransformedStream]
    """Encrypts a layer, given its bytes and its descriptor."""
    layers: tuple[int, ...] = ()
    """Positions of the layers to encrypt: 0 is the first, -1 the last; empty: all."""


@dataclass(frozen=True, slots=True)
class ConversionOptions:
    """Requested changes of manifest format, compression and encryption."""

    manifest_format: ManifestFormat | None = None
    compression: Algorithm | Literal["none"] | None = None
    """The compression of all layers; ``none``: uncompressed. None: unchanged."""
    only_uncompressed: bool = False
    """Leave layers that are already compressed unchanged, whatever their compression."""
    level: int | None = None
    force_compression: bool = False
    """Recompress layers that have this compression already, or exist at the destination."""
    compress_uncompressed: bool = False
    """Compress uncompressed layers if the destination prefers compressed ones."""
    accept_uncompressed: bool = False
    """Keep uncompressed layers uncompressed, and give them the matching media type."""
    precompute: bool = False
    """Convert layers to a temporary file first, to know their digest before the push."""
    encryption: Encryption | None = None
    decryption: Callable[[Reader, Descriptor], Reader] | None = None
    """Decrypts a layer, given its bytes and its descriptor.

    The reader raises an error instead of ending if the layer was modified.
    """
    fixed_reason: str | None = None
    """Why no digest may change; None: digests may change."""
    target_name: ImageReference | None = None
    """The name of the image at the destination, which schema 1 stores in the manifest."""

    def for_endpoints(
        self, source: Source, target_name: ImageReference | None
    ) -> ConversionOptions:
        """Add the options that follow from a source and a destination.

        Args:
            source: the source of the image.
            target_name: the image's name at the destination; None if it has none.
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
        """Whether a change is requested."""
        return replace(self, fixed_reason=None, target_name=None) != NO_CONVERSION


NO_CONVERSION = ConversionOptions()


@dataclass(frozen=True, slots=True)
class LayerConversion:
    """The conversion of one layer."""

    form: Literal["unchanged", "compressed", "uncompressed"] = "unchanged"
    """``unchanged``: the bytes stay the same, and only the actual compression is detected."""
    algorithm: Algorithm = "gzip"
    level: int | None = None
    only_uncompressed: bool = False
    """Leave a compressed layer unchanged, whatever its compression."""
    force: bool = False
    """Recompress a layer that has this compression already."""
    diff_id: bool = False
    """Compute the digest of the uncompressed bytes."""
    precompute: bool = False
    encrypt: Callable[[Reader, Descriptor], TransformedStream] | None = None
    decrypt: Callable[[Reader, Descriptor], Reader] | None = None

    @property
    def may_stay(self) -> bool:
        """Whether the original layer can be used if the destination has it already."""
        return (
            self.form != "uncompressed"
            and not (self.force or self.diff_id)
            and self.encrypt is None
            and self.decrypt is None
        )


@dataclass(frozen=True, slots=True)
class LayerChange:
    """One layer and its conversion."""

    layer: Descriptor
    """As it is at the source; the size is -1 if unknown."""
    conversion: LayerConversion
    diff_id: Digest | None = None
    """The digest of the uncompressed bytes, from the config of the image; None if unknown."""


@dataclass(frozen=True, slots=True)
class ConvertedLayer:
    """A layer at the destination, after its conversion."""

    descriptor: Descriptor
    """Digest, size and annotations of the new layer; the media type is still the old one."""
    compression: str | None
    """None: uncompressed."""
    diff_id: Digest | None = None
    """Set if ``LayerConversion.diff_id`` requested it."""
    encrypted: bool = False
