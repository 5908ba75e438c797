"""List the images to sync from a repository, a directory tree, a layout, or a YAML file."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Literal

from bundler import transports
from bundler.config.registry_access import RegistryOverride
from bundler.config.yaml import document, skopeo_sync
from bundler.config.yaml.context import YamlContext
from bundler.config.yaml.document import Findings
from bundler.copy.parallel import run_all, run_collecting_errors
from bundler.errors import (
    BundlerError,
    InvalidBundleManifestError,
    LimitError,
    NotFoundError,
    UnsupportedError,
)
from bundler.events import ListingTags
from bundler.oci.reference import DEFAULT_TAG, ImageReference
from bundler.oci.tag_filter import Select, choose
from bundler.ports import ListsTags
from bundler.transports.directory.image_files import find_image_directories
from bundler.transports.shared.path_transport import derive_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import ExitStack

    from bundler.config.yaml.skopeo_sync import SyncEntry
    from bundler.copy.engine import EngineOptions
    from bundler.ports import OpenOptions, Reference

SourceKind = Literal[
    "containers-storage", "dir", "docker", "docker-archive", "oci", "oci-archive", "yaml"
]

_ANY_IMAGE = "localhost/any"
"""A placeholder, because a reference to a containers-storage must contain an image name."""
_MAX_IMAGES = 100_000
_ALL_TAGS = Select()


@dataclass(frozen=True, slots=True)
class SyncSource:
    """The location of the images, and options for reading it."""

    kind: SourceKind
    location: str
    """A repository or image, a directory, a layout or archive, or the path of a YAML file."""
    access: RegistryOverride | None = None
    """The access options of the command line, for all source registries."""
    lenient: bool = False
    """Report mistakes in the YAML file and repositories without selected tags, and continue."""


@dataclass(frozen=True, slots=True)
class SyncImage:
    """One image to copy. Implements ``Reference``."""

    source: Reference
    """The location to open, which several images may share: a repository, a layout, a directory."""
    name: str | None
    """The name of the image at the source; None: the only image."""
    label: str
    """The complete reference, for messages and reports."""
    target_name: str
    """The name to which the mapping of target names applies: ``host/repository:tag``, or a
    relative path."""

    @property
    def transport(self) -> str:
        """The transport of the source."""
        return self.source.transport

    def __str__(self) -> str:
        return self.label


@dataclass(frozen=True, slots=True)
class UnlistedImage:
    """A requested image or repository that could not be listed, and the error."""

    subject: str
    error: BundlerError


@dataclass(frozen=True, slots=True)
class SyncListing:
    """The images to copy, and the settings for reading them."""

    images: tuple[SyncImage, ...] = ()
    source_count: int = 1
    """The number of repositories, directory trees or layouts that contain the images."""
    unlisted: tuple[UnlistedImage, ...] = ()
    overrides: Mapping[str, RegistryOverride] = field(default_factory=dict)
    """Access settings by host; the YAML file takes precedence over the command line."""


def list_images(
    source: SyncSource, options: OpenOptions, engine: EngineOptions, stack: ExitStack
) -> SyncListing:
    """List all images to copy; the tags of several repositories are listed in parallel.

    Args:
        source: the location of the images.
        options: options for opening the source.
        engine: with ``keep_going``, errors are returned in the listing instead of raised.
        stack: closes the registry sessions, which the copy reuses.

    Raises:
        UsageError: a reference or the YAML file is invalid.
        NotFoundError: the location does not exist or contains no images.
    """
    match source.kind:
        case "dir":
            return _list_tree(Path(source.location))
        case "yaml":
            return _list_file(source, options, engine, stack)
        case "docker":
            image = ImageReference.parse(source.location)
            overrides = {image.domain: source.access} if source.access else {}
            if image.version is not None:
                return SyncListing((_create_image(image),), overrides=overrides)
            options = replace(options, overrides={**options.overrides, **overrides})
            images = _list_repository(image, _ALL_TAGS, options, stack)
            return SyncListing(tuple(images), overrides=overrides)
        case kind:
            return SyncListing(tuple(_list_location(kind, source.location, options)))


def _list_tree(base: Path) -> SyncListing:
    """List the directories below ``base`` that contain an image, sorted by name."""
    if not base.is_dir():
        raise NotFoundError(f"{base}: no such directory")
    images = []
    for path in find_image_directories(base):
        name = path.relative_to(base).as_posix()
        if name == ".":
            name = PurePath(os.path.abspath(base)).name  # noqa: PTH100 - keep symbolic links
        reference = transports.parse(f"dir:{path}")
        images.append(SyncImage(reference, None, str(reference), name))
        if len(images) > _MAX_IMAGES:
            raise LimitError(f"{base}: more than {_MAX_IMAGES:,} images")
    if not images:
        raise NotFoundError(f"{base}: no images", hint="an image has a manifest.json")
    return SyncListing(tuple(images))


def _list_location(kind: str, location: str, options: OpenOptions) -> Iterator[SyncImage]:
    """List the named image, or all images of a layout, an archive or a containers-storage."""
    is_storage = kind == "containers-storage" and not location.rpartition("]")[2]
    reference = transports.parse(f"{kind}:{location}{_ANY_IMAGE if is_storage else ''}")
    path = location.partition(":")[0]
    names: Sequence[str | None] = [reference.name]
    if is_storage or reference.name is None:
        with closing(transports.open_source(reference, options)) as source:
            if not isinstance(source, ListsTags):
                raise UnsupportedError(f"{reference}: images in {kind}: have no names to list")
            names = source.tags() or [None]
        if is_storage and names == [None]:
            raise NotFoundError(f"{kind}:{location}: no image has a name")
    for name in names:
        prefix = f"{kind}:{location}" if is_storage else f"{reference}:"
        label = str(reference) if name in (None, reference.name) else f"{prefix}{name}"
        yield SyncImage(reference, name, label, _create_target_name(name or "", path))


def _create_target_name(name: str, path: str) -> str:
    """Return a name with a tag; if ``name`` is only a tag, derive the repository from ``path``."""
    derived = derive_name(path, name)
    if derived is not None:
        return ":".join(derived)
    version = "" if ImageReference.parse(name).version else f":{DEFAULT_TAG}"
    return name + version


def _list_file(
    source: SyncSource, options: OpenOptions, engine: EngineOptions, stack: ExitStack
) -> SyncListing:
    """List the images of a YAML file in Skopeo's format."""
    file, mistakes = _read_file(source)
    overrides = {
        host: override.with_defaults(source.access or RegistryOverride())
        for host, override in file.registries.items()
    }
    options = replace(options, overrides={**options.overrides, **overrides})
    tasks = [partial(_list_entry, entry, options, stack) for entry in file.images]
    run = run_collecting_errors if engine.keep_going or source.lenient else run_all
    results = run(engine.executor, tasks, engine.cancellation)
    images: list[SyncImage] = []
    unlisted = list(mistakes)
    for entry, result in zip(file.images, results, strict=True):
        if isinstance(result, BundlerError):
            unlisted.append(UnlistedImage(str(entry.image), result))
        else:
            images += result
    repositories = {image.source for image in images}
    return SyncListing(tuple(images), len(repositories), tuple(unlisted), overrides)


