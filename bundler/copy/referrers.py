"""Find the referrers of an image, by their ``subject`` field or by cosign's tags."""

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

    from bundler.copy.manifest_reader import ManifestReader
    from bundler.copy.request import ImageRequest
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest

MAX_REFERRERS = 1_000

_COSIGN_SUFFIXES = (".sig", ".att", ".sbom")


def find_referrers(
    graph: Graph, request: ImageRequest, source: Source, reader: ManifestReader
) -> Iterator[Referrer]:
    """Find the requested referrers of the manifests in ``graph``.

    With ``all``, the referrers of referrers are included, and each referrer is returned once.

    Raises:
        NotFoundError: a pinned referrer does not exist.
        LimitError: an image has too many referrers.
    """
    label = request.label
    if request.referrers == "all":
        yield from _find_all(graph, label, source, reader)
    if not isinstance(request.referrers, tuple):
        return
    # Pinned referrers are found by digest, since their tags may have moved. A source that cannot
    # resolve the digest may still list the referrer.
    listed: dict[Digest, Referrer] | None = None
    for item in request.referrers:
        try:
            descriptor = source.resolve(item.digest.text)
        except NotFoundError:
            if listed is None:
                referrers = _find_all(graph, label, source, reader)
                listed = {referrer.graph.root.digest: referrer for referrer in referrers}
            if item.digest not in listed:
                raise
            yield listed[item.digest]
        else:
            if descriptor.digest != item.digest:
                raise DigestMismatchError(
                    f"{label}: referrer",
                    expected=item.digest.text,
                    got=descriptor.digest.text,
                )
            below = reader.read_graph(descriptor, reader.read(descriptor), EVERYTHING)
            yield Referrer(below, graph.root.digest, item.tag)


def list_referrers(source: Source, subject: Digest) -> tuple[str, ...]:
    """Return the tags or digests of a manifest's referrers, without reading the referrers."""
    found = islice(_list(source, subject), MAX_REFERRERS)
    return tuple(tag or descriptor.digest.text for tag, descriptor in found)


def _find_all(
    graph: Graph, label: str, source: Source, reader: ManifestReader
) -> Iterator[Referrer]:
    seen = {item.descriptor.digest for item in graph.manifests}
    subjects: list[Digest] = sorted(seen)
    count = 0
    while subjects:
        subject = subjects.pop()
        for tag, descriptor in _list(source, subject):
            if descriptor.digest in seen:
                continue
            count += 1
            if count > MAX_REFERRERS:
                raise LimitError(f"{label}: more than {MAX_REFERRERS:,} referrers")
            raw = reader.read(descriptor)
            if tag is None:
                # The registry's list is not trusted; the subject in the manifest decides.
                actual = reader.parse(descriptor, raw).subject
                if actual is None or actual.digest != subject:
                    continue
            seen.add(descriptor.digest)
            subjects.append(descriptor.digest)
            yield Referrer(reader.read_graph(descriptor, raw, EVERYTHING), subject, tag)


def _list(source: Source, subject: Digest) -> Iterator[tuple[str | None, Descriptor]]:
    """List referrers with their cosign tag; the tag is None if the registry lists the referrer."""
    if isinstance(source, ListsReferrers):
        for descriptor in source.referrers(subject):
            yield None, replace(descriptor, annotations={})
    for suffix in _COSIGN_SUFFIXES:
        tag = f"{subject.algorithm}-{subject.hex}{suffix}"
        try:
            yield tag, source.resolve(tag)
        except NotFoundError:
            continue
