"""Rewrite the manifests and configs of an image after the conversion of its layers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bundler.copy.convert.conversion_plan import is_encrypted, parse_compression
from bundler.copy.image import Graph, GraphManifest
from bundler.oci import conversion, manifest, media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import Index, Schema1, compute_manifest_digest
from bundler.oci.schema1 import manifest as schema1
from bundler.ports import Node

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.copy.convert.conversion_plan import (
        ConversionPlan,
        ConvertedLayer,
        ImageConversion,
        LayerChange,
    )
    from bundler.oci.reference import ImageReference


def rewrite_graph(
    graph: Graph,
    plan: ConversionPlan,
    find_converted: Callable[[LayerChange], ConvertedLayer],
    label: str,
    name: ImageReference | None = None,
) -> tuple[Graph, dict[Node, bytes]]:
    """Rewrite the manifests of ``graph``, children before parents.

    Also returns the blobs that the conversion created, such as configs, with their content; they
    are pushed before the manifests.

    ``find_converted`` returns the converted layer for a conversion in the plan. ``label`` is the
    name of the image in messages, ``name`` its target name for schema 1 manifests; None: an empty
    name.

    Raises:
        CannotConvertError: a layer cannot be described in a manifest of the new type.
    """
    rewriter = _Rewriter(plan, find_converted, label, name)
    manifests = tuple(rewriter.rewrite_manifest(item) for item in graph.manifests)
    root = rewriter.replaced.get(graph.root.digest, graph.root)
    new = Graph(
        replace(root, platform=graph.root.platform, annotations=graph.root.annotations),
        manifests,
        tuple(rewriter.blobs.values()),
        graph.platforms,
    )
    return new, rewriter.new_content


class _Rewriter:
    """Rewrites the manifests of one graph, and collects their blobs."""

    def __init__(
        self,
        plan: ConversionPlan,
        find_converted: Callable[[LayerChange], ConvertedLayer],
        label: str,
        name: ImageReference | None,
    ) -> None:
        self._plan = plan
        self._converted = {
            (change.layer.digest, change.conversion): find_converted(change)
            for change in plan.find_layer_changes()
        }
        self._label = label
        self._name = "" if name is None else name.path
        self._tag = "" if name is None else name.tag or ""
        self.replaced: dict[Digest, Descriptor] = {}
        """The new descriptor of each manifest, by the original digest."""
        self.new_content: dict[Node, bytes] = {}
        """New blobs, such as configs."""
        self.blobs: dict[Digest, Node] = {}
        """All blobs of the new manifests."""

    def rewrite_manifest(self, item: GraphManifest) -> GraphManifest:
        """Return the rewritten manifest; its children must be rewritten first."""
        digest = item.descriptor.digest
        raw, media_type = item.raw, item.descriptor.media_type
        image = self._plan.images.get(digest)
        if image is not None:
            raw, media_type = self._rewrite_image(image), image.media_type
        else:
            subject = f"{self._label}: manifest {digest}"
            parsed = manifest.parse(raw, media_type, subject=subject)
            if isinstance(parsed, Index):
                children = []
                for child in parsed.manifests:
                    known = self.replaced.get(child.digest, child)
                    media_type, size = known.media_type, known.size
                    children.append(
                        replace(child, media_type=media_type, digest=known.digest, size=size)
                    )
                media_type = self._plan.index_type or parsed.media_type
                if media_type != parsed.media_type or children != list(parsed.manifests):
                    is_oci = media_type == media_types.OCI_INDEX
                    convert = conversion.to_oci_index if is_oci else conversion.to_docker_list
                    raw = convert(parsed, children)
        new = item.descriptor
        if raw != item.raw:
            signed = media_type in media_types.SCHEMA1
            new_digest = (
                compute_manifest_digest(raw, subject=self._label) if signed else Digest.of(raw)
            )
            new = replace(new, media_type=media_type, digest=new_digest, size=len(raw))
        self.replaced[digest] = new
        for child, kind in manifest.list_children(manifest.parse(raw, media_type)):
            if kind != "manifest":
                self.blobs.setdefault(child.digest, Node.of(child, kind))
        return GraphManifest(new, raw, item.depth)

    def _rewrite_image(self, image: ImageConversion) -> bytes:
        if image.media_type in media_types.SCHEMA1:
            return self._create_schema1(image)
        parsed, media_type = image.parsed, image.media_type
        layers = self._rewrite_layers(image, media_type)
        if isinstance(parsed, Schema1):
            # The config is created from the history and the diff IDs of the converted layers.
            diff_ids = []
            for entry, layer_conversion in zip(parsed.layers, image.layer_conversions, strict=True):
                if layer_conversion is not None:
                    diff_id = self._converted[entry.blob, layer_conversion].diff_id
                    if diff_id is not None:
                        diff_ids.append(diff_id)
            raw_config = schema1.to_config(parsed, diff_ids, subject=self._label)
        elif image.changes_type:
            raw_config = self._plan.configs[parsed.config.digest]
        elif layers == list(parsed.layers):
            return parsed.raw
        else:
            return conversion.replace_layers(parsed, parsed.config, layers)
        if media_type == media_types.OCI_MANIFEST:
            raw_config = conversion.to_oci_config(raw_config, subject=self._label)
            config_type, create = media_types.OCI_CONFIG, conversion.to_oci_manifest
        else:
            raw_config = conversion.to_docker_config(raw_config, subject=self._label)
            config_type, create = media_types.DOCKER_CONFIG, conversion.to_docker_manifest
        config = Descriptor(config_type, Digest.of(raw_config), len(raw_config))
        self.new_content[Node.of(config, "config")] = raw_config
        return create(parsed, config, layers)

    def _create_schema1(self, image: ImageConversion) -> bytes:
        from bundler.oci.schema1.signature import sign  # noqa: PLC0415 - rarely needed

        parsed = image.parsed
        if isinstance(parsed, Schema1):
            return sign(schema1.rename(parsed, name=self._name, tag=self._tag or parsed.tag))
        layers = self._rewrite_layers(image, media_types.DOCKER_MANIFEST)
        config = conversion.to_docker_config(
            self._plan.configs[parsed.config.digest], subject=self._label
        )
        digests = [layer.digest for layer in layers]
        unsigned = schema1.from_config(
            config, digests, name=self._name, tag=self._tag, subject=self._label
        )
        if schema1.EMPTY_LAYER_DIGEST.text.encode() in unsigned:
            empty, media_type = schema1.EMPTY_LAYER, media_types.DOCKER_LAYER_GZIP
            node = Node("layer", media_type, schema1.EMPTY_LAYER_DIGEST, len(empty))
            self.new_content[node] = empty
        return sign(unsigned)

    def _rewrite_layers(self, image: ImageConversion, manifest_type: str) -> list[Descriptor]:
        layers = []
        for layer, layer_conversion in zip(image.layers, image.layer_conversions, strict=True):
            new = layer
            if layer_conversion is None:
                compression = parse_compression(layer.media_type)
                encrypted = is_encrypted(layer)
            else:
                converted = self._converted[layer.digest, layer_conversion]
                new, compression = converted.descriptor, converted.compression
                encrypted = converted.encrypted
            media_type = media_types.convert_layer_type(
                layer.media_type, manifest_type, compression
            )
            if encrypted:
                media_type = f"{media_type}+encrypted"
            layers.append(replace(new, media_type=media_type))
        return layers
