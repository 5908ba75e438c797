"""The seam: what the engine asks of a place that images come from or go to.

A ``Source`` or ``Destination`` stands for one blob scope: a repository, a layout, an archive, a
daemon, a storage. Many images may come from it or go into it at once. What only some places can
do is a protocol of its own, looked for with ``isinstance``; nothing ever asks for a transport's
name.

Everything here may be called from several threads at once, except where it says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from bundler.cancel import Cancellation
from bundler.events import Emit, discard
from bundler.oci.descriptor import SIZE_UNKNOWN, Descriptor

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bundler.config.registry_access import RegistryOverride
    from bundler.config.settings import Settings
    from bundler.content.streams.reader import Content, Reader
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import Kind
    from bundler.oci.reference import ImageReference


@dataclass(frozen=True, slots=True)
class Node:
    """One thing to move; ``kind`` comes from its place in the graph, never its media type."""

    kind: Kind
    media_type: str
    digest: Digest | None = None
    """None: being made on the way."""
    size: int | None = None
    """In bytes; None: being made, or not said by the manifest."""
    diff_id: Digest | None = None
    urls: tuple[str, ...] = ()

    @classmethod
    def of(cls, descriptor: Descriptor, kind: Kind) -> Node:
        """The node that ``descriptor`` points at."""
        size = None if descriptor.size == SIZE_UNKNOWN else descriptor.size
        return cls(kind, descriptor.media_type, descriptor.digest, size, urls=descriptor.urls)


LayerForm = Literal["any", "compressed", "uncompressed"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a destination can hold."""

    manifests: frozenset[str] | None = None
    """Media types of manifests; None: any."""
    foreign_urls: bool = False
    """Whether a layer may stay away because its ``urls`` say where it is."""
    indexes: bool = True
    """Whether an index may be published; else only one of its images can go here."""
    layers: LayerForm = "any"
    """``uncompressed``: nothing else can be stored. ``compressed``: what is not is better made so
    on the way, where nothing forbids that. ``any``: as they come."""
    writers: int = 0
    """How many blobs may be pushed at once; 0: any number."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A root that has arrived with all its parts, and the names that are to stand for it."""

    root: Descriptor
    names: tuple[str, ...]
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    """For places that keep annotations beside a name (an image layout's index.json)."""


class Reference(Protocol):
    """What a user wrote to name an image in some transport; ``parse(str(r)) == r``."""

    @property
    def transport(self) -> str:
        """The name before the colon, for messages and policies only."""
        ...

    @property
    def name(self) -> str | None:
        """What ``Source.resolve`` takes and ``Publication.names`` gets; None: the only image."""
        ...

    def __str__(self) -> str:
        """The whole text, ``transport:`` included."""
        ...


@runtime_checkable
class RepositoryReference(Protocol):
    """A reference whose image may belong to a repository, wherever it lies now."""

    @property
    def image(self) -> ImageReference | None:
        """The repository, with the tag or the digest that was written; None: none was named."""
        ...


@runtime_checkable
class RegistryReference(Protocol):
    """A reference to an image that a registry serves."""

    @property
    def registry_host(self) -> str:
        """The registry's ``host[:port]``."""
        ...


class Source(Protocol):
    """Where images come from. Compared and hashed by identity."""

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """The root that ``name`` stands for now.

        The descriptor is what the place says; whoever reads the content verifies it.

        Raises:
            NotFoundError: there is no such name, or several where none was given.
        """
        ...

    def open(self, target: Node, /, offset: int = 0) -> AbstractContextManager[Reader]:
        """The bytes of ``target`` from ``offset`` on, unverified; each call is a fresh stream.

        Raises:
            NotFoundError: it is not there.
        """
        ...

    def close(self) -> None:
        """Let go of files and connections; nothing may be called afterwards."""
        ...


