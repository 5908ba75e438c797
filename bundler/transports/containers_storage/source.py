"""Read images from a storage."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from io import BytesIO
from typing import TYPE_CHECKING

from bundler.errors import NotFoundError
from bundler.ports import SynthesizesManifests
from bundler.transports.containers_storage import image_store, signatures
from bundler.transports.containers_storage.readback_manifest import (
    create_readback_manifest,
    describe,
    read_stored_manifest,
)
from bundler.transports.containers_storage.reference import parse_image_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.content.streams import Reader
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import Manifest
    from bundler.ports import Node
    from bundler.transports.containers_storage.storage import Storage


class StorageSource(SynthesizesManifests):
    """Source of the images in a storage, with uncompressed layers."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._lock = threading.Lock()
        self._manifests: dict[Digest, bytes] = {}
        """Manifests that this source has returned, by digest."""

    def complete(self, name: str | None, /) -> str:
        """Return the reference with the driver and directories of the storage, and the image ID."""
        storage, parsed = self._storage, parse_image_name(name or "")
        image = image_store.find(storage, name)
        is_id = parsed.possible_id is not None and image.id.startswith(parsed.possible_id)
        named = "" if is_id else parsed.reference or ""
        where = f"{storage.driver.name}@{storage.root}+{storage.run_root}"
        return f"containers-storage:[{where}]{named}@{image.id}"

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """Return the manifest of the image that ``name`` points to, with uncompressed layers."""
        image = image_store.find(self._storage, name)
        layers = self._storage.list_layers()
        return self._remember(create_readback_manifest(self._storage, image, layers))

    def resolve_original(self, name: str | None = None, /) -> Descriptor:
        """Return the original manifest or index of the image that ``name`` points to."""
        reference = None if name is None else parse_image_name(name).reference
        digest = None if reference is None else reference.digest
        image = image_store.find(self._storage, name)
        return self._remember(read_stored_manifest(self._storage, image, digest))

    @contextmanager
    def open(self, node: Node, /, offset: int = 0) -> Iterator[Reader]:
        """Open a manifest, a config, or the uncompressed tar of a layer."""
        if node.digest is None:
            raise NotFoundError(f"{self._storage.subject}: cannot open a blob without a digest")
        if node.kind != "manifest":
            for layer in self._storage.list_layers().values():
                if layer.diff_digest == node.digest.text:
                    with self._storage.open_layer_tar(layer) as tar:
                        tar.skip(offset)
                        yield tar
                    return
        with self._lock:
            raw = self._manifests.get(node.digest)
        if raw is None:
            images = self._storage.images.read()
            raw = self._storage.find_item(node.digest, images)
            if raw is None:
                layers = self._storage.list_layers()
                for image in images:
                    readback = create_readback_manifest(self._storage, image, layers)
                    if describe(readback).digest == node.digest:
                        raw = readback.raw
                        break
                else:
                    raise NotFoundError(f"{self._storage.subject}: {node.digest} not found")
        yield BytesIO(raw[offset:])

    def signatures(self, manifest: Digest, /) -> list[bytes]:
        """Return the signatures of a stored manifest; a synthesized one has none."""
        for image in self._storage.images.read():
            if manifest.text in image.manifests:
                return signatures.read(self._storage, image, manifest)
        return []

    def tags(self) -> list[str]:
        """Return all names of all images."""
        return [name for image in self._storage.images.read() for name in image.names]

    def close(self) -> None:
        """Do nothing: no file stays open between two calls."""

    def _remember(self, returned: Manifest) -> Descriptor:
        descriptor = describe(returned)
        with self._lock:
            self._manifests[descriptor.digest] = returned.raw
        return descriptor
