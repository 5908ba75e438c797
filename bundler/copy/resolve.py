"""Resolve a request to the graph of an image, with every manifest verified.

The result contains only the selected platforms, with the requested referrers and signatures.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bundler.copy.graph import Graph, ResolvedImage
from bundler.copy.manifest_reader import MAX_DEPTH, ManifestReader, fetch
from bundler.copy.platform_selection import (
    EVERYTHING,
    Selection,
    check_platform_selected,
    select_children,
)
from bundler.copy.referrers import find_referrers, list_referrers
from bundler.errors import CannotConvertError, ConflictError, LimitError, RegistryError
from bundler.oci import image_config, manifest, media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import ImageManifest, Index
from bundler.oci.schema1 import manifest as schema1
from bundler.oci.schema1.manifest import Schema1
from bundler.ports import HasSignatures, PolicyCheck, Source

if TYPE_CHECKING:
    from bundler.copy.request import ImageRequest
    from bundler.oci.platform import Platform


def resolve(
    request: ImageRequest, source: Source, policy_check: PolicyCheck | None = None
) -> ResolvedImage:
    """Read the manifests of an image, and of its referrers if they are requested.

    Args:
        request: the image, and the parts of it to copy.
        source: the open source of ``request.source``.
        policy_check: called for every manifest before it is parsed; None: no check.

    Raises:
        NotFoundError: the name, a manifest or a pinned referrer does not exist.
        NoPlatformError: the image is not available for a selected platform.
        ConflictError: the name does not resolve to the pinned digest.
        IntegrityError: a manifest does not match its descriptor.
        LimitError: the graph is larger or deeper than allowed.
        TrustError: the policy rejects a manifest.
    """
    label = request.label
    reader = ManifestReader(source, label, policy_check)
    found = source.resolve(request.source.name)
    if request.pin not in (None, found.digest):
        raise ConflictError(
            f"{label}: the name points to another digest"
            f" (expected {request.pin}, got {found.digest})",
            hint="review the new image, then pin its digest",
        )
    root, raw, selection = _select_root(found, request, source, reader)
    graph = reader.read_graph(root, raw, selection)
    replaces = None if root.digest == found.digest else found.digest
    signatures = _read_signatures(graph, replaces, request, source)
    if request.referrers in ("none", ()):
        return ResolvedImage(request, source, graph, replaces, (), signatures=signatures)
    try:
        referrers = tuple(find_referrers(graph, request, source, reader))
        left_behind = () if replaces is None else list_referrers(source, replaces)
    except RegistryError as error:
        # The image may have been served by a mirror that does not list referrers.
        error.add_note(f"while listing the referrers of {label}; `referrers: none` skips them")
        raise
    return ResolvedImage(request, source, graph, replaces, referrers, left_behind, signatures)


def _select_root(
    found: Descriptor, request: ImageRequest, source: Source, reader: ManifestReader
) -> tuple[Descriptor, bytes, Selection]:
    """Return the root to copy, its bytes, and the selection that remains to be applied below it.

    The root is the one at the source, the manifest of the selected platform, or a new index.
    """
    selection, label = request.selection, request.label
    raw = reader.read(found)
    parsed = reader.parse(found, raw)
    root = found
    level = 0
    while selection.single and isinstance(parsed, Index):
        level += 1
        if level > MAX_DEPTH:
            raise LimitError(f"{label}: indexes nested deeper than {MAX_DEPTH} levels")
        root = replace(select_children(parsed, selection, label)[0], annotations={})
        raw = reader.read(root)
        parsed = reader.parse(root, raw)
    if not isinstance(parsed, Index):
        platform = root.platform
        if platform is None and (request.reads_platform or selection.platforms):
            platform = _read_platform(parsed, source, label)
        if platform is not None:
            check_platform_selected(platform, selection, label)
        return replace(root, platform=platform), raw, EVERYTHING
    selected = select_children(parsed, selection, label)
    keeps_index = selection.index == "sparse" or selection.index_only
    if keeps_index or len(selected) == len(parsed.manifests):
        return found, raw, selection
    stripped = manifest.strip(parsed, {child.digest for child in selected})
    return Descriptor(found.media_type, Digest.of(stripped), len(stripped)), stripped, EVERYTHING


def _read_platform(parsed: ImageManifest | Schema1, source: Source, label: str) -> Platform | None:
    """Read the platform of an image from its config; None for an artifact, or if unset."""
    if isinstance(parsed, Schema1):
        return schema1.read_platform(parsed, subject=label)
    if parsed.is_artifact:
        return None
    raw = fetch(source, parsed.config, label, kind="config")
    subject = f"{label}: config {parsed.config.digest}"
    platform = image_config.parse(raw, subject=subject).platform
    return platform if platform.os or platform.architecture else None


def _read_signatures(
    graph: Graph, replaces: Digest | None, request: ImageRequest, source: Source
) -> dict[Digest, tuple[bytes, ...]]:
    """Read the requested simple signatures of the manifests in ``graph``, by manifest.

    Raises:
        CannotConvertError: platforms are stripped from an index that is signed.
    """
    if request.signatures == "none" or not isinstance(source, HasSignatures):
        return {}
    is_index = graph.root.media_type in media_types.INDEXES
    if replaces and is_index and request.signatures == "all" and source.signatures(replaces):
        raise CannotConvertError(
            f"{request.label}: without some of its images the index would get another digest",
            reason="the index is signed",
            hint="remove its signatures with --remove-list-signatures",
        )
    found = {
        item.descriptor.digest: tuple(source.signatures(item.descriptor.digest))
        for item in graph.manifests
        if request.signatures == "all" or item.descriptor.media_type not in media_types.INDEXES
    }
    return {digest: signatures for digest, signatures in found.items() if signatures}
