"""Write an image's manifests, and the configs that change with them, after its layers arrived."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bundler.copy.recipe import Converted, is_sealed, said_compression
from bundler.copy.resolve import Graph, GraphManifest
from bundler.oci import conversion, manifest, media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import Index
from bundler.ports import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bundler.copy.changes import LayerChange, Made, Treatment
    from bundler.copy.recipe import ImageRecipe, Recipe


def apply(
    graph: Graph, recipe: Recipe, made: Callable[[LayerChange], Made], label: str
) -> Converted:
    """Write the manifests of ``graph`` anew, after ``recipe``.

    Args:
        graph: what ``recipe`` was decided for.
        recipe: with all of its configs.
        made: what arrived in place of a layer.
        label: how messages name the image.

    Raises:
        CannotConvertError: what arrived does not fit into manifests of the type.
    """
    return _Applying(recipe, made, label).graph(graph)


class _Applying:
    """Writes one graph anew, children before parents."""

    def __init__(self, recipe: Recipe, made: Callable[[LayerChange], Made], label: str) -> None:
        self._recipe = recipe
        self._made = {
            (change.layer.digest, change.treatment): made(change)
            for change in recipe.layer_changes()
        }
        self._label = label
        self._replaced: dict[Digest, Descriptor] = {}
        self._configs: dict[Descriptor, bytes] = {}
        self._blobs: dict[Digest, Node] = {}

    def graph(self, graph: Graph) -> Converted:
        """The new graph."""
        items = tuple(self._item(item) for item in graph.manifests)
        root = self._replaced.get(graph.root.digest, graph.root)
        new = Graph(
            replace(root, platform=graph.root.platform, annotations=graph.root.annotations),
            items,
            tuple(self._blobs.values()),
            graph.platforms,
        )
        return Converted(new, self._configs)

    def _item(self, item: GraphManifest) -> GraphManifest:
        digest = item.descriptor.digest
        recipe = self._recipe.images.get(digest)
        if recipe is not None:
            raw, media_type = self._image(recipe), recipe.media_type
        else:
            what = f"{self._label}: manifest {digest}"
            parsed = manifest.parse(item.raw, item.descriptor.media_type, what=what)
            if isinstance(parsed, Index):
                raw, media_type = self._index(parsed)
            else:
                raw, media_type = item.raw, item.descriptor.media_type
        new = replace(item.descriptor, media_type=media_type, digest=Digest.of(raw), size=len(raw))
        if raw == item.raw:
            new = item.descriptor
        self._replaced[digest] = new
        for child, kind in _blob_children(raw, media_type):
            self._blobs.setdefault(child.digest, Node.of(child, kind))
        return GraphManifest(new, raw, item.depth)

    def _image(self, recipe: ImageRecipe) -> bytes:
        parsed = recipe.parsed
        layers = [
            self._layer(layer, treatment, recipe.media_type)
            for layer, treatment in zip(parsed.layers, recipe.treatments, strict=True)
        ]
        config = parsed.config
        if recipe.rewrites_config:
            config = self._config(recipe)
            if recipe.media_type == media_types.OCI_MANIFEST:
                return conversion.to_oci_manifest(parsed, config, layers)
            return conversion.to_docker_manifest(parsed, config, layers)
        if layers == list(parsed.layers):
            return parsed.raw
        return conversion.same_manifest(parsed, config, layers)

    def _config(self, recipe: ImageRecipe) -> Descriptor:
        old = recipe.parsed.config
        raw, what = self._recipe.configs[old.digest], f"{self._label}: config {old.digest}"
        if recipe.media_type == media_types.OCI_MANIFEST:
            new, media_type = conversion.to_oci_config(raw, what=what), media_types.OCI_CONFIG
        else:
            new, media_type = conversion.to_docker_config(raw, what=what), media_types.DOCKER_CONFIG
        descriptor = Descriptor(media_type, Digest.of(new), len(new))
        self._configs[descriptor] = new
        return descriptor

    def _layer(
        self, layer: Descriptor, treatment: Treatment | None, manifest_type: str
    ) -> Descriptor:
        arrived = layer
        if treatment is None:
            compression, sealed = said_compression(layer.media_type), is_sealed(layer)
        else:
            made = self._made[layer.digest, treatment]
            arrived, compression, sealed = made.descriptor, made.compression, made.sealed
        media_type = conversion.layer_media_type(layer.media_type, manifest_type, compression)
        return replace(arrived, media_type=f"{media_type}+encrypted" if sealed else media_type)

    def _index(self, parsed: Index) -> tuple[bytes, str]:
        children = [
            replace(
                child,
                media_type=new.media_type,
                digest=new.digest,
                size=new.size,
            )
            for child in parsed.manifests
            for new in [self._replaced.get(child.digest, child)]
        ]
        media_type = self._recipe.list_type or parsed.media_type
        if media_type == parsed.media_type and children == list(parsed.manifests):
            return parsed.raw, media_type
        if media_type == media_types.OCI_INDEX:
            return conversion.to_oci_index(parsed, children), media_type
        return conversion.to_docker_list(parsed, children), media_type


def _blob_children(raw: bytes, media_type: str) -> Iterator[tuple[Descriptor, manifest.Kind]]:
    for child, kind in manifest.children(manifest.parse(raw, media_type)):
        if kind != "manifest":
            yield child, kind
