"""Resolve a request: read the manifests of an image, without the platforms that are not selected.

The signatures of the image are included if they are requested, and its referrers, see
``referrers``. Manifests are kept in memory, within limits of number, depth and size. Blobs are not
read.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bundler.copy.image import Graph, ResolvedImage
from bundler.copy.resolving.fetch import MAX_DEPTH, check_same_image, fetch, read_signatures
from bundler.copy.resolving.graph_builder import (
    GraphBuilder,
    ReadManifest,
    mark_rejection,
    read_child,
)
from bundler.copy.resolving.platform_selection import (
    EVERYTHING,
    PlatformSelection,
    check_platform_selected,
    find_missing_platforms,
    select_children,
)
from bundler.copy.resolving.referrers import ReferrerFinder, leave_out_referrers
from bundler.errors import (
    CannotConvertError,
    ConflictError,
    LimitError,
    NotFoundError,
    RegistryError,
    SignedOriginalError,
    SizeMismatchError,
)
from bundler.events import Emit, WarningIssued, discard
from bundler.oci import manifest, media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import Index
from bundler.ports import KeepsOriginalManifests, ListsReferrers, Source
from bundler.signature_ports import CompletesReferences, HasSignatures, PolicyCheck

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.copy.image import ImageRequest
    from bundler.oci.platform import Platform
    from bundler.signature_ports import MetRequirement

MAX_MANIFESTS = 20_000
MAX_MANIFEST_BYTES = 64 * 1024 * 1024
MAX_SIGNATURE_BYTES = 16 * 1024 * 1024


def resolve(
    request: ImageRequest,
    source: Source,
    policy_check: PolicyCheck | None = None,
    emit: Emit = discard,
) -> ResolvedImage:
    """Read the manifests of an image, and of its referrers if they are requested.

    ``source`` is the open source of ``request.source``. ``policy_check`` checks the images, but not
    their referrers; None: no check. A listed referrer that cannot be read is left behind, and
    ``emit`` receives a warning.

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
    resolver.check_reference(found)
    graph = resolver.read_graph(*resolver.select_root(found))
    replaces = None if graph.root.digest == found.digest else found.digest
    try:
        signatures = resolver.read_signatures(graph, replaces)
    except RegistryError as error:
        if request.signatures == "applicable":
            name = request.display_name
            error.add_note(f"while reading the signatures of {name}; `referrers: none` skips them")
        raise
    missing = tuple(resolver.missing_platforms)
    image = ResolvedImage(
        request,
        source,
        graph,
        replaces,
        missing,
        signatures=signatures,
        verdicts=resolver.verdicts,
    )
    if request.referrers in ("none", ()):
        return replace(image, left_behind=tuple(resolver.left_behind))
    try:
        finder = ReferrerFinder(request, source, resolver, emit)
        referrers = finder.find(graph, replaces)
    except RegistryError as error:
        # The image may have been served by a mirror that does not list referrers.
        error.add_note(
            f"while listing the referrers of {request.display_name}; `referrers: none` skips them"
        )
        raise
    return replace(
        image,
        referrers=referrers,
        left_behind=(*resolver.left_behind, *finder.left_behind),
        signatures=leave_out_referrers(signatures, referrers),
    )


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
        self, request: ImageRequest, source: Source, policy_check: PolicyCheck | None, emit: Emit
    ) -> None:
        self._request = request
        self._label = request.display_name
        self._source = source
        self._policy_check = policy_check
        self._emit = emit
        self.left_behind: list[str] = []
        """The signatures of a replaced index, which are not copied."""
        self.missing_platforms: list[Platform] = []
        self._raw: dict[Digest, bytes] = {}
        self._size = 0
        self.verdicts: dict[Digest, tuple[MetRequirement, ...]] = {}
        """The requirements of the policy that each accepted manifest meets."""
        self._signatures: dict[Digest, tuple[bytes, ...]] = {}

    @property
    def _policy_reference(self) -> str:
        request, source = self._request, self._source
        if request.policy_reference:
            return request.policy_reference
        if isinstance(source, CompletesReferences):
            return source.complete(request.source.name)
        return str(request.source)

    def check_reference(self, root: Descriptor) -> None:
        """Check what the policy decides without the signatures of the image."""
        if self._policy_check is not None:
            is_selected = self._request.selection.single and root.media_type in media_types.INDEXES
            with mark_rejection(selected=is_selected):
                self._policy_check.check_reference(self._policy_reference)

    def check(self, item: ReadManifest) -> None:
        """Check a manifest, unless the policy has already accepted it."""
        digest = item.descriptor.digest
        if self._policy_check is None or digest in self.verdicts:
            return
        signed, raw = digest, item.raw
        if isinstance(self._source, KeepsOriginalManifests):
            original = self._source.resolve_original(self._request.source.name)
            signed, raw = original.digest, fetch(self._source, original, self._label)
        met = self._policy_check.check_manifest(
            self._policy_reference, raw, lambda: self._list_signatures(signed)
        )
        if signed != digest and signed in self._signatures:  # they were needed
            check_same_image(self._source, raw, item.raw, self._label)
        self.verdicts[digest] = met

    def select_root(self, found: Descriptor) -> tuple[ReadManifest, PlatformSelection]:
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
            with mark_rejection(selected=True):
                root = read_child(self, root.parsed, replace(child, annotations={}), label)
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
        return ReadManifest(stripped, raw, label, self.check), EVERYTHING

    def _find_missing_platforms(self, offered: Sequence[Platform | None]) -> None:
        """Find the selected platforms that the image does not have; it is copied without them."""
        self.missing_platforms = find_missing_platforms(self._request.selection, offered)
        if self.missing_platforms:
            names = ", ".join(map(str, self.missing_platforms))
            self._emit(WarningIssued(f"{self._label}: no image for {names}; left out"))

    def read(self, descriptor: Descriptor, *, is_referrer: bool = False) -> ReadManifest:
        """Return a verified manifest; that of an image is also accepted by the policy."""
        raw = self._raw.get(descriptor.digest)
        if raw is None:
            raw = fetch(self._source, descriptor, self._label)
            self._size += len(raw)
            if self._size > MAX_MANIFEST_BYTES or len(self._raw) >= MAX_MANIFESTS:
                raise LimitError(
                    f"{self._label}: manifests exceed the limit (expected at most"
                    f" {MAX_MANIFESTS:,} manifests of {MAX_MANIFEST_BYTES:,} bytes in total)"
                )
            self._raw[descriptor.digest] = raw
        elif len(raw) != descriptor.size:
            subject = f"{self._label}: manifest {descriptor.digest}"
            raise SizeMismatchError(subject, expected=descriptor.size, got=str(len(raw)))
        item = ReadManifest(descriptor, raw, self._label, None if is_referrer else self.check)
        if not is_referrer and descriptor.media_type not in media_types.INDEXES:
            self.check(item)
        return item

    def read_graph(self, root: ReadManifest, selection: PlatformSelection = EVERYTHING) -> Graph:
        """Read the graph of ``root``, without unselected platforms."""
        builder = GraphBuilder(self, self._label, is_referrer=root.is_referrer)
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
        if isinstance(source, KeepsOriginalManifests):
            original = source.resolve_original(self._request.source.name).digest
            if original != graph.root.digest and policy == "applicable":
                self.leave_signatures_behind(original)
            elif original != graph.root.digest and self._list_signatures(original):
                raise SignedOriginalError(self._label)
        is_index = graph.root.media_type in media_types.INDEXES
        if replaces and is_index and policy == "all" and self._list_signatures(replaces):
            raise CannotConvertError(
                f"{self._label}: the digest of the index would change without some of its images",
                reason="the index is signed",
                hint="remove its signatures with --remove-list-signatures",
            )
        if replaces and policy == "applicable":
            self.leave_signatures_behind(replaces)
        found: dict[Digest, tuple[bytes, ...]] = {}
        size = 0
        for item in graph.manifests:
            digest = item.descriptor.digest
            if policy != "images" or item.descriptor.media_type not in media_types.INDEXES:
                found[digest] = self._list_signatures(digest)
                size += sum(map(len, found[digest]))
                if size > MAX_SIGNATURE_BYTES:
                    raise LimitError(
                        f"{self._label}: signatures too large"
                        f" (expected at most {MAX_SIGNATURE_BYTES:,} bytes)"
                    )
        return {digest: signatures for digest, signatures in found.items() if signatures}

    def leave_signatures_behind(self, replaced: Digest) -> None:
        """Record the signatures of a replaced manifest, except those that cosign's tags list."""
        from bundler.oci import signature  # noqa: PLC0415 - rare

        for number, raw in enumerate(self._list_signatures(replaced), 1):
            if not (signature.is_sigstore(raw) and isinstance(self._source, ListsReferrers)):
                name = f"{replaced.algorithm}={replaced.hex}/signature-{number}"
                self.left_behind.append(name)

    def _list_signatures(self, digest: Digest) -> tuple[bytes, ...]:
        if digest not in self._signatures:
            self._signatures[digest] = tuple(read_signatures(self._source, digest))
        return self._signatures[digest]
