"""Sequential writer of archives for ``docker load``.

Layers and configs are written in the order of their pushes; manifests themselves are not stored.
The names and the order of the members are those of containers/image, so both write the same archive
of an image.

https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypedDict

from bundler.content.archives.tar_header import padded
from bundler.content.archives.tar_writer import TarWriter
from bundler.errors import (
    ConflictError,
    DigestMismatchError,
    IntegrityError,
    InvalidReferenceError,
    LimitError,
    UnsupportedError,
)
from bundler.oci import image_config, manifest
from bundler.oci.descriptor import Descriptor
from bundler.oci.json import strict
from bundler.oci.manifest import ImageManifest
from bundler.oci.reference import ImageReference
from bundler.transports.docker_archive.archived_image import MANIFEST
from bundler.transports.docker_archive.legacy import create_legacy_layers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bundler.content.streams.reader import Content
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import Kind
    from bundler.ports import Node, Publication


class DockerArchiveWriter:
    """Writer of images; blobs are pushed one at a time.

    Args:
        fd: an empty file, which the caller closes.
        path: the path of the file.
        subject: the name of the archive in messages.
        uncompressed: refuse layers whose digest is not their diff ID.
    """

    def __init__(self, fd: int, path: Path, subject: str, *, uncompressed: bool) -> None:
        self._fd = fd
        self._subject = subject
        self._uncompressed = uncompressed
        self._archive = TarWriter(fd, path, mode=0o444)
        self._parts: dict[str, _BlobPosition] = {}
        self._images: dict[Digest, _PushedImage] = {}
        self._legacy_ids: set[str] = set()
        self._lock = threading.Lock()

    def has(self, target: Node, /) -> bool:
        """Report whether ``target`` was pushed."""
        if target.digest is None:
            return False
        if target.kind == "manifest":
            image = self._images.get(target.digest)
            return image is not None and target.size in (None, image.size)
        part = self._parts.get(_get_file_name(target.kind, target.digest))
        return part is not None and target.size in (None, part.size)

    def push(self, target: Node, content: Content, /) -> Descriptor:
        """Append a layer or a config; for a manifest, append the directories of its layers.

        Raises:
            DigestMismatchError: a layer of a manifest does not match the config.
            IntegrityError: the config or a layer of a manifest was not pushed.
            UnsupportedError: a manifest of an artifact, or an index.
        """
        with self._lock:
            if target.kind == "manifest":
                raw = content.read()
                stored = content.descriptor()
                self._add_image(raw, Descriptor(target.media_type, stored.digest, len(raw)))
            else:
                stored = self._add_blob(target, content)
        return Descriptor(target.media_type, stored.digest, stored.size)

    def finish(self, images: Sequence[Publication], /) -> int:
        """Append the names of ``images``, and return the size of the archive in bytes.

        Raises:
            ConflictError: two images have the same name.
            IntegrityError: a root was not pushed.
            InvalidReferenceError: a name is not a valid image name.
        """
        entries: dict[str, _ManifestEntry] = {}
        names: dict[ImageReference, _PushedImage] = {}
        for publication in images:
            image = self._get_image(publication.root)
            entry: _ManifestEntry = {
                "Config": image.config,
                "RepoTags": [],
                "Layers": list(image.layers),
            }
            entry = entries.setdefault(image.config, entry)
            for name in map(_parse_tag, publication.names):
                other = names.setdefault(name, image)
                if other.config != image.config:
                    raise ConflictError(
                        f"{self._subject}: two images have the name {name}: "
                        f"{other.digest} and {image.digest}"
                    )
                if str(name) not in entry["RepoTags"]:
                    entry["RepoTags"].append(str(name))
        self._archive.add_bytes(MANIFEST, _encode(list(entries.values())))
        self._archive.add_bytes("repositories", _encode(_list_repositories(names)))
        return self._archive.finish()

    def config_digest(self, root: Descriptor) -> Digest:
        """Return the digest of the config of an image that was pushed."""
        return self._get_image(root).config_digest

    def _add_blob(self, target: Node, content: Content) -> Descriptor:
        kind, digest = target.kind, target.digest
        start = self._archive.position
        stored = self._archive.add(
            _get_file_name(kind, digest)
            if digest
            else lambda blob: _get_file_name(kind, blob.digest),
            content,
        )
        part = _get_file_name(kind, stored.digest)
        if part in self._parts:
            self._archive.rewind(start)
        else:
            offset = self._archive.position - padded(stored.size)
            self._parts[part] = _BlobPosition(offset, stored.size)
        return stored

    def _add_image(self, raw: bytes, root: Descriptor) -> None:
        parsed = manifest.parse(raw, root.media_type)
        if not isinstance(parsed, ImageManifest) or parsed.is_artifact:
            raise UnsupportedError(
                f"{self._subject}: {root.digest} is not a container image",
                hint="write oci:, or push to a registry",
            )
        layers = [layer.digest for layer in parsed.layers]
        image = _PushedImage(
            root.digest,
            root.size,
            parsed.config.digest,
            tuple(_get_file_name("layer", layer) for layer in layers),
        )
        for part in (image.config, *image.layers):
            if part not in self._parts:
                raise IntegrityError(f"{self._subject}: {part} of {root.digest} was not pushed")
        config_part = self._parts[image.config]
        if config_part.size > strict.MAX_DOCUMENT:
            raise LimitError(
                f"{self._subject}: {image.config}: more than the {strict.MAX_DOCUMENT:,} bytes"
                " allowed"
            )
        config = os.pread(self._fd, config_part.size, config_part.offset)
        subject = f"{self._subject}: config {image.config_digest}"
        if self._uncompressed:
            _check_layers(layers, config, subject)
        for layer in create_legacy_layers(layers, config, subject):
            image = replace(image, top=layer.id)
            if layer.id in self._legacy_ids:
                continue
            self._legacy_ids.add(layer.id)
            layer_path = f"../{_get_file_name('layer', layer.layer)}"
            self._archive.add_link(f"{layer.id}/layer.tar", layer_path)
            self._archive.add_bytes(f"{layer.id}/VERSION", b"1.0")
            self._archive.add_bytes(f"{layer.id}/json", layer.json)
        self._images[root.digest] = image

    def _get_image(self, root: Descriptor) -> _PushedImage:
        try:
            return self._images[root.digest]
        except KeyError:
            raise IntegrityError(f"{self._subject}: {root.digest} was not pushed") from None


class _ManifestEntry(TypedDict):
    """An image in manifest.json; manifests with the same config are the same image."""

    Config: str
    RepoTags: list[str]
    Layers: list[str]


@dataclass(frozen=True, slots=True)
class _BlobPosition:
    """The offset and the size of a layer or a config in the archive, in bytes."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class _PushedImage:
    """A manifest that was pushed."""

    digest: Digest
    size: int
    config_digest: Digest
    layers: tuple[str, ...]
    top: str | None = None
    """The directory of the top layer; None if there are no layers."""

    @property
    def config(self) -> str:
        """The name of the config in the archive."""
        return _get_file_name("config", self.config_digest)


