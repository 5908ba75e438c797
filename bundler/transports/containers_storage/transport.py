"""``containers-storage:[STORAGE]NAME``: the images of Podman, Buildah and CRI-O, where they lie.

Layers are pushed to files of this run; ``commit`` unpacks them from the lowest to the topmost,
reuses those that are there already, and lets names stand for images last of all.

https://github.com/containers/storage/tree/v1.59.1/docs
"""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from bundler.errors import AmbiguousImageError, ConflictError, NotFoundError, UsageError
from bundler.events import Emit, WarningIssued, discard
from bundler.oci import media_types
from bundler.ports import Capabilities, SynthesizesManifests
from bundler.transports.containers_storage import image_store, layer_store, signatures
from bundler.transports.containers_storage import reference as references
from bundler.transports.containers_storage import storage as store
from bundler.transports.containers_storage.incoming import arriving
from bundler.transports.containers_storage.readback_manifest import (
    ManifestAndDescriptor,
    as_stored,
    for_copy,
)
from bundler.transports.containers_storage.select_storage import opened

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bundler.content.streams.reader import Content, Reader
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.oci.reference import ImageReference
    from bundler.ports import Node, OpenOptions, Publication
    from bundler.transports.containers_storage.metadata import ImageRecord
    from bundler.transports.containers_storage.reference import ImageName, StorageLocation
    from bundler.transports.containers_storage.storage import Storage

_MANIFESTS = frozenset({media_types.OCI_MANIFEST, media_types.DOCKER_MANIFEST})


@dataclass(frozen=True, slots=True)
class StorageReference:
    """``containers-storage:[[DRIVER@]ROOT[+RUNROOT][:OPTIONS]]NAME[@ID]`` or ``…@ID``."""

    place: StorageLocation | None
    """None: the storage that storage.conf names."""
    image_name: ImageName

    @property
    def transport(self) -> str:
        """``containers-storage``."""
        return "containers-storage"

    @property
    def name(self) -> str:
        """The image without its storage."""
        return str(self.image_name)

    @property
    def image(self) -> ImageReference | None:
        """The name; None: only an id was written."""
        return self.image_name.named

    def __str__(self) -> str:
        return f"containers-storage:{self.place or ''}{self.image_name}"


class StorageSource(SynthesizesManifests):
    """Reads a storage; manifests are served with the layers that can be read."""

    def __init__(self, storage: Storage, emit: Emit = discard) -> None:
        self._storage = storage
        self._emit = emit
        self._lock = threading.Lock()
        self._made: dict[Digest, bytes] = {}

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """The image that ``name`` stands for, as it can be copied."""
        image = self._find(name)
        served = for_copy(self._storage, image, self._storage.list_layers())
        if served.root.digest.text not in image.manifests and self._signed(image):
            self._emit(
                WarningIssued(
                    f"{self._storage.what}: image {image.id} is signed, but not in the form in "
                    "which it can be copied: its signatures stay behind"
                )
            )
        return self._keep(served)

    def stored_manifest(self, name: str | None = None, /) -> Descriptor:
        """The manifest or list that came with the image."""
        wanted = None if name is None else references.parse_name(name).named
        digest = None if wanted is None else wanted.digest
        return self._keep(as_stored(self._storage, self._find(name), digest))

    @contextmanager
    def open(self, target: Node, /, offset: int = 0) -> Iterator[Reader]:
        """A manifest, a config, or the uncompressed tar of a layer."""
        if target.digest is None:
            raise NotFoundError(f"{self._storage.what}: a blob without a digest is nowhere")
        if target.kind != "manifest":
            for layer in self._storage.list_layers().values():
                if layer.diff_digest == target.digest.text:
                    with self._storage.layer_tar(layer) as tar:
                        tar.skip(offset)
                        yield tar
                    return
        yield BytesIO(self._small(target.digest)[offset:])

    def signatures(self, of: Digest, /) -> list[bytes]:
        """Those of a stored manifest; one that is made has none."""
        for image in self._storage.list_images():
            if of.text in image.manifests:
                return signatures.read(self._storage, image, of)
        return []

    def tags(self) -> list[str]:
        """Every name of every image, in full."""
        return [name for image in self._storage.list_images() for name in image.names]

    def close(self) -> None:
        """Nothing is held."""

    def _signed(self, image: ImageRecord) -> bool:
        stored = as_stored(self._storage, image, None).root.digest
        return bool(signatures.read(self._storage, image, stored))

    def _find(self, name: str | None) -> ImageRecord:
        found = self._storage.list_images()
        if name is not None:
            return store.find(self._storage, references.parse_name(name), found)
        if len(found) == 1:
            return found[0]
        raise AmbiguousImageError(self._storage.what, len(found), hint=store.known_names(found))

    def _keep(self, served: ManifestAndDescriptor) -> Descriptor:
        with self._lock:
            self._made[served.root.digest] = served.raw
        return served.root

    def _small(self, digest: Digest) -> bytes:
        """A manifest or a config; first what was told, then what lies there."""
        with self._lock:
            if digest in self._made:
                return self._made[digest]
        found = self._storage.list_images()
        for image in found:
            key = image.manifests.get(digest.text, digest.text)
            if key in image.items:
                return self._storage.item(image, key)
        listed = self._storage.list_layers()
        for image in found:
            served = for_copy(self._storage, image, listed)
            if served.root.digest == digest:
                return served.raw
        raise NotFoundError(f"{self._storage.what}: it does not hold {digest}")


