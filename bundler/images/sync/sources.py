"""What a sync is to copy: the images of a repository, a tree, a layout, or of a list in YAML."""

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
from bundler.transports.directory.image_directories import find_image_directories
from bundler.transports.shared.path_reference import derived_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import ExitStack

    from bundler.config.yaml.skopeo_sync import SyncEntry
    from bundler.copy.engine import EngineOptions
    from bundler.ports import OpenOptions, Reference

SourceKind = Literal[
    "containers-storage", "dir", "docker", "docker-archive", "oci", "oci-archive", "yaml"
]

ANY = "localhost/any"
"""Stands for whatever image of a storage where a reference to the storage itself is needed."""

_MAX_IMAGES = 100_000
_EVERYTHING = Select()


@dataclass(frozen=True, slots=True)
class SyncImage:
    """One image to copy: a ``Reference`` to it, and the source that it shares with others."""

    place: Reference
    """What to open: a repository, a layout, a directory."""
    name: str | None
    """The image's name there."""
    label: str
    """The whole reference."""
    path: str
    """What its name at the destination is made of: ``host/repository:tag``, or a relative path."""

    @property
    def transport(self) -> str:
        """The transport of the source."""
        return self.place.transport

    def __str__(self) -> str:
        return self.label


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that was asked for and cannot be looked for, and why."""

    what: str
    error: BundlerError


@dataclass(frozen=True, slots=True)
class SyncListing:
    """All that is to be copied."""

    images: tuple[SyncImage, ...] = ()
    sources: int = 1
    """How many repositories, trees or layouts they come from."""
    left_out: tuple[LeftOut, ...] = ()
    options: Mapping[str, RegistryOverride] = field(default_factory=dict)
    """How to reach registries, by host; what the file says goes before what was said before."""


@dataclass(frozen=True, slots=True)
class SyncSource:
    """Where to look, and how to deal with what cannot be found there."""

    kind: SourceKind
    text: str
    access: RegistryOverride | None = None
    """What the user says of all registries that are read."""
    lenient: bool = False
    """Leave out mistakes of the file too, and a repository with nothing that was asked for."""


def find(
    question: SyncSource, options: OpenOptions, running: EngineOptions, stack: ExitStack
) -> SyncListing:
    """Look for all images; repositories are asked for their tags in parallel.

    Args:
        question: where to look.
        options: how to open places.
        running: with ``keep_going``, what cannot be listed is returned instead of raised.
        stack: closes registries in the end: who copies from them goes on in their sessions.

    Raises:
        UsageError: a reference, or the file, is not in order.
        NotFoundError: there is nothing to copy.
    """
    match question.kind:
        case "dir":
            return _in_tree(Path(question.text))
        case "yaml":
            return _in_file(question, options, running, stack)
        case "docker":
            image = ImageReference.parse(question.text)
            said = {image.domain: question.access} if question.access else {}
            options = replace(options, overrides={**options.overrides, **said})
            if image.version is not None:
                return SyncListing((_sought(image),), options=said)
            images = _selected(image, _EVERYTHING, options, stack)
            return SyncListing(tuple(images), options=said)
        case kind:
            return SyncListing(tuple(_in_place(kind, question.text, options)))


def _in_tree(base: Path) -> SyncListing:
    """Every directory with an image, in the order of names; none is looked for inside another."""
    if not base.is_dir():
        raise NotFoundError(f"{base}: no such directory")
    images = []
    for path in find_image_directories(base):
        relative = path.relative_to(base).as_posix()
        name = PurePath(os.path.abspath(base)).name if relative == "." else relative  # noqa: PTH100 - links stay
        reference = transports.parse(f"dir:{path}")
        images.append(SyncImage(reference, None, str(reference), name))
        if len(images) > _MAX_IMAGES:
            raise LimitError(f"{base}: more than {_MAX_IMAGES:,} images")
    if not images:
        raise NotFoundError(f"{base}: no images", hint="an image has a manifest.json")
    return SyncListing(tuple(images))


def _in_place(kind: str, text: str, options: OpenOptions) -> Iterator[SyncImage]:
    """The image that was named, or all that a layout, an archive or a storage holds."""
    whole = kind == "containers-storage" and not text.rpartition("]")[2]
    reference = transports.parse(f"{kind}:{text}{ANY if whole else ''}")
    path = text.partition(":")[0]
    names: Sequence[str | None] = [reference.name]
    if whole or reference.name is None:
        source = transports.open_source(reference, options)
        with closing(source):
            if not isinstance(source, ListsTags):
                raise UnsupportedError(f"{reference}: images in {kind}: have no names to list")
            names = source.tags() or [None]
        if whole and names == [None]:
            raise NotFoundError(f"{kind}:{text}: no images with names")
    for name in names:
        front = f"{kind}:{text}" if whole else f"{reference}:"
        label = str(reference) if name in (None, reference.name) else f"{front}{name}"
        yield SyncImage(reference, name, label, _path(name or "", path))


def _path(name: str, path: str) -> str:
    """A bare word is a tag of what the file or directory is called."""
    derived = derived_name(path, name)
    if derived is not None:
        return ":".join(derived)
    version = "" if ImageReference.parse(name).version else f":{DEFAULT_TAG}"
    return name + version


def _in_file(
    question: SyncSource, options: OpenOptions, running: EngineOptions, stack: ExitStack
) -> SyncListing:
    said, mistakes = _read_file(question)
    overrides = {
        host: override.with_defaults(question.access or RegistryOverride())
        for host, override in said.registries.items()
    }
    options = replace(options, overrides={**options.overrides, **overrides})
    tasks = [partial(_listed, item, options, stack) for item in said.images]
    keep_going = running.keep_going or question.lenient
    results = (run_collecting_errors if keep_going else run_all)(
        running.executor, tasks, running.cancellation
    )
    images: list[SyncImage] = []
    left_out = list(mistakes)
    for item, result in zip(said.images, results, strict=True):
        if isinstance(result, BundlerError):
            left_out.append(LeftOut(str(item.image), result))
        else:
            images += result
    repositories = {image.place for image in images}
    return SyncListing(tuple(images), len(repositories), tuple(left_out), overrides)


def _read_file(question: SyncSource) -> tuple[skopeo_sync.SyncFile, list[LeftOut]]:
    """What the file says; with ``lenient``, its mistakes are left out one by one."""
    path = Path(question.text)
    findings = Findings()
    text = document.decode(document.read_bytes(path), str(path))
    value = document.parse(text, str(path), findings)
    # Skopeo looks for certificates from where it was started.
    said = skopeo_sync.read(value, YamlContext(str(path), Path(), {}, findings))
    try:
        findings.raise_if_any()
    except InvalidBundleManifestError as error:
        if not question.lenient:
            raise
        return said, [
            LeftOut(str(path), InvalidBundleManifestError([one])) for one in error.findings
        ]
    if not said.images and not question.lenient:
        raise NotFoundError(f"{path}: no image is asked for")
    return said, []


def _listed(item: SyncEntry, options: OpenOptions, stack: ExitStack) -> list[SyncImage]:
    if item.select is None:
        return [_sought(item.image)]
    try:
        return _selected(item.image, item.select, options, stack)
    except BundlerError as error:
        error.add_note(f"asked for by {item.at}")
        raise


def _selected(
    repository: ImageReference, select: Select, options: OpenOptions, stack: ExitStack
) -> list[SyncImage]:
    """The tags that are meant, in the registry's order."""
    options.emit(ListingTags(repository.repository))
    reference = transports.parse(f"docker://{repository.repository}")
    source = transports.open_source(reference, options)
    stack.callback(source.close)
    offered = source.tags() if isinstance(source, ListsTags) else []
    try:
        chosen = set(choose(select, offered))
    except NotFoundError as error:
        raise NotFoundError(f"{repository}: {error.message}", hint=error.hint) from None
    tags = dict.fromkeys(tag for tag in offered if tag in chosen)
    return [_sought(replace(repository, tag=tag)) for tag in tags]


def _sought(image: ImageReference) -> SyncImage:
    whole = transports.parse(f"docker://{image}")
    place = transports.parse(f"docker://{image.repository}")
    return SyncImage(place, whole.name, str(whole), str(image))
