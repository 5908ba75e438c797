"""A resolved image: its request, and the graph of manifests below its root."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bundler.ports import ReportsMirror

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bundler.copy.request import ImageRequest
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.platform import Platform
    from bundler.ports import Node, Source


@dataclass(frozen=True, slots=True)
class GraphManifest:
    """A manifest of a graph; at ``depth`` 0 it has no manifests below it."""

    descriptor: Descriptor
    raw: bytes = field(repr=False)
    depth: int


@dataclass(frozen=True, slots=True)
class Graph:
    """A root, all manifests below it (children before parents, each once) and their blobs."""

    root: Descriptor
    manifests: tuple[GraphManifest, ...]
    blobs: tuple[Node, ...]
    platforms: tuple[Platform, ...]


@dataclass(frozen=True, slots=True)
class Referrer:
    """A manifest that refers to ``subject``, by its field of that name or by cosign's tag."""

    graph: Graph
    subject: Digest
    tag: str | None


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """An image as it is at its source, reduced to the platforms that the request selects."""

    request: ImageRequest
    source: Source
    """Open until the images of the run are copied."""
    graph: Graph
    replaces: Digest | None
    """The root at the source, if selecting platforms created another one."""
    referrers: tuple[Referrer, ...]
    left_behind: tuple[str, ...] = ()
    """Referrers of ``replaces``, by tag or digest, which do not apply to the new root."""
    signatures: Mapping[Digest, tuple[bytes, ...]] = field(
        default_factory=dict, hash=False, repr=False
    )
    """Signatures stored beside the manifests of ``graph``, unverified."""

    @property
    def label(self) -> str:
        """The name of the image in messages and reports."""
        return self.request.label

    @property
    def served_by(self) -> str | None:
        """The mirror that served the image; None: the source itself, or unknown."""
        return self.source.served_by if isinstance(self.source, ReportsMirror) else None

    @property
    def graphs(self) -> Iterator[Graph]:
        """The image's own graph, then those of its referrers."""
        yield self.graph
        for referrer in self.referrers:
            yield referrer.graph


def find_unique_blobs(images: Sequence[ResolvedImage]) -> dict[Digest, Node]:
    """Return the blobs of ``images`` and their referrers, each once."""
    blobs: dict[Digest, Node] = {}
    for image in images:
        for graph in image.graphs:
            for node in graph.blobs:
                if node.digest is not None:
                    blobs.setdefault(node.digest, node)
    return blobs
