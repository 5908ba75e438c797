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
    """A manifest of a graph."""

    descriptor: Descriptor
    raw: bytes = field(repr=False)
    depth: int
    """The number of levels of manifests below this one; 0 for the manifest of an image."""


@dataclass(frozen=True, slots=True)
class Graph:
    """A root with all manifests and blobs below it, each once."""

    root: Descriptor
    manifests: tuple[GraphManifest, ...]
    """Children before parents; the root is the last."""
    blobs: tuple[Node, ...]
    platforms: tuple[Platform, ...]


@dataclass(frozen=True, slots=True)
class Referrer:
    """A referrer of the manifest ``subject``."""

    graph: Graph
    subject: Digest
    tag: str | None
    """The tag by which cosign finds the referrer; None: by the field ``subject``."""


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """An image at its source, without the platforms that are not selected."""

    request: ImageRequest
    source: Source
    """The source, which must stay open until the image is copied."""
    graph: Graph
    replaces: Digest | None
    """The root at the source, if the selection of platforms created a new one."""
    referrers: tuple[Referrer, ...]
    left_behind: tuple[str, ...] = ()
    """The tags or digests of the referrers of ``replaces``, which do not apply to the new root."""
    signatures: Mapping[Digest, tuple[bytes, ...]] = field(
        default_factory=dict, hash=False, repr=False
    )
    """The simple signatures of the manifests in ``graph``, unverified."""

    @property
    def label(self) -> str:
        """The name of the image in messages and reports."""
        return self.request.label

    @property
    def served_by(self) -> str | None:
        """The mirror that served the image; None: no mirror, or unknown."""
        return self.source.served_by if isinstance(self.source, ReportsMirror) else None

    @property
    def graphs(self) -> Iterator[Graph]:
        """The graph of the image, then the graphs of its referrers."""
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
