"""Read, verify and parse the manifests of one image, and collect them into graphs.

Manifests are kept in memory, within limits of number, depth and size. Blobs are not read.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Literal

from bundler.content.streams.verified import VerifiedReader
from bundler.copy.image import Graph, GraphManifest
from bundler.copy.platform_selection import EVERYTHING, Selection, select_children
from bundler.errors import LimitError, MalformedError, SizeMismatchError
from bundler.oci import manifest, media_types
from bundler.oci.manifest import Index, Manifest
from bundler.ports import Node, PolicyCheck, Source

if TYPE_CHECKING:
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.platform import Platform

MAX_DEPTH = 8
MAX_MANIFESTS = 20_000
MAX_MANIFEST_BYTES = 64 * 1024 * 1024


def fetch(
    source: Source,
    descriptor: Descriptor,
    label: str,
    *,
    kind: Literal["manifest", "config"] = "manifest",
) -> bytes:
    """Read and verify a manifest or a config.

    Raises:
        IntegrityError: the bytes do not match ``descriptor``.
        LimitError: the content is larger than allowed.
    """
    subject = f"{label}: {kind} {descriptor.digest.text}"
    if descriptor.size > manifest.MAX_MANIFEST:
        raise LimitError(
            f"{subject}: too large (expected at most {manifest.MAX_MANIFEST:,} bytes,"
            f" got {descriptor.size:,})"
        )
    with source.open(Node.of(descriptor, kind)) as stream:
        if descriptor.media_type in media_types.SCHEMA1:
            raw = stream.read(manifest.MAX_MANIFEST + 1)
            manifest.verify(raw, descriptor, subject)
            return raw
        reader = VerifiedReader(stream, subject, digest=descriptor.digest, size=descriptor.size)
        return reader.read()


class ReadManifest:
    """A verified manifest, which is parsed when it is first used."""

    def __init__(self, descriptor: Descriptor, raw: bytes, label: str) -> None:
        self.descriptor = descriptor
        self.raw = raw
        self._label = label

    @cached_property
    def parsed(self) -> Manifest:
        """The parsed manifest."""
        subject = f"{self._label}: manifest {self.descriptor.digest.text}"
        return manifest.parse(self.raw, self.descriptor.media_type, subject=subject)


class ManifestReader:
    """Reader of the manifests of one image and its referrers, each read once.

    The limits apply to all of them together.
    """

    def __init__(self, source: Source, label: str, policy_check: PolicyCheck | None) -> None:
        self._source = source
        self._label = label
        self._policy_check = policy_check
        self._raw: dict[Digest, bytes] = {}
        self._size = 0

    def read(self, descriptor: Descriptor) -> ReadManifest:
        """Return a manifest that is verified, and accepted by the policy.

        Raises:
            IntegrityError: the bytes do not match ``descriptor``.
            LimitError: the image has too many manifests, or they are too large.
            TrustError: the policy rejects the manifest.
        """
        raw = self._raw.get(descriptor.digest)
        if raw is None:
            raw = fetch(self._source, descriptor, self._label)
            self._size += len(raw)
            if self._size > MAX_MANIFEST_BYTES or len(self._raw) >= MAX_MANIFESTS:
                raise LimitError(f"{self._label}: too many manifests below one name")
            if self._policy_check is not None:
                self._policy_check(self._source, self._label, descriptor, raw)
            self._raw[descriptor.digest] = raw
        elif len(raw) != descriptor.size:
            subject = f"{self._label}: manifest {descriptor.digest}"
            raise SizeMismatchError(subject, expected=descriptor.size, got=str(len(raw)))
        return ReadManifest(descriptor, raw, self._label)

    def read_graph(self, root: ReadManifest, selection: Selection) -> Graph:
        """Read the graph of ``root``, without unselected platforms."""
        builder = _GraphBuilder(self, self._label)
        if root.descriptor.platform is not None:
            builder.platforms[root.descriptor.platform] = None
        builder.visit(root, selection, 0)
        return Graph(
            root.descriptor,
            tuple(builder.manifests.values()),
            tuple(builder.blobs.values()),
            tuple(builder.platforms),
        )


class _GraphBuilder:
    """Collects the manifests and blobs of one graph, depth first, each once."""

    def __init__(self, reader: ManifestReader, label: str) -> None:
        self._reader = reader
        self._label = label
        self.manifests: dict[Digest, GraphManifest] = {}
        self.blobs: dict[Digest, Node] = {}
        self.platforms: dict[Platform, None] = {}

    def visit(self, item: ReadManifest, selection: Selection, level: int) -> int:
        """Add a manifest after its children, and return its depth in the graph."""
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
        if isinstance(item.parsed, Index):
            for child in select_children(item.parsed, selection, self._label):
                if child.platform is not None and child.platform.os not in ("", "unknown"):
                    self.platforms[child.platform] = None
                kind = manifest.get_child_kind(child)
                if kind != "manifest":
                    self._add_blob(Node.of(child, kind))
                    continue
                if level >= MAX_DEPTH:
                    raise LimitError(
                        f"{self._label}: indexes nested deeper than {MAX_DEPTH} levels"
                    )
                depth = max(depth, self.visit(self._reader.read(child), EVERYTHING, level + 1) + 1)
        else:
            for child, kind in manifest.list_children(item.parsed):
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
