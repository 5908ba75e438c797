"""Find the referrers of an image: signatures, attestations, SBOMs.

They are found by their ``subject`` field, which the source may index, and by cosign's tags.
A registry also returns the signatures under a tag of cosign as signatures of the manifest.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from bundler.copy.image import Referrer
from bundler.errors import (
    BundlerError,
    DigestMismatchError,
    LimitError,
    MalformedError,
    NotFoundError,
    RefusedRequestError,
    UnsupportedError,
    count,
)
from bundler.events import WarningIssued
from bundler.oci import manifest
from bundler.ports import KnowsNames, ListsReferrers, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bundler.copy.image import Graph, ImageRequest, PinnedReferrer, ResolvedImage
    from bundler.copy.resolving.graph_builder import ReadManifest
    from bundler.events import Emit
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import Manifest

MAX_REFERRERS = 1_000
"""Maximum number of referrers of an image that are read. As many more are left behind by name."""
MAX_REFERRER_DEPTH = 8
"""Maximum number of levels, for example an SBOM, its attestation, and the signature of that."""

_COSIGN_SUFFIXES: Mapping[str | None, tuple[str, ...]] = {
    None: (".sig", ".att", ".sbom"),
    ".att": (".sig",),
    ".sbom": (".sig",),
    ".sig": (),
}
"""The suffixes of cosign's tags for the referrers of an object, by the suffix of its own tag.