class StorageDestination:
    """Writes a storage."""

    def __init__(self, storage: Storage, options: OpenOptions) -> None:
        self._storage = storage
        self._options = options
        self._opened = ExitStack()
        try:
            layer_store.clean_up(storage)
            self._arriving = self._opened.enter_context(arriving(storage, options))
        except BaseException:
            self._opened.close()
            raise

    @property
    def capabilities(self) -> Capabilities:
        """Single images, their layers in any form."""
        return Capabilities(manifests=_MANIFESTS, indexes=False)

    def has(self, target: Node, /) -> bool:
        """Whether it has arrived, or is part of what is there."""
        return self._arriving.has(target)

    def push(self, target: Node, content: Content, /) -> Descriptor:
        """Keep a blob until the image is unpacked."""
        return self._arriving.take(target, content)

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """The manifest that came with the image that ``name`` stands for now."""
        return StorageSource(self._storage).stored_manifest(name)

    def commit(self, images_: Sequence[Publication], /) -> None:
        """Unpack what arrived, and publish images and names."""
        wanted: dict[str, Digest] = {}
        for image in images_:
            for name in image.names:
                if wanted.setdefault(name, image.root.digest) != image.root.digest:
                    raise ConflictError(f"{self._storage.what}: two images want the name {name!r}")
        new = [self._arriving.unpacked(image) for image in images_]
        store.synchronise(self._storage)
        image_store.publish(self._storage, new)

    def push_signatures(self, of: Digest, those: Sequence[bytes], /) -> None:
        """Keep the signatures of a manifest of this run; those it had before are replaced."""
        self._arriving.signatures[of] = list(those)

    def delete(self, name: str | None = None, /) -> Descriptor:
        """Remove an image with all its names; its layers go unless something else needs them."""
        image = store.find(
            self._storage, references.parse_name(name or ""), self._storage.list_images()
        )
        gone = as_stored(self._storage, image, None).root
        image_store.delete(self._storage, image.id)
        return gone

    def untag(self, name: str | None = None, /) -> Descriptor:
        """Take a name away; its image stays."""
        wanted = references.parse_name(name or "")
        if wanted.named is None:
            raise UsageError(f"{self._storage.what}: {name} is no name that could be removed")
        image = store.find(self._storage, wanted, self._storage.list_images())
        image_store.untag(self._storage, str(wanted.named))
        return as_stored(self._storage, image, None).root

    def close(self) -> None:
        """Throw away what arrived and was not published."""
        self._opened.close()


class StorageTransport:
    """``containers-storage:``."""

    def parse(self, text: str, /) -> StorageReference:
        """Read ``[STORAGE]NAME``."""
        place, rest = references.split(text)
        return StorageReference(place, references.parse_name(rest))

    def source(self, reference: StorageReference, options: OpenOptions, /) -> StorageSource:
        """Open a storage for reading."""
        return StorageSource(opened(reference.place, options, write=False), options.emit)

    def destination(
        self, reference: StorageReference, options: OpenOptions, /
    ) -> StorageDestination:
        """Open a storage for writing; it is made where it is not there."""
        return StorageDestination(opened(reference.place, options, write=True), options)


TRANSPORT = StorageTransport()
