"""What becomes of an image's manifests and layers on the way: decided first, applied at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.copy.convert.options import LayerChange
from bundler.errors import MalformedError
from bundler.oci import image_config, media_types
from bundler.oci.descriptor import SIZE_UNKNOWN, Descriptor
from bundler.oci.schema1.manifest import Schema1

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bundler.copy.convert.options import LayerConversion
    from bundler.copy.graph import Graph
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import ImageManifest
    from bundler.ports import Node


@dataclass(frozen=True, slots=True)
class ImageConversion:
    """What becomes of one image."""

    parsed: ImageManifest | Schema1
    media_type: str
    """Of its manifest, in the end."""
    layer_conversions: tuple[LayerConversion | None, ...]
    """What becomes of each of ``layers``; None: nothing."""

    @property
    def layers(self) -> tuple[Descriptor, ...]:
        """From bottom to top, without those of schema 1 that hold nothing."""
        if isinstance(self.parsed, Schema1):
            kind = media_types.DOCKER_LAYER_GZIP
            return tuple(Descriptor(kind, one.blob, SIZE_UNKNOWN) for one in self.parsed.layers)
        return self.parsed.layers

    @property
    def config(self) -> Descriptor | None:
        """The config that it had; None: none, in schema 1."""
        return None if isinstance(self.parsed, Schema1) else self.parsed.config

    @property
    def changes_type(self) -> bool:
        """Whether the manifest's type changes, and with it the config."""
        return self.media_type != self.parsed.media_type


@dataclass(frozen=True, slots=True)
class ConversionPlan:
    """What becomes of all images below one root."""

    images: Mapping[Digest, ImageConversion] = field(hash=False)
    index_type: str | None = None
    """The media type that every index gets; None: its own."""
    configs: Mapping[Digest, bytes] = field(default_factory=dict, hash=False, repr=False)
    """The configs of ``needed_configs``, by digest."""

    def find_required_configs(self) -> list[Descriptor]:
        """The configs that have to be known before a layer moves."""
        return [
            recipe.config
            for recipe in self.images.values()
            if recipe.config is not None and (recipe.changes_type or any(recipe.layer_conversions))
        ]

    def find_layer_changes(self) -> Iterator[LayerChange]:
        """Every layer that does not simply move, with what the configs say of it.

        Raises:
            MalformedError: a config speaks of another number of layers.
        """
        for recipe in self.images.values():
            if not any(recipe.layer_conversions):
                continue
            diff_ids = self._diff_ids(recipe)
            for layer, diff_id, treatment in zip(
                recipe.layers, diff_ids, recipe.layer_conversions, strict=True
            ):
                if treatment is not None:
                    yield LayerChange(layer, treatment, diff_id)

    def find_rewritten_configs(self) -> set[Digest]:
        """The configs that do not move, since others take their places."""
        return {
            recipe.config.digest
            for recipe in self.images.values()
            if recipe.config is not None and recipe.changes_type
        }

    def _diff_ids(self, recipe: ImageConversion) -> Sequence[Digest | None]:
        config, layers = recipe.config, recipe.layers
        nothing = [None] * len(layers)
        if config is None:
            return nothing
        what = f"config {config.digest}"
        diff_ids = image_config.parse(self.configs[config.digest], subject=what).diff_ids
        if len(diff_ids) not in (0, len(layers)):
            raise MalformedError(f"{what}: {len(diff_ids)} diff_ids for {len(layers)} layers")
        return diff_ids or nothing


@dataclass(frozen=True, slots=True)
class ConvertedGraph:
    """A graph in its new form, and the content that nobody had before."""

    graph: Graph
    new_content: Mapping[Node, bytes] = field(hash=False, repr=False)
    """Configs, and whatever else has to be there before the manifests."""


def parse_compression(media_type: str) -> str | None:
    """By what a layer is compressed, as its media type has it."""
    plain = media_type.removesuffix("+encrypted")
    return next((name for name in ("gzip", "zstd") if plain.endswith(name)), None)


def is_encrypted(layer: Descriptor) -> bool:
    """Whether a layer says that it is encrypted."""
    return layer.media_type.endswith("+encrypted")
