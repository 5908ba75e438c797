"""Interfaces between the engine and the transports: sources and destinations of images.

A ``Source`` or ``Destination`` is a scope in which blobs are shared: a repository, a layout, an
archive, a container engine, or an image store. Several images may be read from it or written to it
at the same time. The engine resolves a name at a source, reads the content, pushes it to the
destination, blobs before manifests, and finally commits the names.

Each feature that only some transports support is a separate protocol, for which the engine tests
with ``isinstance``. No code compares the names of transports.

All methods may be called from several threads at once unless their docstring says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

from bundler.cancel import Cancellation
from bundler.events import Emit, discard
from bundler.oci.descriptor import SIZE_UNKNOWN, Descriptor
from bundler.oci.media_types import FOREIGN_LAYERS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from bundler.config.registry_access import RegistryOverride
    from bundler.config.settings import Settings
    from bundler.content.streams import Content, Reader, SizedReader
    from bundler.errors import BundlerError
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import Kind
    from bundler.oci.reference import ImageReference


@dataclass(frozen=True, slots=True)
class Node:
    """One manifest, config or layer to transfer."""

    kind: Kind
    """The role in the graph of the image. It does not depend on the media type."""
    media_type: str
    digest: Digest | None = None
    """The digest; None if the content is created during the transfer."""
    size: int | None = None
    """The size in bytes; None if unknown, as for content that is created during the transfer."""
    urls: tuple[str, ...] = ()
    """The URLs of a foreign layer, which may be absent from a destination; otherwise empty."""

    @classmethod
    def of(cls, descriptor: Descriptor, kind: Kind) -> Node:
        """Create the node of ``descriptor``."""
        size = None if descriptor.size == SIZE_UNKNOWN else descriptor.size
        urls = descriptor.urls if descriptor.media_type in FOREIGN_LAYERS else ()
        return cls(kind, descriptor.media_type, descriptor.digest, size, urls=urls)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The formats that a destination supports."""

    manifests: frozenset[str] | None = None
    """Supported media types of manifests; None: all."""
    omits_foreign_layers: bool = False
    """Whether foreign layers, whose descriptors have ``urls``, may be left out."""
    indexes: bool = True
    """Whether an index can be published; if not, only single images can be stored."""
    layers: Literal["any", "compressed", "uncompressed"] = "any"
    """``uncompressed``: no other layers are stored. ``compressed``: layers are compressed, unless
    the manifest must not change. ``any``: layers are stored unchanged."""
    only_tar_layers: bool = False
    """Whether the layers of an image must be tar archives, compressed or not."""
    keeps_blobs: bool = True
    """Whether the next run finds the complete blobs of a run that ended before ``commit``."""
    layers_first: bool = True
    """Whether a single writer receives layers before other blobs, and not in the plan's order."""
    writers: int = 0
    """Maximum number of blobs that may be pushed at the same time; 0: no limit."""


@dataclass(frozen=True, slots=True)
class Publication:
    """A root whose content is completely transferred, and the names to publish for it."""

    root: Descriptor
    names: tuple[str, ...]
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Stored with the name where the format allows it, for example in index.json of a layout."""
    is_referrer: bool = False
    """Whether it belongs to another root, which is stored even if this one is refused."""


class Reference(Protocol):
    """Parsed reference to an image in some transport; ``parse(str(reference)) == reference``."""

    @property
    def transport(self) -> str:
        """The name of the transport without the colon, for messages and policies only."""

    @property
    def name(self) -> str | None:
        """The name for ``Source.resolve`` and ``Publication.names``; None: the only image."""

    def __str__(self) -> str:
        """Return the complete text, including ``transport:``."""


@runtime_checkable
class RepositoryReference(Protocol):
    """A reference that may contain the name of a repository, in a registry or not."""

    @property
    def image(self) -> ImageReference | None:
        """The repository with its tag or digest; None if the reference contains none."""


@runtime_checkable
class RegistryReference(Protocol):
    """A reference to an image in a registry."""

    @property
    def registry_host(self) -> str:
        """The registry's ``host[:port]``."""


