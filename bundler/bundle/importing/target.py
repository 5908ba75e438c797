"""The target of an import: a registry, an image layout, or a tree of ``dir:`` images.

A target is written as ``docker://host[:port][/prefix]``, ``atomic:host[:port][/namespace]``,
``oci:DIR`` or ``dir:DIR``. In a tree of ``dir:`` images, an image is stored in the directory
``path/tag``.
"""

from __future__ import annotations

import os.path
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast, get_args

from bundler import transports
from bundler.bundle.format.bundle_source import open_for_reading
from bundler.bundle.format.inventory.inventory import Format
from bundler.bundle.format.writing import store
from bundler.bundle.format.writing.directory_holdings import DirectoryHoldings
from bundler.bundle.media import filesystem
from bundler.copy.blob_transfer import push_manifest
from bundler.copy.planned_image import PlannedImage
from bundler.copy.target_names import TargetName
from bundler.errors import (
    InvalidReferenceError,
    MalformedError,
    MissingFileError,
    NotFoundError,
    RefusedRequestError,
    UnsupportedError,
)
from bundler.oci.reference import ImageReference, is_domain, is_repository_path, normalize_domain
from bundler.ports import Destination, Holdings, Publication, TagResolver
from bundler.signature_ports import StoresSignatures
from bundler.transport_port import ListsRepositories
from bundler.transports.shared.bundle_guard import refuse_bundle
from bundler.transports.source_reference import create_registry_reference, split_registry

if TYPE_CHECKING:
    from contextlib import ExitStack

    from bundler.copy.image import ResolvedImage
    from bundler.copy.plan import Plan
    from bundler.ports import OpenOptions


@dataclass(frozen=True, slots=True)
class RegistryTarget:
    """A registry, or all repositories below a prefix in a registry."""

    text: str
    """The target as the user specified it."""
    front: str
    """The beginning of references to its images: ``docker://`` or ``atomic:``."""
    host: str
    prefix: str
    """The prefix of every target name; empty: none."""

    @property
    def domain(self) -> str:
        """The host in the form that references use, for example ``docker.io``."""
        return normalize_domain(self.host)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class DirectoryTarget:
    """A directory with an image layout or a tree of ``dir:`` images."""

    text: str
    """The target as the user specified it."""
    format: Format
    directory: Path
    prefix: str = ""
    """The prefix of every target name; only a directory that stands for a registry has one."""
    stands_for_registry: bool = False
    """Whether an import into a registry is rehearsed: it may store all signatures."""

    def __str__(self) -> str:
        return self.text


ImportTarget: TypeAlias = RegistryTarget | DirectoryTarget

NO_TARGET = DirectoryTarget("none", "oci", Path(), stands_for_registry=True)
"""The target of rehearsals of imports whose target is not known."""


def parse_target(text: str, folder: Path | None = None) -> ImportTarget:
    """Parse a target; the path of a directory is relative to ``folder``, if it is given.

    Raises:
        InvalidReferenceError: not a target of an import.
    """
    registry = split_registry(text)
    if registry is not None:
        front, host, prefix = registry
        # In a reference, a first component that does not look like a host belongs to the path.
        is_host = is_domain(host) and (not {".", ":"}.isdisjoint(host) or host == "localhost")
        if not is_host or (prefix and not is_repository_path(prefix)):
            quoted = "the target (it contains credentials)" if "@" in text else text[:200]
            raise InvalidReferenceError(
                f"{quoted} is not a valid registry"
                f" (expected {front}host[:port][/prefix] in lower case)",
                hint=f"write {front}HOST:PORT[/PREFIX], the prefix in lower case",
            )
        return RegistryTarget(text, front, host, prefix)
    bundle_format, _, path = text.partition(":")
    if not path or bundle_format not in get_args(Format):
        raise InvalidReferenceError(
            f"{text[:200]!r} is not a valid import target",
            hint="write docker://HOST[:PORT][/PREFIX], atomic:HOST[:PORT]/NAMESPACE, oci:DIR,"
            " dir:DIR, or specify a target file",
        )
    if folder is not None:
        path = os.path.normpath(folder / path)
    return DirectoryTarget(f"{bundle_format}:{path}", cast("Format", bundle_format), Path(path))


def list_repositories(target: RegistryTarget, options: OpenOptions) -> list[str]:
    """Return the paths of the repositories below the prefix of ``target``, sorted.

    Raises:
        UnsupportedError: the registry does not list its repositories.
        NotFoundError: it lists none below the prefix.
        MalformedError: it lists something that is not a repository.
        RegistryError: it cannot be reached, or denies access.
    """
    front = f"{target.prefix}/" if target.prefix else ""
    any_image = ImageReference.parse(f"{target.domain}/{front}any")
    reference = create_registry_reference(any_image, target.front)
    transport = transports.find_transport(reference.transport)
    if not isinstance(transport, ListsRepositories):
        raise UnsupportedError(f"{target}: its repositories cannot be listed")
    found = transport.list_repositories(reference, options)
    paths = [path for path in found if path.startswith(front)]
    if not paths:
        raise NotFoundError(
            f"{target}: the registry lists no repository below it",
            hint="some registries list repositories only to some accounts",
        )
    for path in paths:
        if not is_repository_path(path):
            raise MalformedError(f"{target}: the registry lists {path[:200]!r}, not a repository")
    return sorted(paths)