Cosign does not sign signatures, so no suffix follows ``.sig``. Otherwise, a registry that returns
a manifest for every tag would cause an endless sequence of requests.
"""

_SIGSTORE_BUNDLE = "application/vnd.dev.sigstore.bundle"
_PREDICATE = "dev.sigstore.bundle.predicateType"
_COSIGN_SIGNATURE = "https://sigstore.dev/cosign/sign/v1"
_SIGNATURE_TYPES = frozenset(
    {
        "application/vnd.cncf.notary.signature",
        "application/vnd.dev.cosign.artifact.sig.v1+json",
        "application/vnd.dev.cosign.simplesigning.v1+json",
    }
)


class GraphReader(Protocol):
    """Reads the manifests of referrers, within common limits."""

    def read(self, descriptor: Descriptor, *, is_referrer: bool = False) -> ReadManifest:
        """Return a verified manifest."""

    def read_graph(self, root: ReadManifest) -> Graph:
        """Read the graph of ``root``."""


class ReferrerFinder:
    """Finds the requested referrers of an image; ``source`` is where the image is."""

    def __init__(
        self, request: ImageRequest, source: Source, reader: GraphReader, emit: Emit
    ) -> None:
        self._request = request
        self._label = request.display_name
        self._source = source
        self._reader = reader
        self._excess: list[str] = []
        self._emit = emit
        self.left_behind: list[str] = []
        """The tags or digests of listed referrers that are not copied or cannot be read, and the
        fallback tags of lists that cannot be read."""

    def find(self, graph: Graph, replaced: Digest | None) -> tuple[Referrer, ...]:
        """Return the requested referrers of the manifests in ``graph``.

        None of the referrers of the index ``replaced`` is copied.
        """
        requested = self._request.referrers
        found = tuple(
            self._find_pinned(graph, requested)
            if isinstance(requested, tuple)
            else self._find_all(graph)
        )
        if self._excess:
            self._emit(
                WarningIssued(
                    f"left behind: {self._label}: {count(len(self._excess), 'referrer')} or more"
                    f" above the limits of {MAX_REFERRERS:,} referrers and {MAX_REFERRER_DEPTH}"
                    " levels"
                )
            )
            self.left_behind += self._excess
        if replaced is not None:
            for tag, descriptor in islice(self._list_referrers(replaced), MAX_REFERRERS):
                self.left_behind.append(tag or descriptor.digest.text)
        return found

    def _find_pinned(self, graph: Graph, pinned: Sequence[PinnedReferrer]) -> Iterator[Referrer]:
        """Find referrers by their digests, since their tags may have moved.

        A source that cannot resolve the digest may still list the referrer.
        """
        listed: dict[Digest, Referrer] | None = None
        for item in pinned:
            try:
                descriptor = self._source.resolve(item.digest.text)
            except NotFoundError:
                if listed is None:
                    referrers = self._find_all(graph)
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
            found = self._reader.read_graph(self._reader.read(descriptor, is_referrer=True))
            yield Referrer(found, graph.root.digest, item.tag)

    def _find_all(self, graph: Graph) -> Iterator[Referrer]:
        """Find all referrers and their own referrers, each once."""
        seen = {item.descriptor.digest for item in graph.manifests}
        # The levels are searched one after the other: a deep chain cannot displace a signature.
        subjects: deque[tuple[Digest, str | None, int]] = deque(
            (item, None, 0) for item in sorted(seen, reverse=True)
        )
        listed = 0
        only_signatures = self._request.referrers == "signatures"
        while subjects:
            subject, suffix, depth = subjects.popleft()
            for tag, descriptor in self._list_referrers(subject, suffix):
                name = tag or descriptor.digest.text
                if descriptor.digest in seen:
                    continue
                seen.add(descriptor.digest)
                listed += 1
                if listed > MAX_REFERRERS or depth >= MAX_REFERRER_DEPTH:
                    self._excess.append(name)
                    if len(self._excess) < MAX_REFERRERS:
                        continue
                    return
                if only_signatures and tag is not None and not tag.endswith(".sig"):
                    self.left_behind.append(name)
                    continue
                try:
                    item = self._reader.read(descriptor, is_referrer=True)
                    referred = item.parsed.subject
                    found = self._reader.read_graph(item)
                except (NotFoundError, MalformedError, UnsupportedError) as error:
                    self._leave_behind(name, error)
                    continue
                except LimitError as error:
                    self._leave_behind(name, error)
                    listed = MAX_REFERRERS  # no more are read
                    continue
                # The registry's list is not trusted; the subject in the manifest decides.
                if tag is None and (referred is None or referred.digest != subject):
                    continue
                if only_signatures and not _is_signature(tag, item.parsed):
                    self.left_behind.append(name)
                    continue
                own_suffix = tag and tag[tag.rindex(".") :]
                subjects.append((descriptor.digest, own_suffix, depth + 1))
                yield Referrer(found, subject, tag)

    def _list_referrers(
        self, subject: Digest, suffix: str | None = None
    ) -> Iterator[tuple[str | None, Descriptor]]:
        """List referrers with their cosign tag; the tag is None if the registry lists the referrer.

        ``suffix`` is the suffix of the cosign tag of ``subject`` itself; None if it has none.
        """
        front = subject.text.replace(":", "-")  # also the fallback tag of the list
        if isinstance(self._source, ListsReferrers):
            try:
                for descriptor in self._source.referrers(subject):
                    yield None, replace(descriptor, annotations={})
            except (LimitError, MalformedError, RefusedRequestError, UnsupportedError) as error:
                self._leave_behind(front, error)
        tags = [f"{front}{ending}" for ending in _COSIGN_SUFFIXES[suffix]]
        if isinstance(self._source, KnowsNames):
            tags = [tag for tag in tags if tag in self._source.names]
        for tag in tags:
            with suppress(NotFoundError):
                yield tag, self._source.resolve(tag)

    def _leave_behind(self, name: str, error: BundlerError) -> None:
        problem = error.message_about(f"{self._label}: referrer {name}")
        self._emit(WarningIssued(f"left behind: {problem}"))
        self.left_behind.append(name)


def leave_incomplete_behind(
    image: ResolvedImage, absent: Mapping[Digest, NotFoundError], emit: Emit
) -> ResolvedImage:
    """Return the image without the referrers that need a blob in ``absent``, and without theirs.

    ``emit`` receives a warning for each of them.
    """
    left: dict[Digest, str] = {}
    kept: list[Referrer] = []
    for referrer in image.referrers:
        name = referrer.tag or referrer.graph.root.digest.text
        digests = [node.digest for node in referrer.graph.blobs if node.digest is not None]
        errors = [absent[digest] for digest in digests if digest in absent]
        if not errors and referrer.subject not in left:
            kept.append(referrer)
            continue
        left[referrer.graph.root.digest] = name
        problem = errors[0].message if errors else "its subject was left behind"
        emit(WarningIssued(f"left behind: {image.display_name}: referrer {name}: {problem}"))
    if not left:
        return image
    return replace(image, referrers=tuple(kept), left_behind=(*image.left_behind, *left.values()))


def leave_out_referrers(
    signatures: Mapping[Digest, tuple[bytes, ...]], referrers: Sequence[Referrer]
) -> dict[Digest, tuple[bytes, ...]]:
    """Return the signatures of each manifest that are not copied as ``referrers``."""
    if not signatures:
        return {}
    from bundler.oci import signature  # noqa: PLC0415 - if there are any

    attached = {item.subject for item in referrers if item.tag and item.tag.endswith(".sig")}
    kept = {
        digest: tuple(
            raw for raw in found if digest not in attached or not signature.is_sigstore(raw)
        )
        for digest, found in signatures.items()
    }
    return {digest: found for digest, found in kept.items() if found}


def _is_signature(tag: str | None, parsed: Manifest) -> bool:
    """Return whether a referrer is a signature: of cosign, of Notation, or a sigstore bundle.

    A sigstore bundle is an attestation if it states another predicate than that of a signature.
    """
    if tag is not None:
        return tag.endswith(".sig")
    artifact_type = manifest.get_artifact_type(parsed) or ""
    if artifact_type.startswith(_SIGSTORE_BUNDLE):
        return parsed.annotations.get(_PREDICATE, _COSIGN_SIGNATURE) == _COSIGN_SIGNATURE
    return artifact_type in _SIGNATURE_TYPES
