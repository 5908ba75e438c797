"""Write images into a storage.

Blobs are pushed to temporary files of this run. ``commit`` unpacks the layers of each image from
the lowest to the topmost, reuses layers that are already stored, and publishes the images and
their names last.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.content.compression import decompress
from bundler.content.compression.decompress import DecompressingReader
from bundler.content.files.atomic_write import create_part_name
from bundler.content.files.safe_directory import Directory
from bundler.content.streams import VerifiedReader, copy_to_fd, drain
from bundler.errors import (
    ConflictError,
    MalformedError,
    NotFoundError,
    UnsupportedError,
    UsageError,
)
from bundler.oci import manifest, media_types
from bundler.oci.json import strict
from bundler.oci.manifest import ImageManifest
from bundler.ports import Capabilities
from bundler.transports.containers_storage import image_store, layer_store, signatures
from bundler.transports.containers_storage.image_store import NewImage
from bundler.transports.containers_storage.layer_store import NewLayer
from bundler.transports.containers_storage.metadata import MANIFEST
from bundler.transports.containers_storage.os_errors import convert_os_errors
from bundler.transports.containers_storage.readback_manifest import describe, read_stored_manifest
from bundler.transports.containers_storage.reference import parse_image_name
from bundler.transports.containers_storage.source import StorageSource
from bundler.transports.containers_storage.storage import create_staging_directories

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.content.streams import Content, Reader
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import Node, OpenOptions, Publication
    from bundler.transports.containers_storage.metadata import LayerRecord
    from bundler.transports.containers_storage.storage import Storage

_MANIFESTS = frozenset({media_types.OCI_MANIFEST, media_types.DOCKER_MANIFEST})


class StorageDestination:
    """Destination that writes images into a storage. ``has`` and ``push`` are thread-safe.

    ``close`` discards everything that was pushed but not published.
    """

    def __init__(self, storage: Storage, options: OpenOptions) -> None:
        self._storage = storage
        self._cancellation = options.cancellation
        self._signatures: dict[Digest, Sequence[bytes]] = {}
        layer_store.remove_incomplete(storage)
        with ExitStack() as stack:
            self._staging = stack.enter_context(create_staging_directories(storage))
            spool = options.scratch or self._staging.files
            with convert_os_errors(spool, "cannot create temporary files"):
                directory = tempfile.TemporaryDirectory(prefix=".airbundle-", dir=spool)
                self._spool = stack.enter_context(
                    Directory.open(Path(stack.enter_context(directory)))
                )
            self._images = storage.images.read()
            self._layers = storage.list_layers()
            self._resources = stack.pop_all()

    @property
    def capabilities(self) -> Capabilities:
        """Image manifests but no indexes; layers with any compression."""
        return Capabilities(
            manifests=_MANIFESTS, indexes=False, only_tar_layers=True, keeps_blobs=False
        )

    def has(self, node: Node, /) -> bool:
        """Return whether this run pushed ``node``, or the storage contained it at the start."""
        if node.digest is None:
            return False
        size = self._spool.get_size(node.digest.hex)
        if size is not None:
            return node.size in (None, size)
        text = node.digest.text
        match node.kind:
            case "manifest":
                return any(text in image.manifests for image in self._images)
            case "config":
                sizes = [image.sizes.get(text) for image in self._images if text in image.items]
                return bool(sizes) and node.size in (None, *sizes)
            case "layer":
                layer = self._find_layer(node.digest)
                if layer is None:
                    return False
                compressed = text == layer.compressed_digest
                size = layer.compressed_size if compressed else layer.diff_size
                return node.size in (None, size)

    def push(self, node: Node, content: Content, /) -> Descriptor:
        """Store a manifest or a blob in a temporary file."""
        part = create_part_name()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            with convert_os_errors(self._spool.path, "cannot write"):
                fd = os.open(part, flags, 0o600, dir_fd=self._spool.fd)
                try:
                    copy_to_fd(content, fd)
                finally:
                    os.close(fd)
            stored = content.descriptor()
            self._spool.rename(part, stored.digest.hex)
        except BaseException:
            self._spool.remove(part)
            raise
        return replace(stored, media_type=node.media_type)

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """Return the original manifest or index of the image that ``name`` points to."""
        return StorageSource(self._storage).resolve_original(name)

    def commit(self, images: Sequence[Publication], /) -> None:
        """Unpack the pushed layers, then publish images and names.

        Raises:
            UnsupportedError: a root is not a container image, or a digest algorithm is not sha256.
            IntegrityError: a layer does not match the config.
            ConflictError: two images have the same name, or a name contains the digest of another
                image.
        """
        digests: dict[str, Digest] = {}
        for image in images:
            for name in image.names:
                if digests.setdefault(name, image.root.digest) != image.root.digest:
                    raise ConflictError(
                        f"{self._storage.subject}: two images have the name {name!r}"
                    )
        new = [self._unpack_image(image) for image in images]
        self._storage.sync()
        image_store.publish(self._storage, new)

    def push_signatures(self, manifest: Digest, signatures: Sequence[bytes], /) -> None:
        """Set the signatures of a manifest that this run pushes; ``commit`` stores them."""
        self._signatures[manifest] = list(signatures)

    def delete(self, name: str | None = None, /) -> Descriptor:
        """Delete an image with all its names, and the layers that are no longer used."""
        image = image_store.find(self._storage, name or "")
        removed = describe(read_stored_manifest(self._storage, image))
        image_store.delete(self._storage, image.id)
        return removed

    def untag(self, name: str | None = None, /) -> Descriptor:
        """Remove a name; the image remains."""
        image_name = parse_image_name(name or "")
        if image_name.reference is None:
            raise UsageError(f"{self._storage.subject}: expected a name, got the ID {name!r}")
        image = image_store.find(self._storage, name)
        image_store.untag(self._storage, str(image_name.reference))
        return describe(read_stored_manifest(self._storage, image))

    def close(self) -> None:
        """Remove the temporary files of this run."""
        self._resources.close()

    def _unpack_image(self, image: Publication) -> NewImage:
        """Unpack the missing layers of an image; return the image to publish."""
        digest = image.root.digest
        subject = f"{self._storage.subject}: manifest {digest}"
        raw = self._read(digest, subject)
        parsed = manifest.parse(raw, image.root.media_type, subject=subject)
        if not isinstance(parsed, ImageManifest) or parsed.is_artifact:
            raise UnsupportedError(
                f"{subject}: not a container image",
                hint="copy it to oci: or dir:, which store any artifact",
            )
        config_raw = self._read(parsed.config.digest, f"{subject}: its config")
        config = manifest.ImageConfig.parse(config_raw, subject=f"{subject}: its config")
        if len(config.diff_ids) != len(parsed.layers):
            raise MalformedError(
                f"{subject}: wrong number of diff IDs in the config "
                f"(expected {len(parsed.layers)}, got {len(config.diff_ids)})"
            )
        if any(item.algorithm != "sha256" for item in (parsed.config.digest, *config.diff_ids)):
            raise UnsupportedError(f"{subject}: unsupported digest algorithm (expected sha256)")
        image_id, names = _parse_names(image)
        top: str | None = None
        for layer, diff_id in zip(parsed.layers, config.diff_ids, strict=True):
            top = self._unpack_layer(layer, diff_id, top)
        signature_items, signature_metadata = signatures.encode(
            digest, self._signatures.get(digest, ())
        )
        return NewImage(
            image_id or parsed.config.digest.hex,
            top,
            config.created,
            {
                parsed.config.digest.text: config_raw,
                f"{MANIFEST}-{digest}": raw,
                MANIFEST: raw,
                **signature_items,
            },
            names,
            signature_metadata,
        )

    def _unpack_layer(self, layer: Descriptor, diff_id: Digest, parent: str | None) -> str:
        """Unpack a layer on top of ``parent``, unless it is stored already; return its ID."""
        layer_id = layer_store.compute_chain_id(parent, diff_id)
        present = layer_id in self._storage.list_layers()
        pushed = self._spool.get_size(layer.digest.hex) is not None
        if present and not pushed:
            return layer_id
        with ExitStack() as stack:
            stream: Reader
            if pushed:
                stream = file = stack.enter_context(self._spool.open_file(layer.digest.hex))
                compression = decompress.detect(file.read(decompress.MAGIC_SIZE))
                file.seek(0)
                if compression is not None:
                    stream = DecompressingReader(file, compression, f"layer {layer.digest}")
            else:
                stored = self._find_layer(layer.digest)  # the same layer on another parent
                if stored is None:
                    raise NotFoundError(
                        f"{self._storage.subject}: layer {layer.digest} was not pushed"
                    )
                stream = stack.enter_context(self._storage.open_layer_tar(stored))
                compression = stored.compression
            if present:
                drain(VerifiedReader(stream, str(layer.digest), digest=diff_id, size=None))
            else:
                new = NewLayer(layer_id, parent, diff_id, layer, compression)
                check = self._cancellation.check
                layer_store.add(self._storage, self._staging, new, stream, lambda _: check())
        return layer_id

    def _find_layer(self, digest: Digest) -> LayerRecord | None:
        for layer in self._layers.values():
            if digest.text in (layer.compressed_digest, layer.diff_digest):
                return layer
        return None

    def _read(self, digest: Digest, subject: str) -> bytes:
        """Read and verify a manifest or config that was pushed or is stored."""
        if self._spool.get_size(digest.hex) is not None:
            raw = self._spool.read(digest.hex, limit=strict.MAX_DOCUMENT)
        elif (stored := self._storage.find_item(digest, self._images)) is not None:
            raw = stored
        else:
            raise NotFoundError(f"{subject}: not pushed")
        digest.verify(raw, subject)
        return raw


def _parse_names(image: Publication) -> tuple[str | None, tuple[str, ...]]:
    """Return the image ID in the names of an image (None if absent), and the names without it.

    Raises:
        ConflictError: a name contains the digest of another image, or an incomplete ID.
    """
    image_id: str | None = None
    names: list[str] = []
    for text in image.names:
        name = parse_image_name(text)
        digest = name.reference.digest if name.reference else None
        if digest not in (None, image.root.digest):
            raise ConflictError(
                f"{text}: wrong digest (expected {image.root.digest}, got {digest})",
                hint="use a tag, or the digest of the image",
            )
        if name.reference is not None:
            names.append(str(name.reference))
        image_id = name.id or image_id
    if image_id is not None and len(image_id) != 64:
        raise ConflictError(f"@{image_id}: incomplete image ID (expected 64 hexadecimal digits)")
    return image_id, tuple(names)
