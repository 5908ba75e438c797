"""Find the referrers of an image: signatures, attestations, SBOMs.

They are found by their ``subject`` field, which the source may index, and by cosign's tags.
A registry also returns the signatures under a tag of cosign as signatures of the manifest.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from bundler.copy.image import Referrer
from bundler.errors import (
    DigestMismatchError,
    LimitError,
    MalformedError,
    NotFoundError,
    UnsupportedError,
)
from bundler.events import WarningIssued
from bundler.oci import manifest
from bundler.ports import KnowsNames, ListsReferrers, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bundler.copy.graph_builder import ReadManifest
    from bundler.copy.image import Graph, ImageRequest
    from bundler.events import Emit
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import Manifest

MAX_REFERRERS = 1_000
MAX_REFERRER_DEPTH = 4  # for example an SBOM, its attestation, and the signature of the attestation

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
        self._emit = emit
        self.left_behind: list[str] = []
        """The tags or digests of listed referrers that are not copied or cannot be read."""

    def find(self, graph: Graph) -> Iterator[Referrer]:
        """Find the requested referrers of the manifests in ``graph``."""
        if not isinstance(self._request.referrers, tuple):
            yield from self._find_all(graph)
            return
        # Pinned referrers are found by digest, since their tags may have moved. A source that
        # cannot resolve the digest may still list the referrer.
        listed: dict[Digest, Referrer] | None = None
        for item in self._request.referrers:
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
        subjects: list[tuple[Digest, str | None, int]] = [(item, None, 0) for item in sorted(seen)]
        count = 0
        while subjects:
            subject, suffix, depth = subjects.pop()
            for tag, descriptor in _list_referrers(self._source, subject, suffix):
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
                only_signatures = self._request.referrers == "signatures"
                if only_signatures and not _may_be_signature(tag):
                    self.left_behind.append(tag or descriptor.digest.text)
                    continue
                try:
                    item = self._reader.read(descriptor, is_referrer=True)
                    referred = item.parsed.subject
                    found = self._reader.read_graph(item)
                except (NotFoundError, MalformedError, UnsupportedError) as error:
                    name = tag or descriptor.digest.text
                    problem = error.message_about(f"{self._label}: referrer {name}")
                    self._emit(WarningIssued(f"left behind: {problem}"))
                    self.left_behind.append(name)
                    continue
                # The registry's list is not trusted; the subject in the manifest decides.
                if tag is None and (referred is None or referred.digest != subject):
                    continue
                if only_signatures and not _is_signature(tag, item.parsed):
                    self.left_behind.append(descriptor.digest.text)
                    continue
                own_suffix = tag and tag[tag.rindex(".") :]
                subjects.append((descriptor.digest, own_suffix, depth + 1))
                yield Referrer(found, subject, tag)

    def leave_behind_all(self, replaced: Digest) -> None:
        """Record the referrers of a replaced index, none of which is copied."""
        for tag, descriptor in islice(_list_referrers(self._source, replaced), MAX_REFERRERS):
            self.left_behind.append(tag or descriptor.digest.text)


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


def _list_referrers(
    source: Source, subject: Digest, suffix: str | None = None
) -> Iterator[tuple[str | None, Descriptor]]:
    """List referrers with their cosign tag; the tag is None if the registry lists the referrer.

    ``suffix`` is the suffix of the cosign tag of ``subject`` itself; None if it has none.
    """
    if isinstance(source, ListsReferrers):
        for descriptor in source.referrers(subject):
            yield None, replace(descriptor, annotations={})
    tags = [f"{subject.text.replace(':', '-')}{ending}" for ending in _COSIGN_SUFFIXES[suffix]]
    if isinstance(source, KnowsNames):
        tags = [tag for tag in tags if tag in source.names]
    for tag in tags:
        with suppress(NotFoundError):
            yield tag, source.resolve(tag)


def _may_be_signature(tag: str | None) -> bool:
    """Return whether a referrer with this tag, or without a tag, may be a signature."""
    return tag is None or tag.endswith(".sig")


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
