"""The content of an image as a tree: index, manifests, configs, layers, and referrers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bundler.errors import LimitError
from bundler.oci import manifest
from bundler.oci.manifest import ImageManifest, Index, get_artifact_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bundler.copy.image import Graph, ResolvedImage
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import Kind, Manifest

MAX_NODES = 100_000
"""The maximum number of manifests, configs and layers in a tree."""


@dataclass(slots=True)
class ContentNode:
    """A manifest, config or layer, with the content below it."""

    kind: Kind
    descriptor: Descriptor
    artifact_type: str | None = None
    """The type of an artifact; None for an image, an index and a blob."""
    is_index: bool = False
    in_bundle: bool = True
    """False: a manifest of a platform that was left out of a sparse index."""
    children: list[ContentNode] = field(default_factory=list)
    referrers: list[ContentNode] = field(default_factory=list)
    """The artifacts that refer to the manifest."""

    def to_json(self) -> dict[str, Any]:
        """Return the node as JSON, without empty members; sizes in bytes."""
        value: dict[str, Any] = {
            "kind": "index" if self.is_index else self.kind,
            "mediaType": self.descriptor.media_type,
            "digest": self.descriptor.digest.text,
            "size": self.descriptor.size,
        }
        if self.descriptor.platform is not None:
            value["platform"] = str(self.descriptor.platform)
        if self.artifact_type is not None:
            value["artifactType"] = self.artifact_type
        if not self.in_bundle:
            value["present"] = False
        if self.children:
            value["children"] = [child.to_json() for child in self.children]
        if self.referrers:
            value["referrers"] = [referrer.to_json() for referrer in self.referrers]
        return value


def create_tree(image: ResolvedImage) -> ContentNode:
    """Create the tree of an image with its referrers, each below its subject.

    Raises:
        LimitError: the tree is too large.
    """
    builder = _TreeBuilder(image.display_name)
    root = builder.add_graph(image.graph)
    pending = list(image.referrers)
    while pending:
        waiting = []
        for referrer in pending:
            subject = builder.manifests.get(referrer.subject)
            if subject is None:
                waiting.append(referrer)
            else:
                subject.referrers.append(builder.add_graph(referrer.graph))
        if len(waiting) == len(pending):  # their subjects are not part of the image
            root.referrers += [builder.add_graph(referrer.graph) for referrer in waiting]
            break
        pending = waiting
    return root


class _TreeBuilder:
    def __init__(self, label: str) -> None:
        self._label = label
        self._count = 0
        self.manifests: dict[Digest, ContentNode] = {}
        """The first node of each manifest."""

    def add_graph(self, graph: Graph) -> ContentNode:
        """Create the nodes of a graph; return its root."""
        parsed = {
            item.descriptor.digest: manifest.parse(item.raw, item.descriptor.media_type)
            for item in graph.manifests
        }
        return self._add(graph.root, "manifest", parsed)

    def _add(
        self, descriptor: Descriptor, kind: Kind, manifests: Mapping[Digest, Manifest]
    ) -> ContentNode:
        self._count += 1
        if self._count > MAX_NODES:
            raise LimitError(f"{self._label}: too much content (expected at most {MAX_NODES:,})")
        node = ContentNode(kind, descriptor)
        if kind != "manifest":
            return node
        own = manifests.get(descriptor.digest)
        self.manifests.setdefault(descriptor.digest, node)
        if own is None:
            node.in_bundle = False
            return node
        node.is_index = isinstance(own, Index)
        if isinstance(own, ImageManifest) and own.is_artifact:
            node.artifact_type = get_artifact_type(own)
        node.children = [
            self._add(child, child_kind, manifests)
            for child, child_kind in manifest.list_children(own)
        ]
        return node