def _read_file(source: SyncSource) -> tuple[skopeo_sync.SyncFile, list[UnlistedImage]]:
    """Parse a YAML file; with ``lenient``, return its mistakes instead of raising an error."""
    path = Path(source.location)
    findings = Findings()
    text = document.decode(document.read_bytes(path), str(path))
    value = document.parse(text, str(path), findings)
    # As in Skopeo, paths in the file are relative to the working directory.
    file = skopeo_sync.read(value, YamlContext(str(path), Path(), {}, findings))
    try:
        findings.raise_if_any()
    except InvalidBundleManifestError as error:
        if not source.lenient:
            raise
        return file, [
            UnlistedImage(str(path), InvalidBundleManifestError([finding]))
            for finding in error.findings
        ]
    if not file.images and not source.lenient:
        raise NotFoundError(f"{path}: lists no images")
    return file, []


def _list_entry(entry: SyncEntry, options: OpenOptions, stack: ExitStack) -> list[SyncImage]:
    if entry.select is None:
        return [_create_image(entry.image)]
    try:
        return _list_repository(entry.image, entry.select, options, stack)
    except BundlerError as error:
        error.add_note(f"requested by {entry.at}")
        raise


def _list_repository(
    repository: ImageReference, select: Select, options: OpenOptions, stack: ExitStack
) -> list[SyncImage]:
    """List the images with selected tags, in the order of the registry."""
    options.emit(ListingTags(repository.repository))
    reference = transports.parse(f"docker://{repository.repository}")
    source = transports.open_source(reference, options)
    stack.callback(source.close)
    offered = source.tags() if isinstance(source, ListsTags) else []
    try:
        selected = set(choose(select, offered))
    except NotFoundError as error:
        raise NotFoundError(f"{repository}: {error.message}", hint=error.hint) from None
    tags = dict.fromkeys(tag for tag in offered if tag in selected)
    return [_create_image(replace(repository, tag=tag)) for tag in tags]


def _create_image(image: ImageReference) -> SyncImage:
    reference = transports.parse(f"docker://{image}")
    repository = transports.parse(f"docker://{image.repository}")
    return SyncImage(repository, reference.name, str(reference), str(image))
