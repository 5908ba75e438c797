"""An image as it was found: what was wished for, and all manifests below one root."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bundler.copy.platform_selection import EVERYTHING, Selection

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.platform import Platform
    from bundler.ports import Node, Source


@dataclass(frozen=True, slots=True)
class Wish:
    """One image to resolve: ``name`` as ``source`` knows it, ``label`` as messages call it."""

    source: Source
    name: str | None
    label: str
    selection: Selection = EVERYTHING
    referrers: bool = False
    pin: Digest | None = None
    """What ``name`` must stand for, before platforms are chosen."""
    known_referrers: tuple[tuple[Digest, str | None], ...] | None = None
    """Exactly these referrers, each with its tag if it has one; None: whatever there is."""
    signatures: Literal["all", "images", "none"] = "none"
    """Which of the signatures that lie beside manifests are wanted; ``images``: not a list's."""
    tells_platform: bool = True
    """Whether an image that is in no index is to say where it runs, though any would do."""


@dataclass(frozen=True, slots=True)
class GraphManifest:
    """A manifest of a graph; ``depth`` 0 has no manifests below it."""

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
    """Something that refers to ``subject``, by its subject member or by cosign's tag."""

    graph: Graph
    subject: Digest
    tag: str | None


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """A resolved wish: what travels, and what it was before platforms were stripped."""

    wish: Wish
    graph: Graph
    replaces: Digest | None
    referrers: tuple[Referrer, ...]
    left_behind: tuple[str, ...] = ()
    """What refers to ``replaces``, by tag or digest: it says nothing of what travels instead."""
    signatures: Mapping[Digest, tuple[bytes, ...]] = field(
        default_factory=dict, hash=False, repr=False
    )
    """What lies beside the manifests of ``graph``, as it is stored and unverified."""

    @property
    def graphs(self) -> Iterator[Graph]:
        """The image's own graph, then those of its referrers."""
        yield self.graph
        for referrer in self.referrers:
            yield referrer.graph


def unique_blobs(images: Sequence[ResolvedImage]) -> dict[Digest, Node]:
    """Every blob of ``images`` and their referrers, each once."""
    blobs: dict[Digest, Node] = {}
    for image in images:
        for graph in image.graphs:
            for node in graph.blobs:
                if node.digest is not None:
                    blobs.setdefault(node.digest, node)
    return blobs