class Source(Protocol):
    """A location from which images are read. Compared and hashed by identity."""

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """Return the descriptor of the root that ``name`` currently points to.

        The descriptor is not verified; the caller verifies the content when reading it.

        Raises:
            NotFoundError: the name does not exist, or is None although there are several images.
        """

    def open(self, node: Node, /, offset: int = 0) -> AbstractContextManager[Reader]:
        """Open a new stream over the bytes of ``node`` from ``offset`` on, unverified.

        Raises:
            NotFoundError: the source does not contain ``node``.
        """

    def close(self) -> None:
        """Release files and connections. No other method may be called afterwards."""


@runtime_checkable
class Holdings(Protocol):
    """The content that a location has, and the formats that it supports.

    It is all that a plan needs to know about a destination. Compared and hashed by identity.
    """

    @property
    def capabilities(self) -> Capabilities:
        """The formats that the location supports."""

    def has(self, node: Node, /) -> bool:
        """Return whether ``node`` itself, without its children, is stored. Reads no content."""


class Destination(Holdings, Protocol):
    """A location to which images are written.

    Children are pushed before their parents. Only ``commit`` changes names.
    """

    def push(self, node: Node, content: Content, /) -> Descriptor:
        """Store ``content`` completely or not at all; return the descriptor of the stored content.

        A manifest may be stored as late as in ``commit``. The caller closes ``content``.

        Raises:
            NoSpaceError, MediumError, RegistryError: the content was not stored.
        """

    def commit(self, images: Sequence[Publication], /) -> None:
        """Store the images and publish their names durably, after all of their pushes."""

    def close(self) -> None:
        """Release files, locks and connections. Uncommitted content remains without a name."""


@runtime_checkable
class ReadableDestination(Protocol):
    """A destination whose content can be read, and is therefore verified before it is reused."""

    def open(self, node: Node, /, offset: int = 0) -> AbstractContextManager[Reader]:
        """Open a stream as ``Source.open`` does."""


@runtime_checkable
class ReadsBack(Protocol):
    """A destination that is not read before it is written, but can be read to verify it."""

    def read_back(self, node: Node, /) -> AbstractContextManager[Reader]:
        """Open what is stored, as ``Source.open`` does; no mirror or cache answers instead."""


@runtime_checkable
class TagResolver(Protocol):
    """A destination that can resolve names."""

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """Resolve a name as ``Source.resolve`` does."""


@runtime_checkable
class ChecksNames(Protocol):
    """A destination whose names may exclude one another, such as paths of directories."""

    def check_names(self, names: Collection[str], /) -> None:
        """Raise ConflictError if images with ``names`` cannot be stored beside one another."""


@runtime_checkable
class Deletes(Protocol):
    """A destination that can delete images."""

    def delete(self, name: str | None = None, /) -> Descriptor:
        """Durably delete the image that ``name`` points to; return its descriptor.

        A registry deletes all of its tags. A layout keeps the content that other images need.

        Raises:
            NotFoundError: the image does not exist.
        """


@runtime_checkable
class DeletesTags(Protocol):
    """A destination that can delete a tag and keep the image."""

    def untag(self, name: str | None = None, /) -> Descriptor:
        """Durably delete the tag ``name``; return the descriptor that it pointed to.

        Raises:
            NotFoundError: the tag does not exist.
            UsageError: ``name`` has no tag.
        """


class SynthesizesManifests:
    """Marker of a source that stores no manifests and creates them on reading.

    No other program knows the digests of these manifests, so the engine may convert the image.
    """

    __slots__ = ()


class ReadsInOrder:
    """Marker of a source that returns its content once, in one order.

    The engine reads one blob at a time, in the order of the plan.
    """

    __slots__ = ()


@runtime_checkable
class KeepsOriginalManifests(Protocol):
    """A source that stores the original manifest, but the layers in another form."""

    def resolve_original(self, name: str | None = None, /) -> Descriptor:
        """Return the descriptor of the original manifest or index; ``open`` reads it."""


