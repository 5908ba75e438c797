"""Where each image of a bundle goes: one place and one name for every image at the target.

A target is a registry (``docker://host[:port][/prefix]``), an image layout (``oci:DIR``), or a
tree of ``dir:`` images (``dir:DIR``), in which an image lies at ``path/tag``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bundler import transports
from bundler.bundle.format import directory as layout
from bundler.bundle.format import store
from bundler.copy.plan import Target
from bundler.copy.target_names import NameMapping, TargetName
from bundler.errors import InvalidReferenceError, NotFoundError, UsageError
from bundler.oci.reference import domain_of, is_domain, is_repository_path
from bundler.ports import Destination, TagResolver

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from contextlib import ExitStack

    from bundler.bundle.format.inventory import BundledImage, Format
    from bundler.copy.graph import ResolvedImage
    from bundler.oci.digest import Digest
    from bundler.ports import Holdings, OpenOptions

    _Opened = tuple[Holdings, TagResolver | None]


@dataclass(frozen=True, slots=True)
class Placed:
    """One image's place: ``names`` is what ``commit`` gets, ``shown`` what people read."""

    image: BundledImage
    destination: Holdings
    resolver: TagResolver | None
    names: tuple[str, ...]
    shown: str
    referrer_names: Mapping[Digest, tuple[str, ...]]

    def current(self) -> Digest | None:
        """What the name stands for at the target now; None: nothing."""
        return self.held_by(self.names[0]) if self.names else None

    def held_by(self, name: str) -> Digest | None:
        """What ``name``, the image's or a referrer's, stands for at the target now."""
        if self.resolver is None:
            return None
        try:
            return self.resolver.resolve(name).digest
        except NotFoundError:
            return None

    def target(self, image: ResolvedImage, *, settled: Collection[str]) -> Target[Holdings]:
        """What the engine has to do; the names in ``settled`` stay as they are."""
        referrers = {
            digest: tuple(name for name in names if name not in settled)
            for digest, names in self.referrer_names.items()
        }
        names = tuple(name for name in self.names if name not in settled)
        return Target(image, self.destination, names, {}, referrers)


@dataclass(frozen=True, slots=True)
class Placement:
    """All images' places; ``directory`` is set where the target is on a local disk."""

    images: tuple[Placed, ...]
    directory: Path | None


def place(
    target: str,
    images: Sequence[BundledImage],
    names: NameMapping,
    options: OpenOptions,
    stack: ExitStack,
    *,
    writable: bool,
) -> Placement:
    """Open what ``target`` names, and give each image its place in it.

    Args:
        target: as the user wrote it.
        images: what is to be placed.
        names: how names are made; a prefix in ``target`` comes before them.
        options: how to open the target.
        stack: closes what is opened.
        writable: False for a dry run, which makes and locks nothing.

    Raises:
        InvalidReferenceError: not a target, or a name that cannot be.
        UsageError: the target is a bundle.
        LockedError, MediumError: a local target cannot be written.
    """
    transport, _, rest = target.partition(":")
    if transport == "docker" and rest.startswith("//"):
        return _in_registry(rest[2:], images, names, options, stack)
    if rest and transport in ("oci", "dir"):
        kind: Format = "dir" if transport == "dir" else "oci"
        opened = _open_directory(kind, Path(rest), options, stack, writable=writable)
        return _in_directory(kind, Path(rest), images, names, opened)
    raise InvalidReferenceError(
        f"{target[:200]!r} is not a place to import into",
        hint="write docker://HOST[:PORT][/PREFIX], oci:DIR, dir:DIR, or name a target file",
    )


def registry_host(target: str) -> str | None:
    """The ``host[:port]`` of a target in a registry, as in references; None for a local one."""
    if not target.startswith("docker://"):
        return None
    return domain_of(target.removeprefix("docker://").partition("/")[0])


def _in_registry(
    rest: str,
    images: Sequence[BundledImage],
    names: NameMapping,
    options: OpenOptions,
    stack: ExitStack,
) -> Placement:
    host, _, prefix = rest.rstrip("/").partition("/")
    # A host without a dot, a port or that very name would be read as a path at Docker Hub.
    is_host = is_domain(host) and (not {".", ":"}.isdisjoint(host) or host == "localhost")
    if not is_host or (prefix and not is_repository_path(prefix)):
        raise InvalidReferenceError(
            f"docker://{rest[:200]} is not a registry",
            hint="write docker://HOST:PORT[/PREFIX], the prefix in lower case",
        )
    below = replace(names, prefix=prefix)
    opened: dict[str, Destination] = {}
    placed = []
    for image in images:
        inside = below.inside(str(image.reference), image.digest, image.rename)
        if inside.path not in opened:
            reference = transports.parse(f"docker://{host}/{inside.path}")
            opened[inside.path] = transports.open_destination(reference, options)
            stack.callback(opened[inside.path].close)
        destination = opened[inside.path]
        placed.append(
            Placed(
                image,
                destination,
                destination if isinstance(destination, TagResolver) else None,
                (inside.tag,) if inside.tag else (),
                f"{host}/{inside}",
                {item.digest: (item.tag,) if item.tag else () for item in image.referrers},
            )
        )
    return Placement(tuple(placed), None)


def _in_directory(
    kind: Format,
    directory: Path,
    images: Sequence[BundledImage],
    names: NameMapping,
    opened: _Opened,
) -> Placement:
    naming = _path if kind == "dir" else str
    placed = []
    for image in images:
        inside = names.inside(str(image.reference), image.digest, image.rename)
        name = naming(inside)
        referrers = {
            item.digest: (naming(TargetName(inside.path, item.tag, item.digest)),)
            for item in image.referrers
        }
        shown = f"{kind}:{directory}:{name}"
        placed.append(Placed(image, *opened, (name,), shown, referrers))
    return Placement(tuple(placed), directory)


def _open_directory(
    kind: Format, directory: Path, options: OpenOptions, stack: ExitStack, *, writable: bool
) -> _Opened:
    if (directory / layout.INVENTORY).exists():
        raise UsageError(
            f"{directory}: is a bundle, and importing into it would damage it",
            hint="name another directory",
        )
    if writable:
        destination = store.open_for_writing(directory, kind, options)
        stack.callback(destination.close)
        return destination, destination
    if not directory.exists():
        return store.DirectoryHoldings(directory, kind), None
    source = store.open_for_reading(directory, kind)
    stack.callback(source.close)
    return store.DirectoryHoldings(directory, kind), source


def _path(inside: TargetName) -> str:
    """Where a ``dir:`` image lies in its tree; FAT knows no colon."""
    if inside.tag:
        return f"{inside.path}/{inside.tag}"
    return f"{inside.path}/{str(inside.digest).replace(':', '-')}"
