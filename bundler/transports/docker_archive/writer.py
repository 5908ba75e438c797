"""Sequential writer of archives for ``docker load``.

Layers and configs are written in the order of their pushes; manifests themselves are not stored.
Names and order of the members are those of containers/image, so that the archives are identical.

https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

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
from bundler.gocompat import json_encoding
from bundler.oci import manifest
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.json import strict
from bundler.oci.manifest import ImageManifest
from bundler.oci.reference import ImageReference
from bundler.transports.docker_archive.archived_image import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from bundler.content.streams import Content
    from bundler.oci.manifest import Kind
    from bundler.ports import Node, Publication

_TOP_LAYER_MEMBERS = (
    "architecture",
    "config",
    "container",
    "container_config",
    "created",
    "docker_version",
    "os",
)


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
        self._blobs: dict[str, tuple[int, int]] = {}
        """The offset and the size in bytes of each layer and config, by name."""
        self._images: dict[Digest, _PushedImage] = {}
        self._legacy_ids: set[str] = set()
        self._lock = threading.Lock()

    def has(self, node: Node, /) -> bool:
        """Return whether ``node`` was pushed."""
        if node.digest is None:
            return False
        if node.kind == "manifest":
            image = self._images.get(node.digest)
            return image is not None and node.size in (None, image.root.size)
        blob = self._blobs.get(_get_file_name(node.kind, node.digest))
        return blob is not None and node.size in (None, blob[1])

    def push(self, node: Node, content: Content, /) -> Descriptor:
        """Append a layer or a config; for a manifest, append the directories of its layers.

        Raises:
            DigestMismatchError: a layer of a manifest does not match the config.
            IntegrityError: the config or a layer of a manifest was not pushed.
            UnsupportedError: the manifest is an index, or that of an artifact.
        """
        kind, digest = node.kind, node.digest
        with self._lock:
            if kind == "manifest":
                raw = content.read()
                stored = content.descriptor()
                self._add_image(raw, Descriptor(node.media_type, stored.digest, len(raw)))
            else:
                start = self._archive.position
                stored = self._archive.add(
                    _get_file_name(kind, digest)
                    if digest
                    else lambda blob: _get_file_name(kind, blob.digest),
                    content,
                )
                name = _get_file_name(kind, stored.digest)
                if name in self._blobs:
                    self._archive.rewind(start)
                else:
                    offset = self._archive.position - padded(stored.size)
                    self._blobs[name] = (offset, stored.size)
        return Descriptor(node.media_type, stored.digest, stored.size)

    def finish(self, images: Sequence[Publication], /) -> int:
        """Append the names of ``images``, and return the size of the archive in bytes.

        Raises:
            ConflictError: two images have the same name.
            IntegrityError: a root was not pushed.
            InvalidReferenceError: a name is not a valid image name.
        """
        entries: dict[str, dict[str, Any]] = {}  # manifests with the same config are the same image
        repositories: dict[str, dict[str, str]] = {}  # for tools that ignore manifest.json
        names: dict[ImageReference, _PushedImage] = {}
        for publication in images:
            image = self._get_image(publication.root)
            entry = {"Config": image.config, "RepoTags": [], "Layers": list(image.layers)}
            tags = entries.setdefault(image.config, entry)["RepoTags"]
            for text in publication.names:
                name = ImageReference.parse(text).with_default_tag()
                if name.tag is None:
                    raise InvalidReferenceError(
                        f"{text}: unsupported digest in a Docker archive (expected a tag)",
                        hint="specify a tag",
                    )
                other = names.setdefault(name, image)
                if other.config != image.config:
                    raise ConflictError(
                        f"{self._subject}: two images have the name {name}: "
                        f"{other.root.digest} and {image.root.digest}"
                    )
                if str(name) not in tags:
                    tags.append(str(name))
                if other.top is not None:
                    repositories.setdefault(name.repository, {})[name.tag] = other.top
        self._add_json(MANIFEST, list(entries.values()))
        self._add_json("repositories", repositories, sort_keys=True)
        return self._archive.finish()

    def config_digest(self, root: Descriptor) -> Digest:
        """Return the digest of the config of an image that was pushed."""
        return self._get_image(root).config_digest

    def _add_image(self, raw: bytes, root: Descriptor) -> None:
        parsed = manifest.parse(raw, root.media_type)
        if not isinstance(parsed, ImageManifest) or parsed.is_artifact:
            raise UnsupportedError(
                f"{self._subject}: {root.digest} is not a container image",
                hint="copy it to oci:, or push it to a registry",
            )
        digests = [layer.digest for layer in parsed.layers]
        layers = tuple(_get_file_name("layer", digest) for digest in digests)
        config_name = _get_file_name("config", parsed.config.digest)
        for name in (config_name, *layers):
            if name not in self._blobs:
                raise IntegrityError(f"{self._subject}: {name} of {root.digest} was not pushed")
        offset, size = self._blobs[config_name]
        if size > strict.MAX_DOCUMENT:
            raise LimitError(
                f"{self._subject}: {config_name}: more than the {strict.MAX_DOCUMENT:,} bytes"
                " allowed"
            )
        config = os.pread(self._fd, size, offset)
        subject = f"{self._subject}: config {parsed.config.digest}"
        if self._uncompressed:
            _check_layers(digests, config, subject)
        top = None
        for top, layer_digest, legacy_json in _create_legacy_layers(digests, config, subject):
            if top not in self._legacy_ids:
                self._legacy_ids.add(top)
                target = f"../{_get_file_name('layer', layer_digest)}"
                self._archive.add_link(f"{top}/layer.tar", target)
                self._archive.add_bytes(f"{top}/VERSION", b"1.0")
                self._archive.add_bytes(f"{top}/json", legacy_json)
        self._images[root.digest] = _PushedImage(
            root, parsed.config.digest, config_name, layers, top
        )

    def _add_json(self, name: str, value: object, *, sort_keys: bool = False) -> None:
        raw = json.dumps(value, separators=(",", ":"), sort_keys=sort_keys).encode()
        self._archive.add_bytes(name, raw)

    def _get_image(self, root: Descriptor) -> _PushedImage:
        try:
            return self._images[root.digest]
        except KeyError:
            raise IntegrityError(f"{self._subject}: {root.digest} was not pushed") from None


@dataclass(frozen=True, slots=True)
class _PushedImage:
    """A manifest that was pushed."""

    root: Descriptor
    config_digest: Digest
    config: str
    """The name of the config in the archive."""
    layers: tuple[str, ...]
    """The names of the layers in the archive."""
    top: str | None
    """The directory of the top layer; None if there are no layers."""


def _check_layers(layers: Sequence[Digest], config: bytes, subject: str) -> None:
    """Check that the layer digests equal the config's diff IDs, as container engines require."""
    diff_ids = manifest.ImageConfig.parse(config, subject=subject).diff_ids
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


