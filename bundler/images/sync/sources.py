"""List the images to sync from a registry, a local location, or a YAML file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bundler import transports
from bundler.errors import BundlerError, InvalidBundleManifestError, NotFoundError
from bundler.events import ListingTags
from bundler.oci.tag_filter import TagSelection, choose
from bundler.ports import ListsTags
from bundler.transports.source_images import (
    create_registry_image,
    list_local_images,
    parse_registry_location,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import ExitStack

    from bundler.config.registry_access import RegistryOverride
    from bundler.config.yaml.skopeo_sync import SyncEntry, SyncFile
    from bundler.copy.engine import EngineOptions
    from bundler.oci.reference import ImageReference
    from bundler.ports import OpenOptions
    from bundler.transports.source_images import SourceImage

SourceTransport = Literal[
    "containers-storage", "dir", "docker", "docker-archive", "oci", "oci-archive"
]


@dataclass(frozen=True, slots=True)
class SyncSource:
    """The location of the images, and options for reading it."""

    transport: SourceTransport | None
    """The transport of ``location``; None: ``location`` is a YAML file that lists images."""
    location: str
    """A repository or image, a directory, a layout or archive, or the path of a YAML file."""
    access: RegistryOverride | None = None
    """The access options of the command line, for all source registries."""
    lenient: bool = False
    """Report repositories and tags of the YAML file that are invalid or not found, and continue."""


@dataclass(frozen=True, slots=True)
class ListingFailure:
    """A requested image or repository that could not be listed, and the error."""

    subject: str
    error: BundlerError


@dataclass(frozen=True, slots=True)
class SyncListing:
    """The images to copy, and the settings for reading them."""

    images: tuple[SourceImage, ...] = ()
    source_count: int = 1
    """The number of repositories, directory trees or layouts that contain the images."""
    unlisted: tuple[ListingFailure, ...] = ()
    overrides: Mapping[str, RegistryOverride] = field(default_factory=dict)
    """Access settings by host; the YAML file takes precedence over the command line."""


def list_images(
    source: SyncSource, options: OpenOptions, engine: EngineOptions, stack: ExitStack
) -> SyncListing:
    """List all images to copy; the tags of several repositories are listed in parallel.

    Repositories of a YAML file that do not exist are returned in the listing; with
    ``engine.keep_going``, so are all other errors. ``stack`` closes the registry sessions, which
    the copy reuses.

    Raises:
        UsageError: a reference or the YAML file is invalid.
        NotFoundError: the location does not exist or contains no images.
    """
    if source.transport is None:
        return _list_file(source, options, engine, stack)
    image = parse_registry_location(source.transport, source.location)
    if image is None:
        return SyncListing(tuple(list_local_images(source.transport, source.location, options)))
    overrides = {image.domain: source.access} if source.access else {}
    options = replace(options, overrides={**options.overrides, **overrides})
    select = TagSelection() if image.version is None else None
    return SyncListing(tuple(_list_tags(image, select, options, stack)), overrides=overrides)


def _list_file(
    source: SyncSource, options: OpenOptions, engine: EngineOptions, stack: ExitStack
) -> SyncListing:
    """List the images of a YAML file in Skopeo's format."""
    from bundler.config.registry_access import RegistryOverride  # noqa: PLC0415 - only for a file
    from bundler.copy.parallel import run_collecting_errors  # noqa: PLC0415 - as above

    file, unlisted = _read_file(source)
    overrides = {
        host: override.with_defaults(source.access or RegistryOverride())
        for host, override in file.registries.items()
    }
    options = replace(options, overrides={**options.overrides, **overrides})

    def list_entry(entry: SyncEntry) -> list[SourceImage]:
        try:
            return _list_tags(entry.image, entry.select, options, stack)
        except BundlerError as error:
            error.add_note(f"requested by {entry.at}")
            raise

    tasks = [partial(list_entry, entry) for entry in file.images]
    collected = BundlerError if engine.keep_going or source.lenient else NotFoundError
    results = run_collecting_errors(engine.executor, tasks, engine.cancellation, collected)
    images: list[SourceImage] = []
    for entry, result in zip(file.images, results, strict=True):
        if isinstance(result, BundlerError):
            unlisted.append(ListingFailure(str(entry.image), result))
        else:
            images += result
    repositories = {image.source for image in images}
    return SyncListing(tuple(images), len(repositories), tuple(unlisted), overrides)


def _read_file(source: SyncSource) -> tuple[SyncFile, list[ListingFailure]]:
    """Parse a YAML file; with ``lenient``, return repositories and tags with mistakes as failures.

    Raises:
        InvalidBundleManifestError: the file is malformed, or has mistakes.
    """
    from bundler.config.yaml import document, skopeo_sync  # noqa: PLC0415 - only for a file
    from bundler.config.yaml.context import YamlContext  # noqa: PLC0415 - as above

    path = str(Path(source.location))
    structure = document.YamlMistakes()
    mistakes = document.YamlMistakes() if source.lenient else structure
    text = document.decode(document.read_bytes(Path(path)), path)
    if source.lenient and not text.strip():
        return skopeo_sync.SyncFile(), []
    # As in Skopeo, paths in the file are relative to the working directory.
    context = YamlContext(path, Path(), {}, mistakes)
    file = skopeo_sync.read(document.parse(text, path, structure), context, structure)
    structure.raise_if_any()
    try:
        mistakes.raise_if_any()
    except InvalidBundleManifestError as error:
        failures = [InvalidBundleManifestError([mistake]) for mistake in error.findings]
        return file, [ListingFailure(path, failure) for failure in failures]
    if not file.images and not source.lenient:
        raise NotFoundError(f"{path}: lists no images")
    return file, []


def _list_tags(
    image: ImageReference, select: TagSelection | None, options: OpenOptions, stack: ExitStack
) -> list[SourceImage]:
    """List the images with selected tags, in the order of the registry; None: only ``image``."""
    if select is None:
        return [create_registry_image(image)]
    options.emit(ListingTags(image.repository))
    source = transports.open_source(create_registry_image(image).source, options)
    stack.callback(source.close)
    offered = source.tags() if isinstance(source, ListsTags) else []
    try:
        selected = set(choose(select, offered))
    except NotFoundError as error:
        raise NotFoundError(f"{image}: {error.message}", hint=error.hint) from None
    tags = dict.fromkeys(tag for tag in offered if tag in selected)
    return [create_registry_image(replace(image, tag=tag)) for tag in tags]
