"""What arrives for a storage: kept in files of this run, and unpacked once all of it is there."""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.content.compression import decompress
from bundler.content.compression.decompress import DecompressingReader
from bundler.content.files.atomic_write import new_part
from bundler.content.files.os_errors import explained
from bundler.content.files.safe_directory import Directory
from bundler.content.streams.reader import copy_to_fd, drain
from bundler.content.streams.verified import VerifiedReader
from bundler.errors import ConflictError, MalformedError, NotFoundError, UnsupportedError
from bundler.oci import image_config, manifest
from bundler.oci.json import strict
from bundler.oci.manifest import ImageManifest
from bundler.transports.containers_storage import layer_store, reference, signatures
from bundler.transports.containers_storage import storage as store
from bundler.transports.containers_storage.image_store import NewImage
from bundler.transports.containers_storage.layer_store import NewLayer
from bundler.transports.containers_storage.metadata import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bundler.content.compression.decompress import Compression
    from bundler.content.streams.reader import Content, Reader
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import Node, OpenOptions, Publication
    from bundler.transports.containers_storage.metadata import LayerRecord
    from bundler.transports.containers_storage.storage import Staging, Storage

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII)


@contextmanager
def arriving(storage: Storage, options: OpenOptions) -> Iterator[IncomingImages]:
    """Room for what arrives, until the block ends."""
    with ExitStack() as stack:
        staging = stack.enter_context(store.staging(storage))
        spool = staging.files / "blobs"
        try:
            if options.scratch is not None:
                prefix = ".airbundle-"
                made = tempfile.TemporaryDirectory(prefix=prefix, dir=options.scratch)
                spool = Path(stack.enter_context(made)) / "blobs"
            spool.mkdir(0o700)
        except OSError as error:
            raise explained(error, spool, "cannot keep temporary files here") from error
        yield IncomingImages(storage, options, staging, stack.enter_context(Directory.open(spool)))