def _create_legacy_layers(
    layers: Sequence[Digest], config: bytes, subject: str
) -> Iterator[tuple[str, Digest, bytes]]:
    """Yield the ID, the layer and the ``json`` file of each directory, from the lowest layer up.

    For versions of Docker that ignore ``manifest.json``, each directory describes an image whose
    parent is the next lower layer. ``config`` is the image's config, part of which is repeated for
    the top layer. IDs are computed as in containers/image, so that the archives are identical.

    https://github.com/moby/docker-image-spec/blob/v1.2.0/v1.md
    """
    parent = chain = ""
    for position, layer in enumerate(layers, 1):
        members = {"parent": _encode(parent)} if parent else {}
        if position == len(layers):
            strict.load_object(config, subject=subject)
            config_members = json_encoding.split(config)
            members |= {name: config_members.get(name, "null") for name in _TOP_LAYER_MEMBERS}
        chain = Digest.of(f"{chain} {layer}".encode()).text if chain else layer.text
        parent = Digest.of(json_encoding.join(members | {"layer_id": _encode(chain)})).hex
        yield parent, layer, json_encoding.join(members | {"id": _encode(parent)})


def _encode(text: str) -> str:
    return json_encoding.dumps(text).decode()


def _get_file_name(kind: Kind, digest: Digest) -> str:
    return f"{digest.hex}.{'json' if kind == 'config' else 'tar'}"
