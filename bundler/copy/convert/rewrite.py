"""Write an image's manifests, and the configs that change with them, after its layers arrived."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bundler.copy.convert.conversion_plan import ConvertedGraph, is_encrypted, parse_compression
from bundler.copy.graph import Graph, GraphManifest
from bundler.oci import conversion, manifest, media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import ImageManifest, Index
from bundler.oci.manifest_digest import manifest_digest
from bundler.oci.schema1 import manifest as schema1
from bundler.oci.schema1.manifest import Schema1
from bundler.ports import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from bundler.copy.convert.conversion_plan import ConversionPlan, ImageConversion
    from bundler.copy.convert.options import ConvertedLayer, LayerChange, LayerConversion
    from bundler.oci.reference import ImageReference


def rewrite_graph(
    graph: Graph,
    recipe: ConversionPlan,
    made: Callable[[LayerChange], ConvertedLayer],
    label: str,
    name: ImageReference | None = None,
) -> ConvertedGraph:
    """Write the manifests of ``graph`` anew, after ``recipe``.

    Args:
        graph: what ``recipe`` was decided for.
        recipe: with all of its configs.
        made: what arrived in place of a layer.
        label: how messages name the image.
        name: what it will be called, which manifests of schema 1 tell; None: nothing.

    Raises:
        CannotConvertError: what arrived does not fit into manifests of the type.
    """
    return _Rewriter(recipe, made, label, name).graph(graph)


class _Rewriter:
    """Writes one graph anew, children before parents."""

    def __init__(
        self,
        recipe: ConversionPlan,
        made: Callable[[LayerChange], ConvertedLayer],
        label: str,
        name: ImageReference | None,
    ) -> None:
        self._recipe = recipe
        self._made = {
            (change.layer.digest, change.conversion): made(change)
            for change in recipe.find_layer_changes()
        }
        self._label = label
        self._name = "" if name is None else name.path
        self._tag = "" if name is None else name.tag or ""
        self._replaced: dict[Digest, Descriptor] = {}
        self._written: dict[Node, bytes] = {}
        self._blobs: dict[Digest, Node] = {}

    def graph(self, graph: Graph) -> ConvertedGraph:
        """The new graph."""
        items = tuple(self._item(item) for item in graph.manifests)
        root = self._replaced.get(graph.root.digest, graph.root)
        new = Graph(
            replace(root, platform=graph.root.platform, annotations=graph.root.annotations),
            items,
            tuple(self._blobs.values()),
            graph.platforms,
        )
        return ConvertedGraph(new, self._written)

    def _item(self, item: GraphManifest) -> GraphManifest:
        digest = item.descriptor.digest
        recipe = self._recipe.images.get(digest)
        if recipe is not None:
            raw, media_type = self._image(recipe), recipe.media_type
        else:
            what = f"{self._label}: manifest {digest}"
            parsed = manifest.parse(item.raw, item.descriptor.media_type, subject=what)
            if isinstance(parsed, Index):
                raw, media_type = self._index(parsed)
            else:
                raw, media_type = item.raw, item.descriptor.media_type
        if media_type in media_types.SCHEMA1:
            named = manifest_digest(raw, subject=self._label)
        else:
            named = Digest.of(raw)
        new = replace(item.descriptor, media_type=media_type, digest=named, size=len(raw))
        if raw == item.raw:
            new = item.descriptor
        self._replaced[digest] = new
        for child, kind in _blob_children(raw, media_type):
            self._blobs.setdefault(child.digest, Node.of(child, kind))
        return GraphManifest(new, raw, item.depth)

    def _image(self, recipe: ImageConversion) -> bytes:
        if recipe.media_type in media_types.SCHEMA1:
            return self._to_schema1(recipe)
        layers = self._layers(recipe, recipe.media_type)
        if isinstance(recipe.parsed, Schema1):
            return self._from_schema1(recipe, recipe.parsed, layers)
        parsed = recipe.parsed
        if recipe.changes_type:
            config = self._write(self._recipe.configs[parsed.config.digest], recipe.media_type)
            return _manifest(parsed, config, layers, recipe.media_type)
        if layers == list(parsed.layers):
            return parsed.raw
        return conversion.same_manifest(parsed, parsed.config, layers)

    def _from_schema1(
        self, recipe: ImageConversion, parsed: Schema1, layers: list[Descriptor]
    ) -> bytes:
        """Its config is made of its history, and of what its layers turned out to be."""
        made = [
            self._made[one.blob, how] for one, how in _treated(parsed, recipe.layer_conversions)
        ]
        diff_ids = [one.diff_id for one in made if one.diff_id is not None]
        config = schema1.to_config(parsed, diff_ids, subject=self._label)
        return _manifest(parsed, self._write(config, recipe.media_type), layers, recipe.media_type)

    def _to_schema1(self, recipe: ImageConversion) -> bytes:
        from bundler.oci.schema1.signature import sign  # noqa: PLC0415 - hardly ever needed

        parsed = recipe.parsed
        if isinstance(parsed, Schema1):
            return sign(schema1.renamed(parsed, name=self._name, tag=self._tag or parsed.tag))
        layers = self._layers(recipe, media_types.DOCKER_MANIFEST)
        raw = self._recipe.configs[parsed.config.digest]
        config = conversion.to_docker_config(raw, subject=self._label)
        digests = [layer.digest for layer in layers]
        made = schema1.from_config(
            config, digests, name=self._name, tag=self._tag, subject=self._label
        )
        if schema1.EMPTY_LAYER_DIGEST.text.encode() in made:
            empty, kind = schema1.EMPTY_LAYER, media_types.DOCKER_LAYER_GZIP
            digest = schema1.EMPTY_LAYER_DIGEST
            self._written[Node("layer", kind, digest, len(empty))] = empty
        return sign(made)

    def _write(self, config: bytes, manifest_type: str) -> Descriptor:
        """A config for a manifest of another type, which has to be pushed."""
        if manifest_type == media_types.OCI_MANIFEST:
            new = conversion.to_oci_config(config, subject=self._label)
            media_type = media_types.OCI_CONFIG
        else:
            new = conversion.to_docker_config(config, subject=self._label)
            media_type = media_types.DOCKER_CONFIG
        descriptor = Descriptor(media_type, Digest.of(new), len(new))
        self._written[Node.of(descriptor, "config")] = new
        return descriptor

    def _layers(self, recipe: ImageConversion, manifest_type: str) -> list[Descriptor]:
        return [
            self._layer(layer, treatment, manifest_type)
            for layer, treatment in zip(recipe.layers, recipe.layer_conversions, strict=True)
        ]

    def _layer(
        self, layer: Descriptor, treatment: LayerConversion | None, manifest_type: str
    ) -> Descriptor:
        arrived = layer
        if treatment is None:
            compression, sealed = parse_compression(layer.media_type), is_encrypted(layer)
        else:
            made = self._made[layer.digest, treatment]
            arrived, compression, sealed = made.descriptor, made.compression, made.encrypted
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
        media_type = self._recipe.index_type or parsed.media_type
        if media_type == parsed.media_type and children == list(parsed.manifests):
            return parsed.raw, media_type
        if media_type == media_types.OCI_INDEX:
            return conversion.to_oci_index(parsed, children), media_type
        return conversion.to_docker_list(parsed, children), media_type


def _manifest(
    parsed: ImageManifest | Schema1,
    config: Descriptor,
    layers: Sequence[Descriptor],
    media_type: str,
) -> bytes:
    """A manifest of another type than ``parsed``."""
    if media_type == media_types.DOCKER_MANIFEST:
        return conversion.to_docker_manifest(parsed, config, layers)
    return conversion.to_oci_manifest(parsed, config, layers)


def _treated(
    parsed: Schema1, treatments: Iterable[LayerConversion | None]
) -> Iterator[tuple[schema1.Entry, LayerConversion]]:
    for entry, treatment in zip(parsed.layers, treatments, strict=True):
        if treatment is not None:
            yield entry, treatment


def _blob_children(raw: bytes, media_type: str) -> Iterator[tuple[Descriptor, manifest.Kind]]:
    for child, kind in manifest.children(manifest.parse(raw, media_type)):
        if kind != "manifest":
            yield child, kind
