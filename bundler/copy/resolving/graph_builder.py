"""Build the graph of an image from its manifests, each of which is checked by the policy.

An index is parsed to find its images, and the policy checks these. It checks the index itself only
if the index refers to anything else, or to nothing that is copied.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from bundler.copy.image import GraphManifest
from bundler.copy.resolving.fetch import MAX_DEPTH, fetch
from bundler.copy.resolving.platform_selection import EVERYTHING, PlatformSelection, select_children
from bundler.errors import (
    BundlerError,
    CancelledError,
    LimitError,
    MalformedError,
    NotFoundError,
    RejectedByPolicyError,
    SparseIndexError,
)
from bundler.oci import manifest
from bundler.oci.manifest import Index, Manifest, Schema1
from bundler.ports import Node

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.platform import Platform
    from bundler.ports import Source

_MAX_PROBES = 32
"""Maximum number of entries of a sparse index that are read to find those that exist."""


class ManifestReader(Protocol):
    """Reads manifests, each of which is verified and, if it is an image, accepted."""

    def read(self, descriptor: Descriptor, *, is_referrer: bool = False) -> ReadManifest:
        """Return a verified manifest; that of an image is also accepted by the policy."""

    def check(self, item: ReadManifest) -> None:
        """Check a manifest, unless the policy has already accepted it."""


class ReadManifest:
    """A verified manifest, which is parsed when it is first used."""

    def __init__(
        self,
        descriptor: Descriptor,
        raw: bytes,
        label: str,
        check: Callable[[ReadManifest], None] | None,
    ) -> None:
        self.descriptor = descriptor
        self.raw = raw
        self._label = label
        self._check = check

    @property
    def is_referrer(self) -> bool:
        """Whether it is a referrer, which no policy applies to."""
        return self._check is None

    @cached_property
    def parsed(self) -> Manifest:
        """The parsed manifest; the descriptor gets the media type that the manifest states."""
        subject = f"{self._label}: manifest {self.descriptor.digest.text}"
        parsed = manifest.parse(self.raw, self.descriptor.media_type, subject=subject)
        if parsed.media_type != self.descriptor.media_type:
            self.descriptor = replace(self.descriptor, media_type=parsed.media_type)
        if self._check is not None and not isinstance(parsed, Index):
            self._check(self)  # its descriptor may have stated the type of an index
        return parsed

    def read_platform(self, source: Source) -> Platform | None:
        """Read the platform of an image from its config; None for an artifact, or if unset."""
        if isinstance(self.parsed, Schema1):
            from bundler.oci.schema1 import manifest as schema1  # noqa: PLC0415 - rarely needed

            return schema1.read_platform(self.parsed, subject=self._label)
        if isinstance(self.parsed, Index) or self.parsed.is_artifact:
            return None
        config = self.parsed.config
        raw = fetch(source, config, self._label, kind="config")
        subject = f"{self._label}: config {config.digest.text}"
        platform = manifest.ImageConfig.parse(raw, subject=subject).platform
        return platform if platform.os or platform.architecture else None


class GraphBuilder:
    """Collects the manifests and blobs of one graph, depth first, each once."""

    def __init__(self, reader: ManifestReader, label: str, *, is_referrer: bool) -> None:
        self._reader = reader
        self._label = label
        self._is_referrer = is_referrer
        self.manifests: dict[Digest, GraphManifest] = {}
        self.blobs: dict[Digest, Node] = {}
        self.platforms: dict[Platform, None] = {}

    def visit(self, item: ReadManifest, selection: PlatformSelection, level: int) -> int:
        """Add a manifest after its children, and return its depth in the graph."""
        parsed = item.parsed
        descriptor = item.descriptor
        known = self.manifests.get(descriptor.digest)
        if known is not None:
            if known.descriptor.media_type != descriptor.media_type:
                raise MalformedError(
                    f"{self._label}: {descriptor.digest} has two media types:"
                    f" {known.descriptor.media_type} and {descriptor.media_type}"
                )
            return known.depth
        depth = 0
        if isinstance(parsed, Index):
            children = select_children(parsed, selection, self._label)
            kinds = {manifest.get_child_kind(child) for child in children}
            if kinds != {"manifest"} and not self._is_referrer:
                self._reader.check(item)  # no image is checked in its place
            for number, child in enumerate(children, 1):
                if child.platform is not None and child.platform.os not in ("", "unknown"):
                    self.platforms[child.platform] = None
                kind = manifest.get_child_kind(child)
                if kind != "manifest":
                    self._add_blob(Node.of(child, kind))
                    continue
                if level >= MAX_DEPTH:
                    raise LimitError(
                        f"{self._label}: indexes nested too deeply"
                        f" (expected at most {MAX_DEPTH} levels)"
                    )
                position = (number, len(children)) if level == 0 else None
                with mark_rejection(position=position):
                    found = read_child(
                        self._reader, parsed, child, self._label, is_referrer=self._is_referrer
                    )
                    depth = max(depth, self.visit(found, EVERYTHING, level + 1) + 1)
        else:
            for child, kind in manifest.list_children(parsed):
                self._add_blob(Node.of(child, kind))
        self.manifests[descriptor.digest] = GraphManifest(descriptor, item.raw, depth)
        return depth

    def _add_blob(self, node: Node) -> None:
        if node.digest is None:
            return
        known = self.blobs.setdefault(node.digest, node)
        if known.size != node.size:
            raise MalformedError(
                f"{self._label}: {node.digest} has two sizes: {known.size} and {node.size}"
            )


def read_child(
    reader: ManifestReader,
    index: Index,
    child: Descriptor,
    label: str,
    *,
    is_referrer: bool = False,
) -> ReadManifest:
    """Read the manifest of an entry of ``index``.

    Raises:
        SparseIndexError: the source does not have it.
    """
    try:
        return reader.read(child, is_referrer=is_referrer)
    except NotFoundError as error:
        platform = None if child.platform is None else str(child.platform)
        failure = SparseIndexError(label, error, manifest=child.digest.text, platform=platform)
        present = []
        for other in index.manifests[:_MAX_PROBES]:
            try:
                reader.read(other, is_referrer=is_referrer)
            except CancelledError:
                raise
            except BundlerError:
                continue
            present.append(other.digest.text if other.platform is None else str(other.platform))
        failure.add_present(present)
        raise failure from error


@contextmanager
def mark_rejection(
    *, selected: bool = False, position: tuple[int, int] | None = None
) -> Iterator[None]:
    """Record in a rejection by the policy how the image was found in an index."""
    try:
        yield
    except RejectedByPolicyError as error:
        error.selected = error.selected or selected
        error.position = error.position or position
        raise
