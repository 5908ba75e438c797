"""Read the graphs of the images of a bundle from the medium: the files that each image needs.

A manifest is parsed only if its bytes match its digest. If a manifest cannot be read, the problem
is recorded, and the other manifests are still read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, TypeAlias

from bundler.bundle.format.files import bundle_paths
from bundler.bundle.format.inventory import absent_layers
from bundler.bundle.format.inventory.omissions import Omissions
from bundler.errors import BundlerError, LimitError, NotFoundError
from bundler.oci import manifest, media_types

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from bundler.bundle.format.inventory.inventory import BundledImage, Format
    from bundler.bundle.format.reading.files import BundleFiles
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import Kind, Visit

MAX_DEPTH = 8
MAX_NODES = 500_000
"""The limit for all images together; shared content counts once for each image."""


@dataclass(frozen=True, slots=True)
class StoredNode:
    """A manifest, config or layer of an image, and its path in the bundle."""

    path: str
    kind: Kind
    descriptor: Descriptor
    required: bool
    """False: it may be absent (a foreign layer, or a manifest of a sparse index)."""


StoredGraph: TypeAlias = tuple[StoredNode, ...]
"""The content below a root, each path once, parents before children. Unlike ``copy.image.Graph``
it contains paths, and manifests are not held in memory."""


@dataclass(frozen=True, slots=True)
class StoredGraphs:
    """The images of a bundle, each with its own graph and those of its referrers."""

    images: tuple[tuple[BundledImage, tuple[StoredGraph, ...]], ...]
    problems: dict[str, BundlerError]
    """The errors of manifests and configs that cannot be read, by path."""
    verified: dict[str, Digest]
    """The digests of the files that were read and match them, by path."""

    def find_omissions(self, present: Container[str]) -> Omissions:
        """Return the omissions of the images; ``present`` contains the paths of existing files."""
        layers: list[tuple[str, Descriptor]] = []
        for image, graphs in self.images:
            absent = [
                node.descriptor
                for node in chain.from_iterable(graphs)
                if node.kind == "layer" and not node.required and node.path not in present
            ]
            name = str(image.reference)
            layers += [(name, layer) for layer in absent_layers.from_descriptors(absent)]
        referrers = Omissions.of(image for image, _ in self.images).referrers
        return Omissions(tuple(layers), referrers)


def read_graphs(
    bundle: BundleFiles,
    bundle_format: Format,
    images: Iterable[BundledImage],
    *,
    with_configs: bool = False,
) -> StoredGraphs:
    """Read the graphs of ``images``: their manifests.

    ``with_configs`` also parses the configs that an import parses, to find malformed ones.

    Raises:
        LimitError: the images have more content than a bundle may have.
    """
    reader = _GraphReader(bundle, bundle_format)
    graphs = tuple(
        (
            image,
            (
                reader.get_graph(image.root, sparse=image.index == "sparse"),
                *(reader.get_graph(referrer.root) for referrer in image.referrers),
            ),
        )
        for image in images
    )
    if with_configs:
        for _, (graph, *_) in graphs:
            reader.check_config(graph)
    return StoredGraphs(graphs, reader.problems, reader.verified)


@dataclass(slots=True)
class _GraphReader:
    bundle: BundleFiles
    bundle_format: Format
    problems: dict[str, BundlerError] = field(default_factory=dict)
    verified: dict[str, Digest] = field(default_factory=dict)
    _children: dict[Digest, tuple[tuple[Descriptor, Kind], ...]] = field(default_factory=dict)
    _graphs: dict[tuple[Digest, str, int, bool], StoredGraph] = field(default_factory=dict)
    _count: int = 0

    def get_graph(self, root: Descriptor, *, sparse: bool = False) -> StoredGraph:
        """Return the graph of ``root``; images with the same root share it."""
        key = (root.digest, root.media_type, root.size, sparse)
        graph = self._graphs.get(key)
        if graph is None:
            graph = self._graphs[key] = self.read_graph(root, sparse=sparse)
        self._count += len(graph)
        if self._count > MAX_NODES:
            raise LimitError(
                f"{self.bundle.location}: too many manifests, configs and layers"
                f" (expected at most {MAX_NODES:,} in all images)"
            )
        return graph

    def check_config(self, graph: StoredGraph) -> None:
        """Parse the config of an image that is no index: an import reads the platform from it.

        A file with another digest is reported when it is hashed.
        """
        config = next((node for node in graph if node.kind == "config"), None)
        if (
            config is None
            or graph[0].descriptor.media_type in media_types.INDEXES
            or config.descriptor.media_type not in media_types.IMAGE_CONFIGS
            or config.path in self.problems
        ):
            return
        try:
            raw = self.bundle.read(config.path, manifest.MAX_MANIFEST)
            if config.descriptor.digest.matches(raw):
                self.verified[config.path] = config.descriptor.digest
                manifest.ImageConfig.parse(raw, subject=config.path)
        except NotFoundError:
            pass  # reported as missing
        except BundlerError as error:
            self.problems[config.path] = error.without_traceback()

    def read_graph(self, root: Descriptor, *, sparse: bool) -> StoredGraph:
        def create_node(visit: Visit) -> StoredNode:
            descriptor, kind, depth = visit
            is_manifest = kind == "manifest"
            path = bundle_paths.find_path(
                self.bundle_format, root.digest, descriptor.digest, manifest=is_manifest
            )
            stripped = sparse and depth > 0 and is_manifest
            foreign = media_types.is_foreign(descriptor.media_type, descriptor.urls)
            return StoredNode(path, kind, descriptor, required=not stripped and not foreign)

        def list_children(visit: Visit) -> tuple[tuple[Descriptor, Kind], ...]:
            digest = visit.descriptor.digest
            if digest not in self._children:
                node = create_node(visit)
                self._children[digest] = ()
                try:
                    self._children[digest] = self.read_children(node, visit.depth)
                except NotFoundError as error:
                    if node.required:
                        self.problems[node.path] = error.without_traceback()
                except BundlerError as error:
                    self.problems[node.path] = error.without_traceback()
            return self._children[digest]

        nodes: dict[str, StoredNode] = {}
        for visit in manifest.walk([root], list_children):
            node = create_node(visit)
            known = nodes.setdefault(node.path, node)
            if node.required and not known.required:
                nodes[node.path] = node
            if len(nodes) > MAX_NODES:
                raise LimitError(
                    f"{root.digest}: too many manifests, configs and layers"
                    f" (expected at most {MAX_NODES:,})"
                )
        return tuple(nodes.values())

    def read_children(self, node: StoredNode, depth: int) -> tuple[tuple[Descriptor, Kind], ...]:
        """Return the content that a manifest lists; its subject is not included."""
        if depth > MAX_DEPTH:
            raise LimitError(
                f"{node.path}: nested too deeply (expected at most {MAX_DEPTH} levels)"
            )
        raw = self.bundle.read(node.path, manifest.MAX_MANIFEST)
        node.descriptor.digest.verify(raw, node.path)
        self.verified[node.path] = node.descriptor.digest
        parsed = manifest.parse(raw, node.descriptor.media_type, subject=node.path)
        return manifest.list_children(parsed)
