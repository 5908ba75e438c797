"""What refers to an image: by its subject member, or by the tags that cosign gives."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from bundler.copy.graph import Graph, Referrer
from bundler.copy.platform_selection import EVERYTHING
from bundler.errors import DigestMismatchError, LimitError, NotFoundError
from bundler.ports import ListsReferrers, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.copy.request import ImageRequest, PinnedReferrer
    from bundler.copy.resolve import ManifestReader
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import Manifest

MAX_REFERRERS = 1_000

COSIGN_SUFFIXES = (".sig", ".att", ".sbom")


def referrers(
    graph: Graph, request: ImageRequest, source: Source, reader: ManifestReader
) -> Iterator[Referrer]:
    """Find the requested referrers of the manifests in ``graph``, and of those referrers in turn.

    Each manifest is returned once.
    """
    if isinstance(request.referrers, tuple):
        yield from _pinned_referrers(graph, request.referrers, request.label, source, reader)
    elif request.referrers == "all":
        yield from _all_referrers(graph, request.label, source, reader)


def left_behind(source: Source, replaced: Digest) -> tuple[str, ...]:
    """What refers to a list that stays away, by tag or digest."""
    found = islice(_referring(source, replaced), MAX_REFERRERS)
    return tuple(tag or descriptor.digest.text for tag, descriptor in found)


def _all_referrers(
    graph: Graph, label: str, source: Source, reader: ManifestReader
) -> Iterator[Referrer]:
    seen = {item.descriptor.digest for item in graph.manifests}
    subjects: list[Digest] = sorted(seen)
    count = 0
    while subjects:
        subject = subjects.pop()
        for tag, descriptor in _referring(source, subject):
            if descriptor.digest in seen:
                continue
            count += 1
            if count > MAX_REFERRERS:
                raise LimitError(f"{label}: more than {MAX_REFERRERS:,} referrers")
            raw = reader.raw(descriptor)
            if tag is None and not _refers(reader.parse(descriptor, raw), subject):
                continue
            seen.add(descriptor.digest)
            found = reader.graph(descriptor, raw, EVERYTHING)
            subjects.append(descriptor.digest)
            yield Referrer(found, subject, tag)


def _pinned_referrers(
    graph: Graph,
    pinned: tuple[PinnedReferrer, ...],
    label: str,
    source: Source,
    reader: ManifestReader,
) -> Iterator[Referrer]:
    """Find the pinned referrers by digest: their tags may have moved."""
    found: dict[Digest, Referrer] | None = None
    for digest, tag in ((item.digest, item.tag) for item in pinned):
        try:
            descriptor = source.resolve(digest.text)
        except NotFoundError:
            if found is None:
                anything = _all_referrers(graph, label, source, reader)
                found = {item.graph.root.digest: item for item in anything}
            if digest not in found:
                raise
            yield found[digest]
        else:
            if descriptor.digest != digest:
                raise DigestMismatchError(
                    f"{label}: referrer",
                    expected=digest.text,
                    got=descriptor.digest.text,
                )
            below = reader.graph(descriptor, reader.raw(descriptor), EVERYTHING)
            yield Referrer(below, graph.root.digest, tag)


def _referring(source: Source, subject: Digest) -> Iterator[tuple[str | None, Descriptor]]:
    if isinstance(source, ListsReferrers):
        for descriptor in source.referrers(subject):
            yield None, replace(descriptor, annotations={})
    for suffix in COSIGN_SUFFIXES:
        tag = f"{subject.algorithm}-{subject.hex}{suffix}"
        try:
            yield tag, source.resolve(tag)
        except NotFoundError:
            continue


def _refers(parsed: Manifest, subject: Digest) -> bool:
    """A registry's word is not enough: what does not say so itself was not asked for."""
    return parsed.subject is not None and parsed.subject.digest == subject
