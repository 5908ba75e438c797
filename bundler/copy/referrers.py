"""What refers to an image: by its subject member, or by the tags that cosign gives."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING

from bundler.copy.graph import Graph, Referrer, Wish
from bundler.copy.platform_selection import EVERYTHING
from bundler.errors import DigestMismatchError, LimitError, NotFoundError
from bundler.ports import ListsReferrers, Source

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.copy.resolve import ManifestReader
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import Manifest

MAX_REFERRERS = 1_000

COSIGN_SUFFIXES = (".sig", ".att", ".sbom")


def referrers(graph: Graph, wish: Wish, reading: ManifestReader) -> Iterator[Referrer]:
    """What refers to the manifests of ``graph``, and to that in turn, each manifest once."""
    if wish.known_referrers is not None:
        yield from _known_referrers(graph, wish, reading)
        return
    seen = {item.descriptor.digest for item in graph.manifests}
    subjects: list[Digest] = sorted(seen)
    count = 0
    while subjects:
        subject = subjects.pop()
        for tag, descriptor in _referring(wish.source, subject):
            if descriptor.digest in seen:
                continue
            count += 1
            if count > MAX_REFERRERS:
                raise LimitError(f"{wish.label}: more than {MAX_REFERRERS:,} referrers")
            raw = reading.raw(descriptor)
            if tag is None and not _refers(reading.parse(descriptor, raw), subject):
                continue
            seen.add(descriptor.digest)
            found = reading.graph(descriptor, raw, EVERYTHING)
            subjects.append(descriptor.digest)
            yield Referrer(found, subject, tag)


def left_behind(source: Source, replaced: Digest) -> tuple[str, ...]:
    """What refers to a list that stays away, by tag or digest."""
    found = islice(_referring(source, replaced), MAX_REFERRERS)
    return tuple(tag or descriptor.digest.text for tag, descriptor in found)


def _known_referrers(graph: Graph, wish: Wish, reading: ManifestReader) -> Iterator[Referrer]:
    """The ones that are wanted, by digest: their tags may stand for others by now."""
    found: dict[Digest, Referrer] | None = None
    for digest, tag in wish.known_referrers or ():
        try:
            descriptor = wish.source.resolve(digest.text)
        except NotFoundError:
            if found is None:
                anything = referrers(graph, replace(wish, known_referrers=None), reading)
                found = {item.graph.root.digest: item for item in anything}
            if digest not in found:
                raise
            yield found[digest]
        else:
            if descriptor.digest != digest:
                raise DigestMismatchError(
                    f"{wish.label}: referrer",
                    expected=digest.text,
                    got=descriptor.digest.text,
                )
            below = reading.graph(descriptor, reading.raw(descriptor), EVERYTHING)
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
