"""What becomes of an image's manifests and layers on the way: decided first, applied at the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.copy.changes import LayerChange
from bundler.errors import MalformedError
from bundler.oci import image_config

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bundler.copy.changes import Treatment
    from bundler.copy.resolve import Graph, GraphManifest
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import ImageManifest


@dataclass(frozen=True, slots=True)
class ImageRecipe:
    """What becomes of one image."""

    item: GraphManifest
    parsed: ImageManifest
    media_type: str
    """Of its manifest, in the end."""
    treatments: tuple[Treatment | None, ...]
    """What becomes of each of its layers; None: nothing."""

    @property
    def rewrites_config(self) -> bool:
        """Whether the config changes with the manifest's type."""
        return self.media_type != self.parsed.media_type


@dataclass(frozen=True, slots=True)
class Recipe:
    """What becomes of all images below one root."""

    images: Mapping[Digest, ImageRecipe] = field(hash=False)
    list_type: str | None = None
    """The media type that every index gets; None: its own."""
    configs: Mapping[Digest, bytes] = field(default_factory=dict, hash=False, repr=False)
    """The configs of ``needed_configs``, by digest."""

    def needed_configs(self) -> list[Descriptor]:
        """The configs that have to be known before a layer moves."""
        return [
            recipe.parsed.config
            for recipe in self.images.values()
            if recipe.rewrites_config or any(recipe.treatments)
        ]

    def layer_changes(self) -> Iterator[LayerChange]:
        """Every layer that does not simply move, with what the configs say of it.

        Raises:
            MalformedError: a config speaks of another number of layers.
        """
        for recipe in self.images.values():
            if not any(recipe.treatments):
                continue
            diff_ids = self._diff_ids(recipe)
            for layer, diff_id, treatment in zip(
                recipe.parsed.layers, diff_ids, recipe.treatments, strict=True
            ):
                if treatment is not None:
                    yield LayerChange(layer, treatment, diff_id)

    def rewritten_configs(self) -> set[Digest]:
        """The configs that do not move, since others take their places."""
        return {
            recipe.parsed.config.digest for recipe in self.images.values() if recipe.rewrites_config
        }

    def _diff_ids(self, recipe: ImageRecipe) -> Sequence[Digest | None]:
        raw = self.configs[recipe.parsed.config.digest]
        what = f"config {recipe.parsed.config.digest}"
        diff_ids = image_config.parse(raw, what=what).diff_ids
        layers = recipe.parsed.layers
        if not diff_ids:
            return [None] * len(layers)
        if len(diff_ids) != len(layers):
            raise MalformedError(f"{what}: {len(diff_ids)} diff_ids for {len(layers)} layers")
        return diff_ids


@dataclass(frozen=True, slots=True)
class Converted:
    """A graph in its new form, and the content that nobody had before."""

    graph: Graph
    configs: Mapping[Descriptor, bytes] = field(hash=False, repr=False)


def said_compression(media_type: str) -> str | None:
    """By what a layer is compressed, as its media type has it."""
    plain = media_type.removesuffix("+encrypted")
    return next((name for name in ("gzip", "zstd") if plain.endswith(name)), None)


def is_sealed(layer: Descriptor) -> bool:
    """Whether a layer says that it is encrypted."""
    return layer.media_type.endswith("+encrypted")