class IncomingImages:
    """The blobs and manifests of one run. ``has`` and ``take`` are for any number of threads."""

    def __init__(
        self, storage: Storage, options: OpenOptions, staging: Staging, spool: Directory
    ) -> None:
        self._storage = storage
        self._stop = options.cancellation
        self._staging = staging
        self._spool = spool
        self.signatures: dict[Digest, Sequence[bytes]] = {}
        """Of manifests of this run."""
        self._images = storage.list_images()
        self._layers = storage.list_layers()

    def has(self, target: Node) -> bool:
        """Whether it arrived in this run, or an image that was there at its beginning has it."""
        if target.digest is None:
            return False
        size = self._spool.size(target.digest.hex)
        if size is not None:
            return target.size in (None, size)
        text = target.digest.text
        match target.kind:
            case "manifest":
                return any(text in image.manifests for image in self._images)
            case "config":
                held = [image.sizes.get(text) for image in self._images if text in image.items]
                return bool(held) and target.size in (None, *held)
            case "layer":
                layer = self._stored_layer(target.digest)
                return layer is not None and target.size in (None, _blob_size(layer, text))

    def take(self, target: Node, content: Content) -> Descriptor:
        """Keep all of ``content``, or nothing."""
        part = new_part()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            fd = os.open(part, flags, 0o600, dir_fd=self._spool.fd)
            try:
                copy_to_fd(content, fd)
            finally:
                os.close(fd)
        except OSError as error:
            self._spool.remove(part)
            raise explained(error, self._spool.path, "cannot write here") from error
        except BaseException:
            self._spool.remove(part)
            raise
        stored = content.descriptor()
        self._spool.rename(part, stored.digest.hex)
        return type(stored)(target.media_type, stored.digest, stored.size)

    def unpacked(self, wanted: Publication) -> NewImage:
        """Unpack the layers of an image that are not in the storage; what is to be published.

        Raises:
            UnsupportedError: it is no image that could run.
            IntegrityError: a layer is not the one that the config names.
            ConflictError: a name's digest is not the image's.
        """
        what = f"{self._storage.what}: manifest {wanted.root.digest}"
        raw = self._small(wanted.root.digest, what)
        parsed = manifest.parse(raw, wanted.root.media_type, subject=what)
        if not isinstance(parsed, ImageManifest) or parsed.is_artifact:
            raise UnsupportedError(
                f"{what}: not a container image", hint="oci: and dir: keep anything"
            )
        config_raw = self._small(parsed.config.digest, f"{what}: its config")
        config = image_config.parse(config_raw, subject=f"{what}: its config")
        if len(config.diff_ids) != len(parsed.layers):
            raise MalformedError(
                f"{what}: {len(parsed.layers)} layers, and its config names {len(config.diff_ids)}"
            )
        if any(one.algorithm != "sha256" for one in (parsed.config.digest, *config.diff_ids)):
            raise UnsupportedError(f"{what}: a storage names images and layers by sha256 only")
        top: str | None = None
        for layer, diff_id in zip(parsed.layers, config.diff_ids, strict=True):
            top = self._unpack(layer, diff_id, top)
        names = _Names.of(wanted)
        items = {parsed.config.digest.text: config_raw}
        items |= {f"{MANIFEST}-{wanted.root.digest}": raw, MANIFEST: raw}
        own = self.signatures.get(wanted.root.digest, ())
        items |= signatures.items(wanted.root.digest, own)
        return NewImage(
            names.id or parsed.config.digest.hex,
            top,
            _time(config.created),
            items,
            names.names,
            signatures.metadata(wanted.root.digest, own),
        )

    def _unpack(self, layer: Descriptor, diff_id: Digest, parent: str | None) -> str:
        """The id of the storage's layer that holds ``diff_id`` on ``parent``."""
        layer_id = layer_store.chain_id(parent, diff_id)
        present = layer_id in self._storage.list_layers()
        arrived = self._spool.size(layer.digest.hex) is not None
        if present and not arrived:
            return layer_id
        with ExitStack() as stack:
            if arrived:
                stream, kind = self._arrived(layer, stack)
            else:
                stream, kind = self._again(layer, stack)
            if present:
                drain(VerifiedReader(stream, str(layer.digest), digest=diff_id, size=None))
            else:
                new = NewLayer(layer_id, parent, diff_id, layer.digest, layer.size, kind)
                layer_store.add(
                    self._storage, self._staging, new, stream, lambda _: self._stop.check()
                )
        return layer_id

    def _arrived(self, layer: Descriptor, stack: ExitStack) -> tuple[Reader, Compression | None]:
        file = stack.enter_context(self._spool.open_file(layer.digest.hex))
        kind = decompress.detect(file.read(decompress.MAGIC_SIZE))
        file.seek(0)
        if kind is None:
            return file, None
        return DecompressingReader(file, kind, f"layer {layer.digest}"), kind

    def _again(self, layer: Descriptor, stack: ExitStack) -> tuple[Reader, Compression | None]:
        """A layer that the storage has, on another parent."""
        known = self._stored_layer(layer.digest)
        if known is None:
            raise NotFoundError(f"{self._storage.what}: layer {layer.digest} did not arrive")
        return stack.enter_context(self._storage.layer_tar(known)), known.compression

    def _stored_layer(self, digest: Digest) -> LayerRecord | None:
        found = [
            layer
            for layer in self._layers.values()
            if digest.text in (layer.compressed_digest, layer.diff_digest)
        ]
        return found[0] if found else None

    def _small(self, digest: Digest, what: str) -> bytes:
        if self._spool.size(digest.hex) is not None:
            raw = self._spool.read(digest.hex, limit=strict.MAX_DOCUMENT)
        else:
            raw = self._stored(digest, what)
        digest.check(raw, what)
        return raw

    def _stored(self, digest: Digest, what: str) -> bytes:
        for image in self._images:
            key = image.manifests.get(digest.text, digest.text)
            if key in image.items:
                return self._storage.item(image, key)
        raise NotFoundError(f"{what} did not arrive")


@dataclass(frozen=True, slots=True)
class _Names:
    """The names of a publication, and the id that one of them asks for."""

    names: tuple[str, ...]
    id: str | None

    @classmethod
    def of(cls, wanted: Publication) -> _Names:
        names: list[str] = []
        image_id: str | None = None
        for text in wanted.names:
            name = reference.parse_name(text)
            digest = name.named.digest if name.named else None
            if digest not in (None, wanted.root.digest):
                raise ConflictError(
                    f"{text}: the image that is to have this name is {wanted.root.digest}",
                    hint="name a tag, or that digest",
                )
            if name.named is not None:
                names.append(str(name.named))
            image_id = name.id or image_id
        if image_id is not None and len(image_id) != 64:
            raise ConflictError(f"@{image_id}: a new image needs a whole id of 64 digits")
        return cls(tuple(names), image_id)


def _blob_size(layer: LayerRecord, digest: str) -> int:
    return layer.compressed_size if digest == layer.compressed_digest else layer.diff_size


def _time(text: str | None) -> str | None:
    """A time that every user of the storage can parse; one bad record would spoil the list."""
    found = _TIME.fullmatch(text or "")
    if found is None:
        return None
    try:
        datetime.fromisoformat(f"{found[1]}+00:00")
    except ValueError:
        return None
    return text
