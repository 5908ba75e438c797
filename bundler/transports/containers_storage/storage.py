"""One storage: its directories, its lists, and what they say of images and layers."""

from __future__ import annotations

import ctypes
import os
import secrets
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.content.archives.tar_split import AssembledTar
from bundler.content.files import file_lock
from bundler.content.files.os_errors import explained
from bundler.content.files.safe_directory import Directory, RegularFile, make_directory
from bundler.errors import (
    LockedError,
    MalformedError,
    NoSuchImageError,
    NotFoundError,
    UnsupportedError,
)
from bundler.errors.counts import shortlist
from bundler.oci.json import strict
from bundler.transports.containers_storage.drivers import choice
from bundler.transports.containers_storage.drivers.rooted_tree import remove_tree
from bundler.transports.containers_storage.metadata import (
    ImageRecord,
    LayerRecord,
    RecordStore,
    read_item,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from bundler.cancel import Cancellation
    from bundler.transports.containers_storage.drivers.driver import Driver
    from bundler.transports.containers_storage.reference import ImageName

_STAGING = ".airbundle-"
_SPLIT = ".tar-split.gz"
_MAX_MOUNTS = 64 * 1024 * 1024
_MAX_LAYERS = 10_000


@dataclass(frozen=True, slots=True)
class Storage:
    """A storage; every question reads the lists anew, since others change them."""

    root: Path
    run_root: Path | None
    driver: Driver
    images: RecordStore
    layers: RecordStore
    containers: RecordStore
    in_userns: bool

    @property
    def what(self) -> str:
        """How messages call it."""
        return f"containers-storage:[{self.root}]"

    def list_images(self) -> list[ImageRecord]:
        """All images."""
        what = f"{self.images.folder}/images.json"
        return [ImageRecord.of(value, what) for value in self.images.read()]

    def list_layers(self) -> dict[str, LayerRecord]:
        """All layers that are whole, by id."""
        found = layer_records(self.layers.read(), f"{self.layers.folder}/layers.json")
        return {layer.id: layer for layer in found if layer.complete}

    def item(self, image: ImageRecord, key: str) -> bytes:
        """An item of an image: a manifest, its config.

        Raises:
            NotFoundError: it has none of that name.
        """
        return read_item(self.images.folder, image.id, key)

    def layer_tar(self, layer: LayerRecord) -> AssembledTar:
        """The uncompressed tar of a layer, unverified; the caller closes it.

        Raises:
            UnsupportedError: nothing is kept of how it was packed.
            NotFoundError, MediumError: it is not there any more.
        """
        path = self.split_path(layer.id)
        try:
            record = RegularFile.open(path)
        except NotFoundError:
            raise UnsupportedError(
                f"{self.what}: layer {layer.id}: how its tar was packed is not kept",
                hint="copy the image from where it came from",
            ) from None
        return AssembledTar(record, self.driver.files(layer.id), str(path))

    def split_path(self, layer: str) -> Path:
        """The file that says how a layer's tar was packed."""
        return self.layers.folder / f"{layer}{_SPLIT}"

    def mounted(self) -> set[str]:
        """The ids of the layers that are mounted now."""
        if self.run_root is None:
            return set()
        folder = self.run_root / self.layers.folder.name
        try:
            with Directory.open(folder) as opened:
                raw = opened.read("mountpoints.json", limit=_MAX_MOUNTS)
        except NotFoundError:
            return set()
        values = strict.loads(raw or b"[]", subject=str(folder), limit=_MAX_MOUNTS)
        return {
            str(value.get("id"))
            for value in (values if isinstance(values, list) else ())
            if isinstance(value, dict) and value.get("count")
        }


def opened(
    root: Path,
    run_root: Path | None,
    driver: str | None,
    options: Mapping[str, str],
    stop: Cancellation,
    *,
    write: bool,
) -> Storage:
    """The storage at ``root``; for writing it is made where it is not there.

    Raises:
        NotFoundError: there is none, and it is to be read.
        UnsupportedError, UsageError: no driver for it.
        MediumError: it cannot be made.
    """
    in_userns = choice.in_user_namespace()
    name = choice.choose_driver(driver, root)
    if not write and not (root / f"{name}-images").is_dir():
        raise NotFoundError(
            f"containers-storage:[{name}@{root}]: there is no such storage, or it holds no image"
        )
    kinds = ("images", "layers", "containers")
    if write:
        for folder in (root, root / name, *(root / f"{name}-{kind}" for kind in kinds)):
            _make(folder)
    images, layers, containers = (
        RecordStore(root / f"{name}-{kind}", kind, stop) for kind in kinds
    )
    made = choice.create_driver(name, root, options, in_userns=in_userns)
    return Storage(root, run_root, made, images, layers, containers, in_userns)


def find(storage: Storage, name: ImageName, images: Sequence[ImageRecord]) -> ImageRecord:
    """The image that ``name`` stands for.

    Raises:
        NotFoundError: there is none, or the id is the beginning of several.
    """
    found = _find(name, images)
    if found is None:
        raise NoSuchImageError(storage.what, str(name), hint=known_names(images))
    return found


def known_names(images: Sequence[ImageRecord]) -> str:
    """What a storage holds, for a hint."""
    names = [name for image in images for name in image.names]
    return f"it holds {shortlist(names, 10) or 'no images with names'}"


def layer_records(values: Sequence[dict[str, object]], what: str) -> list[LayerRecord]:
    """The layers of a list."""
    return [LayerRecord.of(value, what) for value in values]


def chain(
    storage: Storage, image: ImageRecord, layers: Mapping[str, LayerRecord]
) -> list[LayerRecord]:
    """The layers of an image, the lowest first.

    Raises:
        MalformedError: one is missing, or they go in a circle.
    """
    found: list[LayerRecord] = []
    current = image.top_layer
    while current is not None:
        layer = layers.get(current)
        if layer is None or len(found) >= _MAX_LAYERS:
            raise MalformedError(f"{storage.what}: image {image.id} has no layer {current}")
        found.append(layer)
        current = layer.parent
    return found[::-1]


@dataclass(frozen=True, slots=True)
class Staging:
    """Directories of one run."""

    files: Path
    """From here a file can be moved to the lists of the storage."""
    trees: Path
    """From here a tree can be moved to the layers: other tools mount their directory."""


@contextmanager
def staging(storage: Storage) -> Iterator[Staging]:
    """Directories of one run in the storage, gone at the end; those of killed runs go too."""
    _sweep(storage)
    with closing(_claimed(storage.root)) as held:
        trees = storage.driver.home / held.path.name
        try:
            _make(trees)
            yield Staging(held.path, trees)
        finally:
            _remove(trees)
            _remove(held.path)


def synchronise(storage: Storage) -> None:
    """Make everything on the storage's file system durable.

    Raises:
        MediumError: it cannot be made so.
    """
    with Directory.open(storage.root) as root:
        if ctypes.CDLL(None, use_errno=True).syncfs(root.fd) != 0:
            error = OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            raise explained(error, storage.root, "cannot make its files durable")


def _find(name: ImageName, images: Sequence[ImageRecord]) -> ImageRecord | None:
    wanted = name.id or name.either
    if wanted is not None:
        found = [image for image in images if image.id.startswith(wanted)]
        if len(found) == 1 and (name.either or _in_repository(found[0], name)):
            return found[0]
        if name.either is None:
            return None
    if name.named is None:
        return None
    text = str(name.named)
    for image in images:
        if text in image.names:
            return image
    digest = name.named.digest
    if digest is not None:
        for image in images:
            if digest.text in image.manifests and _in_repository(image, name):
                return image
    return None


def _in_repository(image: ImageRecord, name: ImageName) -> bool:
    """Whether one of the image's names is of the repository that ``name`` tells, if it does."""
    if name.named is None:
        return True
    repository = name.named.repository
    return any(one.startswith((f"{repository}:", f"{repository}@")) for one in image.names)


def _claimed(root: Path) -> Directory:
    """A new directory, locked for as long as it is open."""
    while True:
        path = root / f"{_STAGING}{secrets.token_hex(8)}"
        _make(path)
        with ExitStack() as stack, suppress(LockedError, NotFoundError):
            held = stack.enter_context(Directory.open(path))
            file_lock.lock(held)
            if path.is_dir():  # nobody took it for one of a killed run in between
                stack.pop_all()
                return held


def _sweep(storage: Storage) -> None:
    with Directory.open(storage.root) as root:
        names = [name for name in root.names() if name.startswith(_STAGING)]
        for name in names:
            with suppress(LockedError, NotFoundError), root.enter(name) as left:
                file_lock.lock(left)
                _remove(storage.driver.home / name)
                _remove(storage.root / name)


def _remove(path: Path) -> None:
    try:
        with Directory.open(path.parent) as folder:
            remove_tree(path.name, folder.fd)
    except OSError as error:
        raise explained(error, path, "cannot remove") from error


def _make(path: Path) -> None:
    """A directory that only its owner can enter, as all of a storage's are."""
    try:
        if not path.is_dir():
            make_directory(path.parent)
            path.mkdir(0o700, exist_ok=True)
    except OSError as error:
        raise explained(error, path, "cannot make this directory") from error