@runtime_checkable
class ReportsMirror(Protocol):
    """A source whose content may be served by a mirror."""

    @property
    def served_by(self) -> str | None:
        """The mirror, or the location in place of that of the reference, that served the content.

        None before a mirror is read, or if there is none.
        """


@runtime_checkable
class RegistryRepository(Protocol):
    """A source or destination in a registry, from which other repositories may mount blobs."""

    @property
    def mount_scope(self) -> str:
        """A value that is equal for repositories that can mount blobs from one another."""

    @property
    def repository(self) -> str:
        """The path of the repository in its registry."""


@runtime_checkable
class MountsBlobs(RegistryRepository, Protocol):
    """A destination that can mount a blob from another repository without a transfer."""

    def mount(self, node: Node, repository: str, /) -> bool:
        """Mount ``node`` from ``repository``; return whether the registry did it."""


@runtime_checkable
class ResumesPush(Protocol):
    """A destination that keeps the beginning of a blob whose push was interrupted."""

    def offset(self, node: Node, /) -> int:
        """Return the number of stored bytes; the next ``push`` of ``node`` continues there."""


@runtime_checkable
class KeepsParts(Protocol):
    """A destination that keeps the beginning of a blob across runs, and can read it."""

    def open_part(self, node: Node, /) -> SizedReader | None:
        """Open the stored beginning of ``node``, unverified; None if there is none.

        The caller closes it. The next ``push`` of ``node`` begins where its content is.
        """


@runtime_checkable
class StoresOnDisk(Protocol):
    """A destination whose disk is checked for free space before the first byte is written."""

    @property
    def storage_path(self) -> Path:
        """The file or directory in which content is stored; it need not exist."""


@runtime_checkable
class ListsTags(Protocol):
    """A source that can list its names."""

    def tags(self) -> list[str]:
        """Return all names in the order of the source."""


@runtime_checkable
class KnowsNames(Protocol):
    """A source that knows all names without reading anything, so that no other is looked up."""

    @property
    def names(self) -> Collection[str]:
        """The names that ``resolve`` finds, other than positions."""


@runtime_checkable
class ListsReferrers(Protocol):
    """A source that can list the referrers of a manifest."""

    def referrers(self, subject: Digest, /) -> list[Descriptor]:
        """Return the manifests whose subject is ``subject``."""


@runtime_checkable
class RefusesReferrers(Protocol):
    """A destination that may refuse referrers and store everything else."""

    @property
    def refused_referrers(self) -> Mapping[Digest, BundlerError]:
        """The errors of referrers that ``commit`` could not store or list, by digest."""


class TransportOptions(Protocol):
    """Options that a single transport defines in its module; each of them has a default."""

    transport: ClassVar[str]
    """The name of the transport."""


OptionsT = TypeVar("OptionsT", bound=TransportOptions)


@dataclass(frozen=True, slots=True)
class OpenOptions:
    """Options for opening sources and destinations; a transport uses those that concern it."""

    load_settings: Callable[[], Settings]
    """Returns the user's configuration; called by transports that need it, from several threads."""
    overrides: Mapping[str, RegistryOverride] = field(default_factory=dict)
    """Per-registry settings, from the command line or a bundle manifest, by ``host[:port]``."""
    transport_options: tuple[TransportOptions, ...] = ()
    """Options that single transports define, at most one record of each type."""
    scratch: Path | None = None
    """The directory for large temporary files; None: the default of each transport, on disk."""
    lenient: bool = False
    """Whether sources are read as Skopeo reads them: symbolic links below a directory are
    followed, and archives may repeat members or lack their end."""
    time_limit: float | None = None
    """The time limit of the run in seconds, which the caller enforces; None: no limit."""
    cancellation: Cancellation = field(default_factory=Cancellation)
    emit: Emit = discard
    """Receives events; called from several threads."""

    def get(self, kind: type[OptionsT]) -> OptionsT:
        """Return the options of type ``kind``, or its defaults if none are given."""
        return next((item for item in self.transport_options if isinstance(item, kind)), kind())
