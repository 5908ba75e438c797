"""Resolve a request: read the manifests of an image, without the platforms that are not selected.

The referrers and signatures of the image are included if they are requested. Referrers are
found by their ``subject`` field, which the source may index, and by cosign's tags. Manifests are
kept in memory, within limits of number, depth and size. Blobs are not read.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING

from bundler.copy.fetch import MAX_DEPTH, fetch
from bundler.copy.image import Graph, GraphManifest, Referrer, ResolvedImage
from bundler.copy.platform_selection import (
    EVERYTHING,
    PlatformSelection,
    check_platform_selected,
    find_missing_platforms,
    select_children,
)
from bundler.copy.referrers import list_referrers
from bundler.errors import (
    CannotConvertError,
    ConflictError,
    DigestMismatchError,
    LimitError,
    MalformedError,
    NotFoundError,
    RegistryError,
    SizeMismatchError,
    UnsupportedError,
)
from bundler.events import Emit, WarningIssued, discard
from bundler.oci import manifest, media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import Index, Manifest, Schema1
from bundler.ports import HasSignatures, Node, PolicyCheck, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bundler.copy.image import ImageRequest
    from bundler.oci.platform import Platform

MAX_MANIFESTS = 20_000
MAX_MANIFEST_BYTES = 64 * 1024 * 1024
MAX_SIGNATURE_BYTES = 16 * 1024 * 1024
MAX_REFERRERS = 1_000

MAX_REFERRER_DEPTH = 4  # for example an SBOM, its attestation, and the signature of the attestation


def resolve(
    request: ImageRequest,
    source: Source,
    policy_check: PolicyCheck | None = None,
    emit: Emit = discard,
) -> ResolvedImage:
    """Read the manifests of an image, and of its referrers if they are requested.

    ``source`` is the open source of ``request.source``. ``policy_check`` is called for every
    manifest before it is parsed; None: no check. A listed referrer that cannot be read is left
    behind, and ``emit`` receives a warning.

    Raises:
        NotFoundError: the name, a manifest or a pinned referrer does not exist.
        NoPlatformError: the image is not available for a selected platform.
        ConflictError: the name does not resolve to the pinned digest.
        IntegrityError: a manifest does not match its descriptor.
        LimitError: the graph is larger or deeper than allowed.
        TrustError: the policy rejects a manifest.
    """
    resolver = _Resolver(request, source, policy_check, emit)
    found = _resolve_root(request, source, emit)
    graph = resolver.read_graph(*resolver.select_root(found))
    replaces = None if graph.root.digest == found.digest else found.digest
    signatures = resolver.read_signatures(graph, replaces)
    missing = tuple(resolver.missing_platforms)
    image = ResolvedImage(request, source, graph, replaces, missing, signatures=signatures)
    if request.referrers in ("none", ()):
        return image
    try:
        referrers = tuple(resolver.find_referrers(graph))
        left_behind = tuple(resolver.left_behind)
        if replaces is not None:
            listed = islice(list_referrers(source, replaces), MAX_REFERRERS)
            left_behind += tuple(tag or descriptor.digest.text for tag, descriptor in listed)
    except RegistryError as error:
        # The image may have been served by a mirror that does not list referrers.
        error.add_note(
            f"while listing the referrers of {request.display_name}; `referrers: none` skips them"
        )
        raise
    return replace(image, referrers=referrers, left_behind=left_behind)


def _resolve_root(request: ImageRequest, source: Source, emit: Emit) -> Descriptor:
    """Resolve the name of the image, and compare it with the pinned digest."""
    pinned = request.expected_root
    found: Descriptor | None = None
    try:
        found = source.resolve(request.source.name)
    except NotFoundError:
        if pinned is None or request.on_tag_moved == "fail":
            raise
    if found is not None and pinned in (None, found.digest):
        return found
    got = f"got {found.digest}" if found is not None else "the name does not exist"
    problem = f"the name points to another digest (expected {pinned}, {got})"
    if pinned is not None and request.on_tag_moved == "warn":
        emit(WarningIssued(f"{request.display_name}: {problem}; the pinned digest is copied"))
        return source.resolve(pinned.text)
    hint = "review the new image, then pin its digest"
    if request.reference is not None and request.reference.tag and request.reference.digest:
        hint += "; --on-tag-moved warn exports the pinned one"
    raise ConflictError(f"{request.display_name}: {problem}", hint=hint)


class _Resolver:
    """Reads the manifests of one image and its referrers, each once, within common limits."""

    def __init__(
        self,
        request: ImageRequest,
        source: Source,
        policy_check: PolicyCheck | None,
        emit: Emit,
    ) -> None:
        self._request = request
        self._label = request.display_name
        self._source = source
        self._policy_check = policy_check
        self._emit = emit
        self.left_behind: list[str] = []
        """The tags or digests of listed referrers that cannot be read."""
        self.missing_platforms: list[Platform] = []
        self._raw: dict[Digest, bytes] = {}
        self._size = 0

    def select_root(self, found: Descriptor) -> tuple[_ReadManifest, PlatformSelection]:
        """Return the root to copy, and the selection that remains to be applied below it.

        The root is the one at the source, the manifest of the selected platform, or a new index.
        """
        selection, label = self._request.selection, self._label
        root = self.read(found)
        level = 0
        while selection.single and isinstance(root.parsed, Index):
            level += 1
            if level > MAX_DEPTH:
                raise LimitError(
                    f"{label}: indexes nested too deeply (expected at most {MAX_DEPTH} levels)"
                )
            child = select_children(root.parsed, selection, label)[0]
            root = self.read(replace(child, annotations={}))
        parsed = root.parsed
        if not isinstance(parsed, Index):
            platform = root.descriptor.platform
            if platform is None and (self._request.reads_platform or selection.platforms):
                platform = root.read_platform(self._source)
            if platform is not None:
                check_platform_selected(platform, selection, label)
                self._find_missing_platforms([platform])
                root.descriptor = replace(root.descriptor, platform=platform)
            return root, EVERYTHING
        selected = select_children(parsed, selection, label)
        self._find_missing_platforms([entry.platform for entry in parsed.manifests])
        keeps_index = selection.index == "sparse" or selection.index_only
        if keeps_index or len(selected) == len(parsed.manifests):
            return root, selection
        raw = manifest.strip(parsed, {child.digest for child in selected})
        stripped = Descriptor(found.media_type, Digest.of(raw), len(raw))
        return _ReadManifest(stripped, raw, label), EVERYTHING

    def _find_missing_platforms(self, offered: Sequence[Platform | None]) -> None:
        """Find the selected platforms that the image does not have; it is copied without them."""
        self.missing_platforms = find_missing_platforms(self._request.selection, offered)
        if self.missing_platforms:
            names = ", ".join(map(str, self.missing_platforms))
            self._emit(WarningIssued(f"{self._label}: no image for {names}; left out"))

    def read(self, descriptor: Descriptor) -> _ReadManifest:
        """Return a manifest that is verified, and accepted by the policy."""
        raw = self._raw.get(descriptor.digest)
        if raw is None:
            raw = fetch(self._source, descriptor, self._label)
            self._size += len(raw)
            if self._size > MAX_MANIFEST_BYTES or len(self._raw) >= MAX_MANIFESTS:
                raise LimitError(
                    f"{self._label}: manifests exceed the limit (expected at most"
                    f" {MAX_MANIFESTS:,} manifests of {MAX_MANIFEST_BYTES:,} bytes in total)"
                )
            if self._policy_check is not None:
                self._policy_check(self._source, self._label, descriptor, raw)
            self._raw[descriptor.digest] = raw
        elif len(raw) != descriptor.size:
            subject = f"{self._label}: manifest {descriptor.digest}"
            raise SizeMismatchError(subject, expected=descriptor.size, got=str(len(raw)))
        return _ReadManifest(descriptor, raw, self._label)

    def read_graph(self, root: _ReadManifest, selection: PlatformSelection = EVERYTHING) -> Graph:
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

    def read_signatures(
        self, graph: Graph, replaces: Digest | None
    ) -> dict[Digest, tuple[bytes, ...]]:
        """Read the requested signatures of the manifests in ``graph``, by manifest."""
        source, policy = self._source, self._request.signatures
        if policy == "none" or not isinstance(source, HasSignatures):
            return {}
        is_index = graph.root.media_type in media_types.INDEXES
        if replaces and is_index and policy == "all" and source.signatures(replaces):
            raise CannotConvertError(
                f"{self._label}: the digest of the index would change without some of its images",
                reason="the index is signed",
                hint="remove its signatures with --remove-list-signatures",
            )
        found: dict[Digest, tuple[bytes, ...]] = {}
        size = 0
        for item in graph.manifests:
            digest = item.descriptor.digest
            if policy == "all" or item.descriptor.media_type not in media_types.INDEXES:
                found[digest] = tuple(source.signatures(digest))
                size += sum(map(len, found[digest]))
                if size > MAX_SIGNATURE_BYTES:
                    raise LimitError(
                        f"{self._label}: signatures too large"
                        f" (expected at most {MAX_SIGNATURE_BYTES:,} bytes)"
                    )
        return {digest: signatures for digest, signatures in found.items() if signatures}

    def find_referrers(self, graph: Graph) -> Iterator[Referrer]:
        """Find the requested referrers of the manifests in ``graph``."""
        if not isinstance(self._request.referrers, tuple):
            yield from self._find_all_referrers(graph)
            return
        # Pinned referrers are found by digest, since their tags may have moved. A source that
        # cannot resolve the digest may still list the referrer.
        listed: dict[Digest, Referrer] | None = None
        for item in self._request.referrers:
            try:
                descriptor = self._source.resolve(item.digest.text)
            except NotFoundError:
                if listed is None:
                    referrers = self._find_all_referrers(graph)
                    listed = {referrer.graph.root.digest: referrer for referrer in referrers}
                if item.digest not in listed:
                    raise
                yield listed[item.digest]
                continue
            if descriptor.digest != item.digest:
                raise DigestMismatchError(
                    f"{self._label}: referrer",
                    expected=item.digest.text,
                    got=descriptor.digest.text,
                )
            yield Referrer(self.read_graph(self.read(descriptor)), graph.root.digest, item.tag)

    def _find_all_referrers(self, graph: Graph) -> Iterator[Referrer]:
        """Find all referrers and their own referrers, each once."""
        seen = {item.descriptor.digest for item in graph.manifests}
        subjects: list[tuple[Digest, str | None, int]] = [(item, None, 0) for item in sorted(seen)]
        count = 0
        while subjects:
            subject, suffix, depth = subjects.pop()
            for tag, descriptor in list_referrers(self._source, subject, suffix):
                if descriptor.digest in seen:
                    continue
                if depth >= MAX_REFERRER_DEPTH:
                    raise LimitError(
                        f"{self._label}: referrers nested too deeply"
                        f" (expected at most {MAX_REFERRER_DEPTH} levels)"
                    )
                count += 1
                if count > MAX_REFERRERS:
                    raise LimitError(
                        f"{self._label}: too many referrers (expected at most {MAX_REFERRERS:,})"
                    )
                seen.add(descriptor.digest)
                try:
                    item = self.read(descriptor)
                    referred = item.parsed.subject
                    found = self.read_graph(item)
                except (NotFoundError, MalformedError, UnsupportedError) as error:
                    name = tag or descriptor.digest.text
                    problem = error.message_about(f"{self._label}: referrer {name}")
                    self._emit(WarningIssued(f"left behind: {problem}"))
                    self.left_behind.append(name)
                    continue
                # The registry's list is not trusted; the subject in the manifest decides.
                if tag is None and (referred is None or referred.digest != subject):
                    continue
                own_suffix = tag and tag[tag.rindex(".") :]
                subjects.append((descriptor.digest, own_suffix, depth + 1))
                yield Referrer(found, subject, tag)


class _ReadManifest:
    """A verified manifest, which is parsed when it is first used."""

    def __init__(self, descriptor: Descriptor, raw: bytes, label: str) -> None:
        self.descriptor = descriptor
        self.raw = raw
        self._label = label

    @cached_property
    def parsed(self) -> Manifest:
        """The parsed manifest; the descriptor gets the media type that the manifest states."""
        subject = f"{self._label}: manifest {self.descriptor.digest.text}"
        parsed = manifest.parse(self.raw, self.descriptor.media_type, subject=subject)
        if parsed.media_type != self.descriptor.media_type:
            self.descriptor = replace(self.descriptor, media_type=parsed.media_type)
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


class _GraphBuilder:
    """Collects the manifests and blobs of one graph, depth first, each once."""

    def __init__(self, resolver: _Resolver, label: str) -> None:
        self._resolver = resolver
        self._label = label
        self.manifests: dict[Digest, GraphManifest] = {}
        self.blobs: dict[Digest, Node] = {}
        self.platforms: dict[Platform, None] = {}

    def visit(self, item: _ReadManifest, selection: PlatformSelection, level: int) -> int:
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
            for child in select_children(parsed, selection, self._label):
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
                depth = max(
                    depth, self.visit(self._resolver.read(child), EVERYTHING, level + 1) + 1
                )
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