class OpenRegistry:
    """An open registry; a destination is opened for each repository when it is first needed."""

    directory = None

    def __init__(self, target: RegistryTarget, options: OpenOptions, stack: ExitStack) -> None:
        self._target = target
        self._options = options
        self._stack = stack
        self._repositories: dict[str, Destination] = {}
        self._opening = threading.Lock()

    def create_planned_image(
        self, image: ResolvedImage, name: TargetName
    ) -> PlannedImage[Holdings]:
        """Create the target of ``image``: its repository and tag, and the referrers' tags."""
        return PlannedImage(
            image,
            self._open(ImageReference.parse(self.format_name(name))),
            (name.tag,) if name.tag else (),
            referrer_names={
                item.graph.root.digest: (item.tag,) if item.tag else () for item in image.referrers
            },
        )

    def open_repository(self, path: str) -> Holdings:
        """Return the repository with this path in the registry; it need not exist."""
        return self._open(ImageReference.parse(f"{self._target.host}/{path}"))

    def _open(self, reference: ImageReference) -> Destination:
        with self._opening:
            destination = self._repositories.get(reference.repository)
            if destination is None:
                location = create_registry_reference(reference, self._target.front)
                destination = transports.open_destination(location, self._options)
                self._repositories[reference.repository] = destination
                self._stack.callback(destination.close)
            return destination

    def format_name(self, name: TargetName) -> str:
        """Return the full target name."""
        return f"{self._target.host}/{name}"

    def stores_signatures(self, planned: PlannedImage[Holdings]) -> bool:
        """Return whether the registry stores signatures; it may refuse some of them."""
        return isinstance(planned.destination, StoresSignatures)

    def prepare(self, plan: Plan[Destination]) -> None:
        """Push sparse indexes first, since some registries reject indexes with missing manifests.

        Raises:
            UnsupportedError: the registry rejects one; nothing else was pushed.
        """
        for planned in plan.images:
            if planned.image.request.selection.index != "sparse":
                continue
            try:
                root = planned.image.graph.manifests[-1]
                push_manifest(root, planned.destination)
                planned.destination.commit([Publication(root.descriptor, ())])
            except RefusedRequestError as error:
                if error.status is None:
                    raise
                raise UnsupportedError(
                    f"{planned.image.display_name}: the target rejects an index with missing"
                    f" platforms ({', '.join(error.codes) or error.status}); nothing was pushed",
                    hint="export it with index: strip, or with all platforms",
                ) from error

    def find_resolver(self, planned: PlannedImage[Holdings]) -> TagResolver | None:
        """Return the repository of ``target`` as the resolver of its names, if it can resolve."""
        return planned.destination if isinstance(planned.destination, TagResolver) else None


class OpenDirectory:
    """An open directory; if it is not writable, it is only read and need not exist."""

    def __init__(self, target: DirectoryTarget, stack: ExitStack, *, writable: bool) -> None:
        self._format = target.format
        self._stores_signatures = target.format == "dir" or target.stands_for_registry
        self.directory = target.directory
        refuse_bundle(self.directory)
        self._resolver: TagResolver | None = None
        if writable:
            destination = store.open_for_writing(self.directory, self._format)
            stack.callback(destination.close)
            self._holdings: Holdings = destination
            self._resolver = destination
            return
        self._holdings = DirectoryHoldings(self.directory, self._format)
        if not self.directory.exists():
            return
        try:
            source = open_for_reading(self.directory, self._format)
        except MissingFileError:  # nothing was committed yet: an import was interrupted
            return
        stack.callback(source.close)
        self._resolver = source
        if isinstance(source, Holdings):  # images of a tree have other paths than in a bundle
            self._holdings = source

    def create_planned_image(
        self, image: ResolvedImage, name: TargetName
    ) -> PlannedImage[Holdings]:
        """Create the target of ``image``: its name, and a name for each referrer."""
        referrers = {
            item.graph.root.digest: TargetName(name.path, item.tag, item.graph.root.digest)
            for item in image.referrers
        }
        return PlannedImage(
            image,
            self._holdings,
            (self._local_name(name),),
            referrer_names={
                digest: (self._local_name(referrer),) for digest, referrer in referrers.items()
            },
        )

    def format_name(self, name: TargetName) -> str:
        """Return the full target name."""
        return f"{self._format}:{self.directory}:{self._local_name(name)}"

    def stores_signatures(self, planned: PlannedImage[Holdings]) -> bool:  # noqa: ARG002 - as in a registry
        """Return whether images in the directory can have signatures."""
        return self._stores_signatures

    def prepare(self, plan: Plan[Destination]) -> None:
        """Check that the file system can store files as large as the blobs to push.

        Raises:
            MediumError: it cannot.
        """
        medium = filesystem.inspect(self.directory)
        filesystem.check_largest_file(self.directory, medium, plan.largest)

    def find_resolver(self, planned: PlannedImage[Holdings]) -> TagResolver | None:  # noqa: ARG002 - as in a registry
        """Return the resolver of the names in the directory; None if it does not exist."""
        return self._resolver

    def _local_name(self, name: TargetName) -> str:
        """Return the name of an image in the directory.

        Names in format ``dir`` are paths, in which FAT allows no colons.
        """
        if self._format == "oci":
            return str(name)
        return f"{name.path}/{name.tag or str(name.digest).replace(':', '-')}"


OpenTarget: TypeAlias = OpenRegistry | OpenDirectory


def open_target(
    target: ImportTarget,
    options: OpenOptions,
    stack: ExitStack,
    *,
    writable: bool,
) -> OpenTarget:
    """Open a target; ``stack`` closes it.

    A directory is created and locked only if ``writable`` is set.

    Raises:
        UsageError: the target contains a bundle.
        LockedError, MediumError: a directory cannot be written.
    """
    if isinstance(target, RegistryTarget):
        return OpenRegistry(target, options, stack)
    return OpenDirectory(target, stack, writable=writable)
