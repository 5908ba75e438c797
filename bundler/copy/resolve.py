"""Resolve: from a name to the whole graph of manifests below it, each verified and parsed.

Manifests are small and held in memory, bounded in number, depth and bytes; blobs are only named.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Literal

from bundler.content.verified import VerifiedReader
from bundler.copy.select import EVERYTHING, Selection, check_platform, children
from bundler.errors import (
    CannotConvertError,
    ConflictError,
    DigestMismatchError,
    LimitError,
    MalformedError,
    NotFoundError,
    RegistryError,
    SizeMismatchError,
)
from bundler.oci import image_config, manifest, media_types, schema1
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import ImageManifest, Index, Manifest
from bundler.oci.platform import Platform
from bundler.oci.schema1 import Schema1
from bundler.ports import Admit, HasSignatures, ListsReferrers, Node, Source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


MAX_DEPTH = 8
MAX_MANIFESTS = 20_000
MAX_MANIFEST_BYTES = 64 * 1024 * 1024
MAX_REFERRERS = 1_000

COSIGN_SUFFIXES = (".sig", ".att", ".sbom")


@dataclass(frozen=True, slots=True)
class Wish:
    """One image to resolve: ``name`` as ``source`` knows it, ``label`` as messages call it."""

    source: Source
    name: str | None
    label: str
    selection: Selection = EVERYTHING
    referrers: bool = False
    pin: Digest | None = None
    """What ``name`` must stand for, before platforms are chosen."""
    known_referrers: tuple[tuple[Digest, str | None], ...] | None = None
    """Exactly these referrers, each with its tag if it has one; None: whatever there is."""
    signatures: Literal["all", "images", "none"] = "none"
    """Which of the signatures that lie beside manifests are wanted; ``images``: not a list's."""
    tells_platform: bool = True
    """Whether an image that is in no index is to say where it runs, though any would do."""


@dataclass(frozen=True, slots=True)
class GraphManifest:
    """A manifest of a graph; ``depth`` 0 has no manifests below it."""

    descriptor: Descriptor
    raw: bytes = field(repr=False)
    depth: int


@dataclass(frozen=True, slots=True)
class Graph:
    """A root, all manifests below it (children before parents, each once) and their blobs."""

    root: Descriptor
    manifests: tuple[GraphManifest, ...]
    blobs: tuple[Node, ...]
    platforms: tuple[Platform, ...]


@dataclass(frozen=True, slots=True)
class Referrer:
    """Something that refers to ``subject``, by its subject member or by cosign's tag."""

    graph: Graph
    subject: Digest
    tag: str | None


@dataclass(frozen=True, slots=True)
class Image:
    """A resolved wish: what travels, and what it was before platforms were stripped."""

    wish: Wish
    graph: Graph
    replaces: Digest | None
    referrers: tuple[Referrer, ...]
    left_behind: tuple[str, ...] = ()
    """What refers to ``replaces``, by tag or digest: it says nothing of what travels instead."""
    signatures: Mapping[Digest, tuple[bytes, ...]] = field(
        default_factory=dict, hash=False, repr=False
    )
    """What lies beside the manifests of ``graph``, as it is stored and unverified."""

    @property
    def graphs(self) -> Iterator[Graph]:
        """The image's own graph, then those of its referrers."""
        yield self.graph
        for referrer in self.referrers:
            yield referrer.graph


def resolve(wish: Wish, admit: Admit | None = None) -> Image:
    """Follow ``wish`` down to its last manifest, and to its referrers if they are wanted.

    Raises:
        NotFoundError: the name, a platform, a manifest or a known referrer is not there.
        ConflictError: the name stands for something else than its pin.
        IntegrityError: a manifest is not what its descriptor says.
        LimitError: the graph is larger or deeper than allowed.
        TrustError: ``admit`` refused a manifest.
    """
    reading = _Reading(wish, admit)
    found = wish.source.resolve(wish.name)
    if wish.pin not in (None, found.digest):
        raise ConflictError(
            f"{wish.label}: expected {wish.pin}, but it is {found.digest} now",
            hint="the name has moved: look at what is new, then pin that digest",
        )
    root, raw, selection = _choose_root(found, wish, reading)
    graph = reading.graph(root, raw, selection)
    replaces = None if root.digest == found.digest else found.digest
    if replaces is not None and root.media_type in media_types.INDEXES:
        _refuse_to_strip_signed(replaces, wish)
    signatures = _signatures(graph, wish)
    if not wish.referrers:
        return Image(wish, graph, replaces, (), signatures=signatures)
    try:
        referrers = tuple(_referrers(graph, wish, reading))
        left_behind = () if replaces is None else _left_behind(wish.source, replaces)
    except RegistryError as error:
        # The image may have come from a mirror that does not tell, and this from elsewhere.
        error.add_note(
            f"while looking for what refers to {wish.label}; `referrers: none` leaves it behind"
        )
        raise
    return Image(wish, graph, replaces, referrers, left_behind, signatures)


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


