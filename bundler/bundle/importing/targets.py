"""The target of an import: the destination and the name of each image.

A target is a registry (``docker://host[:port][/prefix]``), an image layout (``oci:DIR``), or a
tree of ``dir:`` images (``dir:DIR``), in which an image is stored at ``path/tag``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from bundler import transports
from bundler.bundle.format import directory as layout
from bundler.bundle.format import store
from bundler.copy.plan import Target
from bundler.copy.target_names import NameMapping, TargetName
from bundler.errors import InvalidReferenceError, UsageError
from bundler.oci.reference import domain_of, is_domain, is_repository_path
from bundler.ports import Destination, Holdings, TagResolver
from bundler.transports.target_reference import create_target

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import ExitStack

    from bundler.bundle.format.inventory import BundledImage, Format
    from bundler.copy.graph import ResolvedImage
    from bundler.oci.digest import Digest
    from bundler.ports import OpenOptions

HoldingsT = TypeVar("HoldingsT", bound=Holdings)
HoldingsT_co = TypeVar("HoldingsT_co", bound=Holdings, covariant=True)


@dataclass(frozen=True, slots=True)
class MappedImage(Generic[HoldingsT_co]):
    """One image of the bundle, its destination, and its names there."""

    image: BundledImage
    destination: HoldingsT_co
    resolver: TagResolver | None
    """Resolves names at the destination; None: it has none."""
    name: str | None
    """None: the image is published by its digest only."""
    display: str
    """The whole target name, for messages and reports."""
    referrer_names: Mapping[Digest, str]
    """The names of the referrers that get one, by the digest of their root."""

    def list_names(self) -> list[tuple[str, Digest]]:
        """Return all names, and the digest to publish under each: the image first."""
        names = [] if self.name is None else [(self.name, self.image.digest)]
        return names + [(name, digest) for digest, name in self.referrer_names.items()]

    def create_target(
        self, image: ResolvedImage, *, unchanged: Collection[str]
    ) -> Target[HoldingsT_co]:
        """Return the target of ``image``; the names in ``unchanged`` are not published."""
        names = () if self.name is None or self.name in unchanged else (self.name,)
        referrers: dict[Digest, tuple[str, ...]] = {}
        for item in self.image.referrers:
            name = self.referrer_names.get(item.digest)
            referrers[item.digest] = () if name is None or name in unchanged else (name,)
        return Target(image, self.destination, names, {}, referrers)


@dataclass(frozen=True, slots=True)
class RegistryTarget:
    """A registry, and the prefix of all names in it."""

    host: str
    prefix: str


@dataclass(frozen=True, slots=True)
class DirectoryTarget:
    """A directory that becomes an image layout or a tree of ``dir:`` images."""

    format: Format
    directory: Path


def parse_target(text: str) -> RegistryTarget | DirectoryTarget:
    """Parse the target of an import.

    Raises:
        InvalidReferenceError: ``text`` is not a target.
    """
    transport, _, rest = text.partition(":")
    if transport == "docker" and rest.startswith("//"):
        host, _, prefix = rest[2:].rstrip("/").partition("/")
        # Without a dot, a port or that very name, a host would be parsed as a path at Docker Hub.
        is_host = is_domain(host) and (not {".", ":"}.isdisjoint(host) or host == "localhost")
        if not is_host or (prefix and not is_repository_path(prefix)):
            raise InvalidReferenceError(
                f"docker:{rest[:200]} is not a registry",
                hint="write docker://HOST:PORT[/PREFIX], the prefix in lower case",
            )
        return RegistryTarget(host, prefix)
    if rest and transport in ("oci", "dir"):
        return DirectoryTarget("dir" if transport == "dir" else "oci", Path(rest))
    raise InvalidReferenceError(
        f"{text[:200]!r} is not a target of an import",
        hint="write docker://HOST[:PORT][/PREFIX], oci:DIR, dir:DIR, or name a target file",
    )


def find_registry_host(target: str) -> str | None:
    """Return the ``host[:port]`` of a target, as in references; None if it is no registry."""
    if not target.startswith("docker://"):
        return None
    return domain_of(target.removeprefix("docker://").partition("/")[0])


def open_target(
    target: RegistryTarget | DirectoryTarget,
    images: Sequence[BundledImage],
    names: NameMapping,
    options: OpenOptions,
    stack: ExitStack,
) -> list[MappedImage[Destination]]:
    """Open a target for writing, and map each image to its place in it.

    Args:
        target: the target.
        images: the images to import.
        names: the mapping of names; a prefix of the target is added.
        options: how to open the target.
        stack: closes the destinations.

    Raises:
        InvalidReferenceError: a target name is invalid.
        UsageError: the target is a bundle.
        LockedError, MediumError: a directory cannot be written.
    """
    if isinstance(target, RegistryTarget):
        return _map_to_registry(target, images, names, options, stack)
    _check_not_a_bundle(target.directory)
    destination = store.open_for_writing(target.directory, target.format, options)
    stack.callback(destination.close)
    return _map_to_directory(target, images, names, destination, destination)


def survey_target(
    target: RegistryTarget | DirectoryTarget,
    images: Sequence[BundledImage],
    names: NameMapping,
    options: OpenOptions,
    stack: ExitStack,
) -> Sequence[MappedImage[Holdings]]:
    """As ``open_target``, but do not create or lock a directory."""
    if isinstance(target, RegistryTarget):
        return _map_to_registry(target, images, names, options, stack)
    _check_not_a_bundle(target.directory)
    holdings = store.DirectoryHoldings(target.directory, target.format)
    source = None
    if target.directory.exists():
        source = store.open_for_reading(target.directory, target.format)
        stack.callback(source.close)
    return _map_to_directory(target, images, names, holdings, source)


def _map_to_registry(
    target: RegistryTarget,
    images: Sequence[BundledImage],
    names: NameMapping,
    options: OpenOptions,
    stack: ExitStack,
) -> list[MappedImage[Destination]]:
    names = replace(names, prefix=target.prefix)
    destinations: dict[str, Destination] = {}
    mapped = []
    for image in images:
        name = names.map_reference(image.reference, image.digest, image.rename)
        location = create_target("docker", target.host, str(name))
        destination = destinations.get(location.scope)
        if destination is None:
            destination = transports.open_destination(location.reference, options)
            destinations[location.scope] = destination
            stack.callback(destination.close)
        mapped.append(
            MappedImage(
                image,
                destination,
                destination if isinstance(destination, TagResolver) else None,
                name.tag,
                f"{target.host}/{name}",
                {item.digest: item.tag for item in image.referrers if item.tag},
            )
        )
    return mapped


def _map_to_directory(
    target: DirectoryTarget,
    images: Sequence[BundledImage],
    names: NameMapping,
    destination: HoldingsT,
    resolver: TagResolver | None,
) -> list[MappedImage[HoldingsT]]:
    format_name = _to_path if target.format == "dir" else str
    mapped = []
    for image in images:
        name = names.map_reference(image.reference, image.digest, image.rename)
        referrers = {
            item.digest: format_name(TargetName(name.path, item.tag, item.digest))
            for item in image.referrers
        }
        display = f"{target.format}:{target.directory}:{format_name(name)}"
        mapped.append(
            MappedImage(image, destination, resolver, format_name(name), display, referrers)
        )
    return mapped


def _check_not_a_bundle(directory: Path) -> None:
    if (directory / layout.INVENTORY).exists():
        raise UsageError(
            f"{directory}: is a bundle, which an import would damage",
            hint="specify another directory",
        )


def _to_path(name: TargetName) -> str:
    """Return the directory of an image in a tree, without colons, which FAT does not support."""
    if name.tag:
        return f"{name.path}/{name.tag}"
    return f"{name.path}/{str(name.digest).replace(':', '-')}"
