"""Read which layers targets have: registries, directories, former bundles, and past imports.

Manifests are read, layers are not. A layer counts as held if a manifest at the target lists it. A
receipt names repositories and images, for accounts that may not list the repositories.
"""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from bundler import transports
from bundler.bundle.format.bundle_source import BundleSource, open_for_reading
from bundler.bundle.format.inventory.presupposed import HeldBlob
from bundler.bundle.format.inventory.read_inventory import read_inventory
from bundler.bundle.format.reading.open_files import open_files
from bundler.bundle.holdings.holdings_file import merge
from bundler.bundle.importing.target import (
    ImportTarget,
    RegistryTarget,
    list_repositories,
    parse_target,
)
from bundler.bundle.records.receipts import MAX_RECEIPT, TYPE
from bundler.bundle.records.signed_file import read_file
from bundler.copy.parallel import run_all
from bundler.copy.resolving.fetch import MAX_DEPTH, fetch
from bundler.errors import (
    InvalidReferenceError,
    LimitError,
    MissingFileError,
    NotFoundError,
    UnsupportedError,
    UsageError,
)
from bundler.oci import manifest, media_types
from bundler.oci.json.table import Table
from bundler.oci.reference import ImageReference
from bundler.ports import ListsTags, ReportsMirror
from bundler.transports.source_reference import create_registry_reference

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bundler.copy.engine import EngineOptions
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import Kind, Visit
    from bundler.ports import OpenOptions, Source

_MAX_IMAGES = 200_000
_IMPORTED = ("new", "same", "replaced", "merged")


@dataclass(slots=True)
class Held:
    """The layers that were found, and the names of images."""

    blobs: dict[Digest, HeldBlob] = field(default_factory=dict)
    names: dict[str, Digest] = field(default_factory=dict)
    repositories: tuple[str, ...] | None = None
    """The repositories that were read, sorted; None: the location has none."""
    complete: bool = True
    """Whether all images were read, and not only those that a receipt names."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The part of a receipt that states where its images are."""

    target: ImportTarget
    images: Mapping[str, set[str]]
    """The tags and digests of images, by the path of their repository."""

    @classmethod
    def read(cls, path: Path) -> Receipt:
        """Read a receipt, which is not authenticated: its target is asked for the content.

        Raises:
            MissingFileError, MediumError: it cannot be read.
            MalformedError, LimitError: it is not a receipt.
        """
        table = Table.parse(read_file(path, MAX_RECEIPT), str(path), limit=MAX_RECEIPT)
        if table.value.get("_type") != TYPE:
            raise table.problem(f"not a receipt (expected {TYPE!r})")
        try:
            target = parse_target(table.text("target"))
            images: dict[str, set[str]] = {}
            for image in table.tables("images", _MAX_IMAGES):
                if image.text("action") in _IMPORTED and isinstance(target, RegistryTarget):
                    name = ImageReference.parse(image.text("name"))
                    if name.domain != target.domain:
                        raise image.problem(f"name: {name} is not at the target {target}")
                    versions = images.setdefault(name.path, set())
                    versions.add(image.digest("digest").text)
                    versions |= {name.tag} if name.tag else set()
        except (UsageError, InvalidReferenceError) as error:
            raise table.problem(error.message) from None
        return cls(target, images)


Location: TypeAlias = ImportTarget | Receipt | Path
"""A target, the images of a receipt at their target, or the directory of a bundle."""


def collect(location: Location, options: OpenOptions, engine: EngineOptions) -> Held:
    """Read what is held at ``location``.

    Raises:
        UnsupportedError: the registry does not list its repositories, or a mirror answers for it.
        NotFoundError: the location does not exist, or lists nothing.
        RegistryError: the registry cannot be reached, or denies access.
        MalformedError, LimitError: a manifest or the bundle is not valid.
    """
    if isinstance(location, Receipt):
        if isinstance(location.target, RegistryTarget):
            return _read_registry(location.target, location.images, options, engine)
        location = location.target
    if isinstance(location, Path):
        with open_files(location) as files:
            _, contents = read_inventory(files)
            roots = {str(image.reference): image.root for image in contents.images}
            return _read_layers(BundleSource(files, contents), roots, "", options)
    if isinstance(location, RegistryTarget):
        paths = list_repositories(location, options)
        return _read_registry(location, dict.fromkeys(paths), options, engine)
    if not location.directory.is_dir():
        raise MissingFileError(str(location.directory))
    with closing(open_for_reading(location.directory, location.format)) as source:
        names = source.tags() if isinstance(source, ListsTags) else []
        return _read_layers(source, {name: source.resolve(name) for name in names}, "", options)


def _read_registry(
    target: RegistryTarget,
    repositories: Mapping[str, Iterable[str] | None],
    options: OpenOptions,
    engine: EngineOptions,
) -> Held:
    """Read repositories by their paths, each with the tags and digests to read; None: all tags."""
    tasks = [
        partial(_read_repository, target, path, versions, options)
        for path, versions in repositories.items()
    ]
    found = run_all(engine.executor, tasks, engine.cancellation)
    names = {name: digest for held in found for name, digest in held.names.items()}
    return Held(
        merge(held.blobs for held in found),
        names,
        tuple(sorted(repositories)),
        all(versions is None for versions in repositories.values()),
    )


def _read_repository(
    target: RegistryTarget, path: str, versions: Iterable[str] | None, options: OpenOptions
) -> Held:
    image = ImageReference.parse(f"{target.domain}/{path}")
    reference = create_registry_reference(image, target.front)
    with closing(transports.open_source(reference, options)) as source:
        roots: dict[str, Descriptor] = {}
        try:
            if versions is None:
                versions = source.tags() if isinstance(source, ListsTags) else []
            for version in versions:
                options.cancellation.check()
                with suppress(NotFoundError):  # removed meanwhile
                    separator = "@" if ":" in version else ":"
                    roots[f"{path}{separator}{version}"] = source.resolve(version)
        except NotFoundError:  # the repository was removed, or is empty
            return Held()
        held = _read_layers(source, roots, path, options)
        if isinstance(source, ReportsMirror) and source.served_by is not None:
            raise UnsupportedError(
                f"{target}: {source.served_by} answers in place of the target",
                hint="remove the mirror from registries.conf",
            )
        return held


def _read_layers(
    source: Source, roots: Mapping[str, Descriptor], repository: str, options: OpenOptions
) -> Held:
    """Read the manifests below ``roots``; an index may list manifests that are not stored."""
    repositories = (repository,) if repository else ()
    blobs: dict[Digest, HeldBlob] = {}

    def list_children(visit: Visit) -> tuple[tuple[Descriptor, Kind], ...]:
        options.cancellation.check()
        descriptor = visit.descriptor
        if visit.depth > MAX_DEPTH:
            raise LimitError(f"{descriptor.digest}: nested too deeply (at most {MAX_DEPTH} levels)")
        if descriptor.media_type not in media_types.BY_DIGEST:
            return ()  # of Docker's first format, whose digests are not those of stored bytes
        try:
            raw = fetch(source, descriptor, repository or "the target")
        except NotFoundError:
            return ()
        return manifest.list_children(manifest.parse(raw, descriptor.media_type))

    for visit in manifest.walk(roots.values(), list_children):
        layer = visit.descriptor
        if visit.kind == "layer" and not media_types.is_foreign(layer.media_type, layer.urls):
            blobs[layer.digest] = HeldBlob(layer.digest, layer.size, repositories)
    return Held(blobs, {name: root.digest for name, root in roots.items()})