class _Reading:
    """Reads manifests of one wish, within the wish's limits."""

    def __init__(self, wish: Wish, admit: Admit | None) -> None:
        self._wish = wish
        self._admit = admit
        self._raw: dict[Digest, bytes] = {}
        self._size = 0

    def raw(self, descriptor: Descriptor) -> bytes:
        """The bytes of a manifest; each is fetched once."""
        known = self._raw.get(descriptor.digest)
        if known is None:
            known = fetch(self._wish.source, descriptor, self._wish.label)
            self._size += len(known)
            if self._size > MAX_MANIFEST_BYTES or len(self._raw) >= MAX_MANIFESTS:
                raise LimitError(f"{self._wish.label}: too many manifests below one name")
            if self._admit is not None:
                self._admit(self._wish.source, self._wish.label, descriptor, known)
            self._raw[descriptor.digest] = known
        elif len(known) != descriptor.size:
            what = f"{self._wish.label}: manifest {descriptor.digest}"
            raise SizeMismatchError(what, expected=descriptor.size, got=str(len(known)))
        return known

    def parse(self, descriptor: Descriptor, raw: bytes) -> Manifest:
        """The parsed view of a manifest of this wish."""
        what = f"{self._wish.label}: manifest {descriptor.digest}"
        return manifest.parse(raw, descriptor.media_type, what=what)

    def graph(self, root: Descriptor, raw: bytes, selection: Selection) -> Graph:
        """All that hangs off ``root``, whose bytes are ``raw``."""
        self._raw.setdefault(root.digest, raw)
        gathering = _Gathering(self, self._wish.label)
        if root.platform is not None:
            gathering.platforms[root.platform] = None
        gathering.visit(root, selection, 0)
        return Graph(
            root,
            tuple(gathering.manifests.values()),
            tuple(gathering.blobs.values()),
            tuple(gathering.platforms),
        )


class _Gathering:
    """Collects one graph, depth first, each manifest and blob once."""

    def __init__(self, reading: _Reading, label: str) -> None:
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
    found: Descriptor, wish: Wish, reading: _Reading
) -> tuple[Descriptor, bytes, Selection]:
    """The root that travels, its bytes, and what of it is still to be selected.

    It is the one that was found, one platform's own, or a smaller index.
    """
    raw = reading.raw(found)
    parsed = reading.parse(found, raw)
    root = found
    level = 0
    while wish.selection.single and isinstance(parsed, Index):
        level += 1
        if level > MAX_DEPTH:
            raise LimitError(f"{wish.label}: indexes nested deeper than {MAX_DEPTH} levels")
        root = replace(children(parsed, wish.selection, wish.label)[0], annotations={})
        raw = reading.raw(root)
        parsed = reading.parse(root, raw)
    if not isinstance(parsed, Index):
        asked = wish.tells_platform or wish.selection.platforms
        platform = root.platform or (_platform(parsed, wish) if asked else None)
        if platform is not None:
            check_platform(platform, wish.selection, wish.label)
        return replace(root, platform=platform), raw, EVERYTHING
    wanted = children(parsed, wish.selection, wish.label)
    partial = wish.selection.index == "sparse" or wish.selection.index_only
    if partial or len(wanted) == len(parsed.manifests):
        return found, raw, wish.selection
    stripped = manifest.strip(parsed, {child.digest for child in wanted})
    return Descriptor(found.media_type, Digest.of(stripped), len(stripped)), stripped, EVERYTHING


def _platform(parsed: ImageManifest | Schema1, wish: Wish) -> Platform | None:
    """An image that is in no index says in its config where it runs; an artifact need not."""
    if isinstance(parsed, Schema1):
        top = schema1.top_config(parsed, what=wish.label)
        return Platform.from_json(top | {"architecture": parsed.architecture}, wish.label)
    if parsed.is_artifact:
        return None
    raw = fetch(wish.source, parsed.config, wish.label, kind="config")
    what = f"{wish.label}: config {parsed.config.digest}"
    platform = image_config.parse(raw, what=what).platform
    return platform if platform.os or platform.architecture else None


def _refuse_to_strip_signed(replaces: Digest, wish: Wish) -> None:
    if wish.signatures != "all" or not isinstance(wish.source, HasSignatures):
        return
    if wish.source.signatures(replaces):
        raise CannotConvertError(
            f"{wish.label}: without some of its images the list would get another digest",
            reason="the list is signed",
            hint="leave its signatures behind with --remove-list-signatures",
        )


def _signatures(graph: Graph, wish: Wish) -> dict[Digest, tuple[bytes, ...]]:
    if wish.signatures == "none" or not isinstance(wish.source, HasSignatures):
        return {}
    found = {
        item.descriptor.digest: tuple(wish.source.signatures(item.descriptor.digest))
        for item in graph.manifests
        if wish.signatures == "all" or item.descriptor.media_type not in media_types.INDEXES
    }
    return {digest: signatures for digest, signatures in found.items() if signatures}


def _referrers(graph: Graph, wish: Wish, reading: _Reading) -> Iterator[Referrer]:
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


def _left_behind(source: Source, replaced: Digest) -> tuple[str, ...]:
    found = islice(_referring(source, replaced), MAX_REFERRERS)
    return tuple(tag or descriptor.digest.text for tag, descriptor in found)


def _known_referrers(graph: Graph, wish: Wish, reading: _Reading) -> Iterator[Referrer]:
    """The ones that are wanted, by digest: their tags may stand for others by now."""
    found: dict[Digest, Referrer] | None = None
    for digest, tag in wish.known_referrers or ():
        try:
            descriptor = wish.source.resolve(digest.text)
        except NotFoundError:
            if found is None:
                anything = _referrers(graph, replace(wish, known_referrers=None), reading)
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


def unique_blobs(images: Sequence[Image]) -> dict[Digest, Node]:
    """Every blob of ``images`` and their referrers, each once."""
    blobs: dict[Digest, Node] = {}
    for image in images:
        for graph in image.graphs:
            for node in graph.blobs:
                if node.digest is not None:
                    blobs.setdefault(node.digest, node)
    return blobs
