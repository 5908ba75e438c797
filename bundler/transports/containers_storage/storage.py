"""A storage on disk: its directories, its records, and the temporary files of this run."""

from __future__ import annotations

import ctypes
import os
import secrets
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bundler.content.archives.tar_split import AssembledTar
from bundler.content.files import file_lock
from bundler.content.files.safe_directory import Directory, RegularFile
from bundler.errors import LockedError, MalformedError, NotFoundError, UnsupportedError
from bundler.oci.json import strict
from bundler.transports.containers_storage.drivers.rooted_tree import remove_tree
from bundler.transports.containers_storage.drivers.select_driver import select_driver
from bundler.transports.containers_storage.metadata import (
    ImageRecord,
    LayerRecord,
    RecordStore,
    encode_item_key,
)
from bundler.transports.containers_storage.os_errors import convert_os_errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from bundler.cancel import Cancellation
    from bundler.config.storage_conf import StorageConfig
    from bundler.oci.digest import Digest
    from bundler.transports.containers_storage.drivers.driver import Driver

_STAGING = ".airbundle-"
_MAX_MOUNTS = 64 * 1024 * 1024
_MAX_LAYERS = 10_000


@dataclass(frozen=True, slots=True)
class Storage:
    """A storage. Because other processes may change it, each method reads the records again."""

    root: Path
    run_root: Path
    driver: Driver
    images: RecordStore[ImageRecord]
    layers: RecordStore[LayerRecord]
    containers: RecordStore[dict[str, Any]]

    @property
    def subject(self) -> str:
        """The name of the storage in messages."""
        return f"containers-storage:[{self.root}]"

    def list_layers(self) -> dict[str, LayerRecord]:
        """Return all complete layers by ID."""
        return {layer.id: layer for layer in self.layers.read() if layer.complete}

    def list_layers_of(
        self, image: ImageRecord, layers: Mapping[str, LayerRecord]
    ) -> list[LayerRecord]:
        """Return the layers of ``image``, from the lowest to the topmost.

        Raises:
            MalformedError: a layer is missing, or the chain of parents has a cycle.
        """
        chain: list[LayerRecord] = []
        current = image.top_layer
        while current is not None:
            layer = layers.get(current)
            if layer is None or len(chain) >= _MAX_LAYERS:
                raise MalformedError(f"{self.subject}: image {image.id}: missing layer {current}")
            chain.append(layer)
            current = layer.parent
        return chain[::-1]

    def list_mounted_layers(self) -> set[str]:
        """Return the IDs of all mounted layers."""
        path = self.run_root / self.layers.directory.name
        try:
            with Directory.open(path) as directory:
                raw = directory.read("mountpoints.json", limit=_MAX_MOUNTS)
        except NotFoundError:
            return set()
        values = strict.loads(raw or b"[]", subject=str(path), limit=_MAX_MOUNTS)
        return {
            str(value.get("id"))
            for value in (values if isinstance(values, list) else ())
            if isinstance(value, dict) and value.get("count")
        }

    def read_item(self, image: ImageRecord, key: str) -> bytes:
        """Return an item of an image, such as a manifest or the config.

        Raises:
            NotFoundError, LimitError, MediumError: the item cannot be read.
        """
        with Directory.open(self.images.directory / image.id) as items:
            return items.read(encode_item_key(key), limit=strict.MAX_DOCUMENT)

    def find_item(self, digest: Digest, images: Sequence[ImageRecord]) -> bytes | None:
        """Return an unverified manifest or config of any of ``images``; None if absent."""
        for image in images:
            key = image.manifests.get(digest.text, digest.text)
            if key in image.items:
                return self.read_item(image, key)
        return None

    def open_layer_tar(self, layer: LayerRecord) -> AssembledTar:
        """Open the uncompressed tar of a layer, unverified; the caller closes it.

        Raises:
            UnsupportedError: the layer has no tar-split record.
            NotFoundError, MediumError: the layer was removed, or cannot be read.
        """
        path = self.split_path(layer.id)
        try:
            record = RegularFile.open(path)
        except NotFoundError:
            raise UnsupportedError(
                f"{self.subject}: layer {layer.id}: no tar-split record",
                hint="copy the image from its registry or archive instead",
            ) from None
        return AssembledTar(record, self.driver.open_tree(layer.id).open_file, str(path))

    def split_path(self, layer: str) -> Path:
        """Return the path of a layer's tar-split record, from which its tar is reassembled."""
        return self.layers.directory / f"{layer}.tar-split.gz"

    def sync(self) -> None:
        """Make all files of the storage durable.

        Raises:
            MediumError: the file system failed.
        """
        with convert_os_errors(self.root, "cannot sync"), Directory.open(self.root) as root:
            if ctypes.CDLL(None, use_errno=True).syncfs(root.fd) != 0:
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def open_storage(config: StorageConfig, cancellation: Cancellation, *, write: bool) -> Storage:
    """Open a storage; with ``write``, create it if it does not exist.

    Raises:
        NotFoundError: the storage does not exist, and ``write`` is false.
        UnsupportedError, UsageError: the driver is not supported, or ambiguous.
        MediumError: the storage cannot be created.
    """
    root = config.root
    with convert_os_errors(root, "cannot open"):
        driver = select_driver(config.driver, root, config.options)
        images, layers, containers = (
            root / f"{driver.name}-{kind}" for kind in ("images", "layers", "containers")
        )
        if write:
            for directory in (root, driver.home, images, layers, containers):
                _make_directory(directory)
        elif not images.is_dir():
            raise NotFoundError(
                f"containers-storage:[{driver.name}@{root}]: the storage does not exist or has no "
                "images"
            )
    with convert_os_errors(images, "cannot open"):
        os.scandir(images).close()  # fail early for a user without permission
    return Storage(
        root,
        config.run_root,
        driver,
        RecordStore(images, "images", ImageRecord, cancellation),
        RecordStore(layers, "layers", LayerRecord, cancellation),
        RecordStore(containers, "containers", lambda value, _: value, cancellation),
    )