def _check_layers(layers: Sequence[Digest], config: bytes, subject: str) -> None:
    """Check that the digests of the layers are the config's diff IDs, as engines require."""
    diff_ids = image_config.parse(config, subject=subject).diff_ids
    if len(layers) != len(diff_ids):
        raise IntegrityError(
            f"{subject}: wrong number of layers (expected {len(layers)}, got {len(diff_ids)})"
        )
    for position, (layer, diff_id) in enumerate(zip(layers, diff_ids, strict=True), 1):
        if layer != diff_id:
            raise DigestMismatchError(
                f"{subject}: layer {position}, uncompressed",
                expected=diff_id.text,
                got=layer.text,
            )


def _get_file_name(kind: Kind, digest: Digest) -> str:
    return f"{digest.hex}.{'json' if kind == 'config' else 'tar'}"


def _parse_tag(text: str) -> ImageReference:
    name = ImageReference.parse(text).with_default_tag()
    if name.tag is None:
        raise InvalidReferenceError(
            f"{text}: a digest cannot be a name in a Docker archive", hint="specify a tag"
        )
    return name


def _list_repositories(names: Mapping[ImageReference, _PushedImage]) -> dict[str, dict[str, str]]:
    """Return the top layers by repository and tag, for tools that ignore ``manifest.json``."""
    found: dict[str, dict[str, str]] = {}
    for name, image in names.items():
        if image.top is not None and name.tag is not None:
            found.setdefault(name.repository, {})[name.tag] = image.top
    return {repository: dict(sorted(found[repository].items())) for repository in sorted(found)}


def _encode(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