class Holdings(Protocol):
    """The content that a location has, and the content that it accepts.

    A plan needs no more of a destination than this; a source that can list its content cheaply
    may implement it as well. Compared and hashed by identity.
    """

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the location."""
        ...

    def has(self, target: Node, /) -> bool:
        """Whether ``target`` itself is present (not what it refers to); never computes a digest."""
        ...


class Destination(Holdings, Protocol):
    """Where images go. Children arrive before parents; names change only in ``commit``."""

    def push(self, target: Node, content: Content, /) -> Descriptor:
        """Store all of ``content``, or nothing; what was stored.

        Raises:
            NoSpaceError, MediumError, RegistryError: nothing of it is visible then.
        """
        ...

    def commit(self, images: Sequence[Publication], /) -> None:
        """Make names stand for roots, durably; called once, last, from one thread."""
        ...

    def close(self) -> None:
        """Let go of files, locks and connections; what was not committed has no name."""
        ...


@runtime_checkable
class ReadableDestination(Protocol):
    """A destination whose own content can be read back: it is hashed before it is relied on."""

    def open(self, target: Node, /, offset: int = 0) -> AbstractContextManager[Reader]:
        """As ``Source.open``."""
        ...


@runtime_checkable
class TagResolver(Protocol):
    """A place, a destination above all, that can tell what a name stands for now."""

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """As ``Source.resolve``."""
        ...


@runtime_checkable
class Deletes(Protocol):
    """A destination whose images can be removed."""

    def delete(self, name: str | None = None, /) -> Descriptor:
        """Durably remove the image that ``name`` stands for; what it was.

        In a registry all its other tags go with it; in a layout what another name needs stays.

        Raises:
            NotFoundError: there is no such image.
        """
        ...


@runtime_checkable
class DeletesTags(Protocol):
    """A destination that can forget a tag and keep what it stood for."""

    def untag(self, name: str | None = None, /) -> Descriptor:
        """Durably remove the tag ``name``; what it stood for.

        Raises:
            NotFoundError: there is no such tag.
            UsageError: ``name`` holds no tag.
        """
        ...


class SynthesizesManifests:
    """Marks a source that stores no manifests and makes them when it is read.

    No other program can know their digests, so an image may change its form on the way.
    """

    __slots__ = ()


@runtime_checkable
class KeepsOriginalManifests(Protocol):
    """A source that keeps the manifest an image came with, though not the layers it names.

    What can be copied out has another manifest, which ``resolve`` tells.
    """

    def stored_manifest(self, name: str | None = None, /) -> Descriptor:
        """The manifest or list that the image ``name`` came with; ``open`` reads it.

        Raises:
            NotFoundError: as ``resolve``.
        """
        ...


@runtime_checkable
class ReportsMirror(Protocol):
    """A source that may have been served by a mirror."""

    @property
    def served_by(self) -> str | None:
        """The place that content really came from, once some did; None: the one that was named."""
        ...


@runtime_checkable
class RegistryRepository(Protocol):
    """A source or destination in a registry: its blobs may be mounted into its neighbours."""

    @property
    def mount_scope(self) -> str:
        """Equal for places that may mount from one another."""
        ...

    @property
    def repository(self) -> str:
        """The repository's path in its registry."""
        ...


@runtime_checkable
class MountsBlobs(RegistryRepository, Protocol):
    """A destination that can take a blob from another repository without moving bytes."""

    def mount(self, target: Node, repository: str, /) -> bool:
        """Try to mount ``target`` from ``repository``; False where the registry will not."""
        ...


@runtime_checkable
class ResumesPush(Protocol):
    """A destination that keeps the front of a blob whose push broke off."""

    def offset(self, target: Node, /) -> int:
        """How many bytes it holds; the next ``push`` of ``target`` goes on from there."""
        ...


@runtime_checkable
class ListsTags(Protocol):
    """A source that can tell all its names."""

    def tags(self) -> list[str]:
        """Every name, in the order the place gives them."""
        ...


@runtime_checkable
class ListsReferrers(Protocol):
    """A source that knows which manifests name another as their subject."""

    def referrers(self, subject: Digest, /) -> list[Descriptor]:
        """The manifests that refer to ``subject``; empty if there are none."""
        ...


@runtime_checkable
class HasSignatures(Protocol):
    """A source that keeps signatures beside its manifests."""

    def signatures(self, of: Digest, /) -> list[bytes]:
        """Those of one manifest, each as it is stored, none of them verified."""
        ...


@runtime_checkable
class StoresSignatures(Protocol):
    """A destination that keeps signatures beside its manifests."""

    def push_signatures(self, of: Digest, signatures: Sequence[bytes], /) -> None:
        """Let ``signatures`` be those of a manifest, from ``commit`` on."""
        ...


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """How to open a place. Each transport takes what concerns it."""

    settings: Settings
    overrides: Mapping[str, RegistryOverride] = field(default_factory=dict)
    """What the command line or a bundle manifest says of a registry, by its host[:port]."""
    duplicate_blobs: bool = False
    """dir trees: copy a shared blob where the medium has no hard links."""
    daemon_host: str | None = None
    """Where a container engine listens, as ``unix:///path/of/its/socket``; None: Docker's."""
    shared_blob_dir: Path | None = None
    """oci: layouts: the directory of blobs that several layouts share; None: each its own."""
    scratch: Path | None = None
    """Where large temporary files go; None: where each place sees fit, on a disk."""
    cancellation: Cancellation = field(default_factory=Cancellation)
    emit: Emit = discard


class Transport(Protocol):
    """Ties a name (``docker:``, ``oci:``) to its references, sources and destinations."""

    def parse(self, text: str, /) -> Reference:
        """Read what stands after ``transport:``.

        Raises:
            InvalidReferenceError: with the part that is wrong.
        """
        ...

    def source(self, reference: Reference, options: OpenOptions, /) -> Source:
        """Open the place that ``reference`` names, for reading."""
        ...

    def destination(self, reference: Reference, options: OpenOptions, /) -> Destination:
        """Open the place that ``reference`` names, for writing.

        Raises:
            UnsupportedError: this transport can only be read.
            LockedError: somebody else is writing there.
        """
        ...


PolicyCheck = Callable[[Source, str, Descriptor, bytes], None]
"""A policy: called with (source, reference, descriptor, bytes) for each manifest before it is
parsed; returns nothing, or raises a TrustError."""
