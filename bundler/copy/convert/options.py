"""What is asked of an image's form, and what is done to a layer for it.

Without a word nothing changes. What is asked for here is decided on in ``decide``.
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
    """A stream that is another's bytes in another form, and what that says of itself."""

    def read(self, size: int = -1, /) -> bytes:
        """As ``Reader.read``."""
        ...

    def readinto(self, buffer: memoryview, /) -> int:
        """As ``Reader.readinto``."""
        ...

    def annotations(self) -> Mapping[str, str]:
        """What belongs on the layer's descriptor; only after the end."""
        ...

    def close(self) -> None:
        """Let go of threads and memory; not of the stream below."""
        ...


@dataclass(frozen=True, slots=True)
class Encryption:
    """Layers that become secret on the way."""

    encrypt: Callable[[Reader, Descriptor], TransformedStream]
    """Encrypts a layer that its descriptor describes."""
    layers: tuple[int, ...] = ()
    """Which ones, from 0, from the end with a minus; none: all."""


@dataclass(frozen=True, slots=True)
class ConversionOptions:
    """What is asked of the form of images."""

    manifest_format: ManifestFormat | None = None
    compression: Algorithm | Literal["none"] | None = None
    """What layers are to be compressed by; ``none``: they are to be uncompressed."""
    only_uncompressed: bool = False
    """But what is compressed by whatever means stays so."""
    level: int | None = None
    force_compression: bool = False
    """Compress anew even what is compressed so, or lies at the destination in another form."""
    compress_uncompressed: bool = False
    """Compress what is not compressed at all, where the destination prefers that."""
    accept_uncompressed: bool = False
    """But only tell the truth about it, and leave it as it is."""
    precompute: bool = False
    """Learn a made layer's digest before it is pushed, in a temporary file."""
    encryption: Encryption | None = None
    decryption: Callable[[Reader, Descriptor], Reader] | None = None
    """Opens a layer that its descriptor describes; raises in place of the end if it was altered."""
    fixed_reason: str | None = None
    """Why no digest may change; None: it may."""
    target_name: ImageReference | None = None
    """What the image will be called, which schema 1 writes into the manifest."""

    def for_endpoints(self, source: Source, goal: ImageReference | None) -> ConversionOptions:
        """The same, with the changes that follow from the source and the destination.

        Args:
            source: the source of the image.
            goal: the image's name in a repository; None if the destination is none.
        """
        changes = self
        if isinstance(source, SynthesizesManifests):
            changes = replace(changes, compress_uncompressed=True)
        if goal is None:
            return changes
        if goal.digest is not None and changes.fixed_reason is None:
            changes = replace(changes, fixed_reason="the destination names a digest")
        return replace(changes, target_name=goal)


NO_CONVERSION = ConversionOptions()


@dataclass(frozen=True, slots=True)
class LayerConversion:
    """What becomes of one layer on the way."""

    form: Literal["found", "compressed", "uncompressed"] = "found"
    """``found``: only find out what it is; as many bytes arrive as left."""
    algorithm: Algorithm = "gzip"
    level: int | None = None
    only_uncompressed: bool = False
    """Leave alone what is compressed by whatever means."""
    force: bool = False
    """Compress what is compressed so already."""
    diff_id: bool = False
    """Find out the digest of its uncompressed bytes."""
    precompute: bool = False
    encrypt: Callable[[Reader, Descriptor], TransformedStream] | None = None
    decrypt: Callable[[Reader, Descriptor], Reader] | None = None

    @property
    def may_stay(self) -> bool:
        """Whether the same layer, as it was, will do if the destination has it already."""
        return (
            self.form != "uncompressed"
            and not (self.force or self.diff_id)
            and self.encrypt is None
            and self.decrypt is None
        )


@dataclass(frozen=True, slots=True)
class LayerChange:
    """One layer, and what becomes of it."""

    layer: Descriptor
    """As it leaves; its size is -1 where nothing tells it."""
    conversion: LayerConversion
    diff_id: Digest | None = None
    """What the image's config says of its uncompressed bytes; None: nothing is known."""


@dataclass(frozen=True, slots=True)
class ConvertedLayer:
    """What arrived in place of a layer."""

    descriptor: Descriptor
    """Its media type is the one that it left with."""
    compression: str | None
    """By what it is compressed now; None: not at all."""
    diff_id: Digest | None = None
    """Where it was to be found out."""
    encrypted: bool = False
    """Whether it is encrypted now."""