@dataclass(frozen=True, slots=True)
class StagingDirectories:
    """Temporary directories of one run."""

    files: Path
    """Directory on the file system of the records, from which files can be moved to their final
    paths.
    """
    trees: Path
    """Directory on the file system of the layers, which may be mounted separately. Trees can be
    moved from it to their final paths.
    """


@contextmanager
def create_staging_directories(storage: Storage) -> Iterator[StagingDirectories]:
    """Create temporary directories that are removed on exit; remove those of killed runs."""
    with Directory.open(storage.root) as root:
        for name in root.list_names():
            if name.startswith(_STAGING):
                with suppress(LockedError, NotFoundError), root.enter(name) as abandoned:
                    file_lock.lock(abandoned)
                    remove_tree(storage.driver.home / name)
                    remove_tree(storage.root / name)
    with closing(_create_locked_directory(storage.root)) as locked:
        trees = storage.driver.home / locked.path.name
        try:
            _make_directory(trees)
            yield StagingDirectories(locked.path, trees)
        finally:
            remove_tree(trees)
            remove_tree(locked.path)


def _create_locked_directory(root: Path) -> Directory:
    """Create a directory that stays locked until it is closed."""
    while True:
        path = root / f"{_STAGING}{secrets.token_hex(8)}"
        _make_directory(path)
        with ExitStack() as stack, suppress(LockedError, NotFoundError):
            directory = stack.enter_context(Directory.open(path))
            file_lock.lock(directory)
            # Before it was locked, another process may have removed it as abandoned.
            if path.is_dir():
                stack.pop_all()
                return directory


def _make_directory(path: Path) -> None:
    """Create a directory that only its owner can access, like all directories of a storage."""
    with convert_os_errors(path, "cannot create"):
        path.mkdir(0o700, parents=True, exist_ok=True)
