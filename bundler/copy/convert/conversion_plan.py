"""The conversion plan of an image: the conversions of its manifests and layers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bundler.errors import MalformedError
from bundler.oci import media_types
from bundler.oci.descriptor import SIZE_UNKNOWN, Descriptor
from bundler.oci.manifest import ImageConfig, Schema1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bundler.content.streams import Reader
    from bundler.copy.convert.options import Algorithm, TransformedStream
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import ImageManifest


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
    """The diff ID; None unless ``LayerConversion.diff_id`` requests it."""
    encrypted: bool = False


@dataclass(frozen=True, slots=True)
class ImageConversion:
    """The conversion of one image manifest and its layers."""

    parsed: ImageManifest | Schema1
    media_type: str
    """The media type of the new manifest."""
    layer_conversions: tuple[LayerConversion | None, ...]
    """The conversion of each of ``layers``; None: the layer is unchanged."""

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """The layers from the base layer up, without the empty layers of schema 1."""
        if isinstance(self.parsed, Schema1):
            media_type = media_types.DOCKER_LAYER_GZIP
            return tuple(
                Descriptor(media_type, entry.blob, SIZE_UNKNOWN) for entry in self.parsed.layers
            )
        return self.parsed.layers

    @property
    def config(self) -> Descriptor | None:
        """The original config; None for a schema 1 manifest."""
        return None if isinstance(self.parsed, Schema1) else self.parsed.config

    @property
    def changes_type(self) -> bool:
        """Whether the media type of the manifest changes, which also changes the config."""
        return self.media_type != self.parsed.media_type


@dataclass(frozen=True, slots=True)
class ConversionPlan:
    """The conversions of all images below one root."""

    images: Mapping[Digest, ImageConversion] = field(hash=False)
    """Conversions by the digest of the original manifest; other manifests are unchanged."""
    index_type: str | None = None
    """The new media type of every index; None: unchanged."""
    configs: Mapping[Digest, bytes] = field(default_factory=dict, hash=False, repr=False)
    """The content of the configs that ``find_required_configs`` returns, by digest."""

    def find_required_configs(self) -> list[Descriptor]:
        """Return the configs that must be read before the first layer is converted."""
        return [
            image.config
            for image in self.images.values()
            if image.config is not None and (image.changes_type or any(image.layer_conversions))
        ]

    def find_layer_changes(self) -> Iterator[LayerChange]:
        """Yield the layers to convert.

        Raises:
            MalformedError: a config has a different number of diff IDs than there are layers.
        """
        for image in self.images.values():
            if not any(image.layer_conversions):
                continue
            config = image.config
            diff_ids: Sequence[Digest | None] = ()
            if config is not None:
                subject = f"config {config.digest}"
                parsed = ImageConfig.parse(self.configs[config.digest], subject=subject)
                diff_ids = parsed.diff_ids
                if len(diff_ids) not in (0, len(image.layers)):
                    raise MalformedError(
                        f"{subject}: wrong number of diff_ids"
                        f" (expected {len(image.layers)}, got {len(diff_ids)})"
                    )
            diff_ids = diff_ids or [None] * len(image.layers)
            for layer, diff_id, conversion in zip(
                image.layers, diff_ids, image.layer_conversions, strict=True
            ):
                if conversion is not None:
                    yield LayerChange(layer, conversion, diff_id)


def parse_compression(media_type: str) -> str | None:
    """Return the compression in the media type of a layer; None: uncompressed."""
    plain = media_type.removesuffix("+encrypted")
    return next((name for name in ("gzip", "zstd") if plain.endswith(name)), None)


def is_encrypted(layer: Descriptor) -> bool:
    """Whether a layer is encrypted, according to its media type."""
    return layer.media_type.endswith("+encrypted")
