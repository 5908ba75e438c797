"""Resolve: from a name to the whole graph of manifests below it, each verified and parsed.

Manifests are small and held in memory, bounded in number, depth and bytes; blobs are only named.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from bundler.content.streams.verified import VerifiedReader
from bundler.copy.graph import Graph, GraphManifest, ResolvedImage
from bundler.copy.platform_selection import EVERYTHING, Selection, check_platform, children
from bundler.copy.referrers import left_behind, referrers
from bundler.errors import (
    CannotConvertError,
    ConflictError,
    LimitError,
    MalformedError,
    RegistryError,
    SizeMismatchError,
)
from bundler.oci import image_config, manifest, media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import ImageManifest, Index, Manifest
from bundler.oci.schema1 import manifest as schema1
from bundler.oci.schema1.manifest import Schema1
from bundler.ports import HasSignatures, Node, PolicyCheck, Source

if TYPE_CHECKING:
    from bundler.copy.request import ImageRequest
    from bundler.oci.platform import Platform

MAX_DEPTH = 8
MAX_MANIFESTS = 20_000
MAX_MANIFEST_BYTES = 64 * 1024 * 1024


def resolve(
    request: ImageRequest, source: Source, admit: PolicyCheck | None = None
) -> ResolvedImage:
    """Read the graph of an image from ``source``, and of its referrers if they are requested.

    Raises:
        NotFoundError: the name, a platform, a manifest or a pinned referrer does not exist.
        ConflictError: the name does not resolve to the pinned digest.
        IntegrityError: a manifest does not match its descriptor.
        LimitError: the graph is larger or deeper than allowed.
        TrustError: ``admit`` rejected a manifest.
    """
    label = request.label
    reader = ManifestReader(source, label, admit)
    found = source.resolve(request.source.name)
    if request.pin not in (None, found.digest):
        raise ConflictError(
            f"{label}: expected {request.pin}, but it is {found.digest} now",
            hint="the name has moved: look at what is new, then pin that digest",
        )
    root, raw, selection = _choose_root(found, request, source, reader)
    graph = reader.graph(root, raw, selection)
    replaces = None if root.digest == found.digest else found.digest
    if replaces is not None and root.media_type in media_types.INDEXES:
        _refuse_to_strip_signed(replaces, request, source)
    signatures = _signatures(graph, request, source)
    if request.referrers in ("none", ()):
        return ResolvedImage(request, source, graph, replaces, (), signatures=signatures)
    try:
        refer = tuple(referrers(graph, request, source, reader))
        stay = () if replaces is None else left_behind(source, replaces)
    except RegistryError as error:
        # The image may have come from a mirror that does not list referrers.
        error.add_note(
            f"while looking for what refers to {label}; `referrers: none` leaves it behind"
        )
        raise
    return ResolvedImage(request, source, graph, replaces, refer, stay, signatures)


def fetch(
    source: Source,
    descriptor: Descriptor,
    label: str,
    *,
    kind: Literal["manifest", "config"] = "manifest",
) -> bytes:
    """The bytes of a manifest or a config, verified.

    Raises:
        IntegrityError: the bytes are not the ones of ``descriptor``.
        LimitError: it is larger than a manifest or a config may be.
    """
    what = f"{label}: {kind} {descriptor.digest}"
    if descriptor.size > manifest.MAX_MANIFEST:
        raise LimitError(f"{what}: {descriptor.size:,} bytes, more than a {kind} may have")
    with source.open(Node.of(descriptor, kind)) as stream:
        if descriptor.media_type in media_types.SCHEMA1:
            raw = stream.read(manifest.MAX_MANIFEST + 1)
            manifest.check(raw, descriptor, what)
            return raw
        reader = VerifiedReader(stream, what, digest=descriptor.digest, size=descriptor.size)
        return reader.read()


class ManifestReader:
    """Reads the manifests of one image, within the limits of one image."""

    def __init__(self, source: Source, label: str, admit: PolicyCheck | None) -> None:
        self._source = source
        self._label = label
        self._admit = admit
        self._raw: dict[Digest, bytes] = {}
        self._size = 0

    def raw(self, descriptor: Descriptor) -> bytes:
        """The bytes of a manifest; each is fetched once."""
        known = self._raw.get(descriptor.digest)
        if known is None:
            known = fetch(self._source, descriptor, self._label)
            self._size += len(known)
            if self._size > MAX_MANIFEST_BYTES or len(self._raw) >= MAX_MANIFESTS:
                raise LimitError(f"{self._label}: too many manifests below one name")
            if self._admit is not None:
                self._admit(self._source, self._label, descriptor, known)
            self._raw[descriptor.digest] = known
        elif len(known) != descriptor.size:
            what = f"{self._label}: manifest {descriptor.digest}"
            raise SizeMismatchError(what, expected=descriptor.size, got=str(len(known)))
        return known

    def parse(self, descriptor: Descriptor, raw: bytes) -> Manifest:
        """Parse a manifest of this image."""
        what = f"{self._label}: manifest {descriptor.digest}"
        return manifest.parse(raw, descriptor.media_type, subject=what)

    def graph(self, root: Descriptor, raw: bytes, selection: Selection) -> Graph:
        """All that hangs off ``root``, whose bytes are ``raw``."""
        self._raw.setdefault(root.digest, raw)
        gathering = _GraphBuilder(self, self._label)
        if root.platform is not None:
            gathering.platforms[root.platform] = None
        gathering.visit(root, selection, 0)
        return Graph(
            root,
            tuple(gathering.manifests.values()),
            tuple(gathering.blobs.values()),
            tuple(gathering.platforms),
        )


class _GraphBuilder:
    """Collects one graph, depth first, each manifest and blob once."""

    def __init__(self, reading: ManifestReader, label: str) -> None:
        self._reading = reading
        self._label = label
        self.manifests: dict[Digest, GraphManifest] = {}
        self.blobs: dict[Digest, Node] = {}
        self.platforms: dict[Platform, None] = {}

    def visit(self, descriptor: Descriptor, selection: Selection, level: int) -> int:
        """Add ``descriptor`` after all that is below it; returns its height."""
        if level > MAX_DEPTH:
            raise LimitError(f"{self._label}: indexes nested deeper than {MAX_DEPTH} levels")
        raw = self._reading.raw(descriptor)
        known = self.manifests.get(descriptor.digest)
        if known is not None:
            if known.descriptor.media_type != descriptor.media_type:
                raise MalformedError(f"{self._label}: {descriptor.digest} is told to be two things")
            return known.depth
        parsed = self._reading.parse(descriptor, raw)
        if isinstance(parsed, Index):
            wanted = children(parsed, selection, self._label)
            height = max((self._child(child, level + 1) + 1 for child in wanted), default=0)
        else:
            height = 0
            for child, kind in manifest.children(parsed):
                self._blob(Node.of(child, kind))
        self.manifests[descriptor.digest] = GraphManifest(descriptor, raw, height)
        return height

    def _child(self, child: Descriptor, level: int) -> int:
        if child.platform is not None and child.platform.os not in ("", "unknown"):
            self.platforms[child.platform] = None
        kind = manifest.child_kind(child)
        if kind == "manifest":
            return self.visit(child, EVERYTHING, level)
        self._blob(Node.of(child, kind))
        return -1

    def _blob(self, node: Node) -> None:
        if node.digest is None:
            return
        known = self.blobs.setdefault(node.digest, node)
        if known.size != node.size:
            raise MalformedError(f"{self._label}: {node.digest} is told to have two sizes")


def _choose_root(
    found: Descriptor, request: ImageRequest, source: Source, reader: ManifestReader
) -> tuple[Descriptor, bytes, Selection]:
    """Return the root to copy, its bytes, and the selection that still applies below it.

    The root is the one at the source, the manifest of the one selected platform, or a new index.
    """
    selection, label = request.selection, request.label
    raw = reader.raw(found)
    parsed = reader.parse(found, raw)
    root = found
    level = 0
    while selection.single and isinstance(parsed, Index):
        level += 1
        if level > MAX_DEPTH:
            raise LimitError(f"{label}: indexes nested deeper than {MAX_DEPTH} levels")
        root = replace(children(parsed, selection, label)[0], annotations={})
        raw = reader.raw(root)
        parsed = reader.parse(root, raw)
    if not isinstance(parsed, Index):
        asked = request.reads_platform or selection.platforms
        platform = root.platform or (_platform(parsed, source, label) if asked else None)
        if platform is not None:
            check_platform(platform, selection, label)
        return replace(root, platform=platform), raw, EVERYTHING
    wanted = children(parsed, selection, label)
    partial = selection.index == "sparse" or selection.index_only
    if partial or len(wanted) == len(parsed.manifests):
        return found, raw, selection
    stripped = manifest.strip(parsed, {child.digest for child in wanted})
    return Descriptor(found.media_type, Digest.of(stripped), len(stripped)), stripped, EVERYTHING


def _platform(parsed: ImageManifest | Schema1, source: Source, label: str) -> Platform | None:
    """Read the platform of an image that is in no index; None: an artifact, or unset."""
    if isinstance(parsed, Schema1):
        return schema1.read_platform(parsed, subject=label)
    if parsed.is_artifact:
        return None
    raw = fetch(source, parsed.config, label, kind="config")
    what = f"{label}: config {parsed.config.digest}"
    platform = image_config.parse(raw, subject=what).platform
    return platform if platform.os or platform.architecture else None


def _refuse_to_strip_signed(replaces: Digest, request: ImageRequest, source: Source) -> None:
    if request.signatures != "all" or not isinstance(source, HasSignatures):
        return
    if source.signatures(replaces):
        raise CannotConvertError(
            f"{request.label}: without some of its images the list would get another digest",
            reason="the list is signed",
            hint="leave its signatures behind with --remove-list-signatures",
        )


def _signatures(
    graph: Graph, request: ImageRequest, source: Source
) -> dict[Digest, tuple[bytes, ...]]:
    if request.signatures == "none" or not isinstance(source, HasSignatures):
        return {}
    found = {
        item.descriptor.digest: tuple(source.signatures(item.descriptor.digest))
        for item in graph.manifests
        if request.signatures == "all" or item.descriptor.media_type not in media_types.INDEXES
    }
    return {digest: signatures for digest, signatures in found.items() if signatures}
