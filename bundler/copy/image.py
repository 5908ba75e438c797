"""One image: the request for it, and the graph of manifests to which it is resolved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bundler.copy.resolving.platform_selection import EVERYTHING, PlatformSelection
from bundler.ports import ReportsMirror

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from bundler.copy.signature_requirements import (
        MissingSignatureAction,
        SignatureRequirement,
        VerifiedSignature,
    )
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.platform import Platform
    from bundler.oci.reference import ImageReference
    from bundler.ports import Node, Reference, Source
    from bundler.signature_ports import MetRequirement


@dataclass(frozen=True, slots=True)
class PinnedReferrer:
    """The digest of a referrer, and its tag if it has one."""

    digest: Digest
    tag: str | None = None


ReferrerPolicy = Literal["all", "signatures", "none"] | tuple[PinnedReferrer, ...]
"""The referrers that are copied with an image: all, only signatures, none, or the listed ones."""

SignaturePolicy = Literal["all", "applicable", "images", "none"]
"""The signatures that are copied with an image; ``images``: all but those of indexes;
``applicable``: all but those of an index that the selection of platforms replaces, which are left
behind; ``all``: such an index is an error."""

ForeignLayerPolicy = Literal["fetch", "leave", "fail"]
"""The treatment of a foreign layer that its source does not have: download it from its URLs, copy
the image without it, or fail."""


TagMovedAction = Literal["fail", "warn"]
"""The action if a reference has a tag and a digest, and the tag points to another digest or no
longer exists; ``warn``: emit a warning, and copy the image with the digest."""


@dataclass(frozen=True, slots=True)
class LockedRoot:
    """The record of an image in a lock file."""

    root: Descriptor
    """The root that is copied."""
    replaces: Digest | None
    """The root at the source, if the selection of platforms creates a new one."""
    time: datetime
    """When the image was first resolved to this root, in UTC."""


@dataclass(frozen=True, slots=True)
class ImageRequest:
    """An image to resolve, and the parts of it to copy."""

    source: Reference
    """The reference to read the image from."""
    reference: ImageReference | None = None
    """The full name of the image, independent of ``source``; None if it has none."""
    selection: PlatformSelection = EVERYTHING
    referrers: ReferrerPolicy = "none"
    signatures: SignaturePolicy = "none"
    foreign_layers: ForeignLayerPolicy | None = None
    """The treatment of absent foreign layers; None: leave them, and report them as missing."""
    expected_root: Digest | None = None
    """The digest to which ``source`` must resolve, before platforms are selected."""
    on_tag_moved: TagMovedAction = "fail"
    verify: tuple[SignatureRequirement, ...] = ()
    """The required signatures, all of which the image must have at its source."""
    on_missing: MissingSignatureAction = "fail"
    locked_root: LockedRoot | None = None
    """The record in the lock file, whose root the image must have; None: no lock file."""
    rename: str | None = None
    """The target name, ``path:tag`` or ``path@digest``, from the bundle manifest; None if unset."""
    origin: str = ""
    """``file:line`` of the manifest entry; empty for a request from the command line."""
    policy_reference: str = ""
    """The reference to which a policy applies, with its transport; empty: ``source``."""
    reads_platform: bool = True
    """Read the platform of an image that is not part of an index from its config."""

    display_name: str = field(init=False, compare=False)
    """The name of the image in messages and reports, which identifies it in plans."""

    def __post_init__(self) -> None:
        """Format the display name once."""
        object.__setattr__(self, "display_name", str(self.reference or self.source))


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
    """The tag by which cosign finds the referrer; None: it is found by its ``subject`` field."""


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """An image at its source, without the platforms that are not selected."""

    request: ImageRequest
    source: Source
    """The source, which must stay open until the image is copied."""
    graph: Graph
    replaces: Digest | None = None
    """The root at the source, if the selection of platforms created a new one."""
    missing_platforms: tuple[Platform, ...] = ()
    """The selected platforms for which no image is available; the image is copied without them."""
    referrers: tuple[Referrer, ...] = ()
    left_behind: tuple[str, ...] = ()
    """The tags or digests of the referrers of ``replaces``, which do not apply to the new root, and
    its signatures as ``<algorithm>=<hex>/signature-<n>``."""
    signatures: Mapping[Digest, tuple[bytes, ...]] = field(
        default_factory=dict, hash=False, repr=False
    )
    """The signatures of the manifests in ``graph``, unverified."""
    verdicts: Mapping[Digest, tuple[MetRequirement, ...]] = field(
        default_factory=dict, hash=False, repr=False
    )
    """The requirements of the policy that the manifests meet; empty if no policy was applied."""
    verified: tuple[VerifiedSignature, ...] = ()
    """The signatures that meet the requirements of the request."""
    unverified: tuple[str, ...] = ()
    """Descriptions of the requirements that are not met."""
    foreign_sources: Mapping[Digest, Source] | None = field(default=None, hash=False)
    """The sources of the foreign layers; a layer without a source is not copied. None: unknown, and
    destinations that may omit foreign layers do so."""
    added: Mapping[Digest, Source] = field(default_factory=dict, hash=False, repr=False)
    """The sources of blobs that ``source`` does not have: those of attestations of an export."""

    display_name: str = field(init=False, compare=False, repr=False)
    """The name of the image in messages and reports."""

    def __post_init__(self) -> None:
        """Copy the name from the request."""
        object.__setattr__(self, "display_name", self.request.display_name)

    @property
    def served_by(self) -> str | None:
        """The mirror or rewritten location that served the image; None: none, or unknown."""
        return self.source.served_by if isinstance(self.source, ReportsMirror) else None

    @property
    def graphs(self) -> Iterator[Graph]:
        """The graph of the image, then the graphs of its referrers."""
        yield self.graph
        for referrer in self.referrers:
            yield referrer.graph

    def get_source(self, digest: Digest | None) -> Source:
        """Return the source of a blob other than a foreign layer."""
        return self.source if digest is None else self.added.get(digest, self.source)

    @property
    def foreign_layers(self) -> Iterator[Node]:
        """The foreign layers of the image and its referrers."""
        for graph in self.graphs:
            for node in graph.blobs:
                if node.urls:
                    yield node

    @property
    def absent_layers(self) -> tuple[Node, ...]:
        """The foreign layers that are not copied because they have no source."""
        sources = self.foreign_sources
        if sources is None:
            return ()
        return tuple(node for node in self.foreign_layers if node.digest not in sources)

    @property
    def missing_layers(self) -> tuple[Node, ...]:
        """The absent layers that the request does not leave out."""
        return self.absent_layers if self.request.foreign_layers is None else ()


def find_unique_blobs(images: Sequence[ResolvedImage]) -> dict[Digest, Node]:
    """Return the blobs of ``images`` and their referrers, each once."""
    blobs: dict[Digest, Node] = {}
    for image in images:
        for graph in image.graphs:
            for node in graph.blobs:
                if node.digest is not None:
                    blobs.setdefault(node.digest, node)
    return blobs
