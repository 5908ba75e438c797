"""Write the archive that ``docker load`` takes, from its first byte to its last.

Layers and configs stand in it as they arrive. What a manifest says beyond its config and layers is
not kept: the format has no place for it. Members, their order and their names are those of
containers/image, so one image gives the same archive.

https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md
"""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypedDict

from bundler.content.archives.tar_writer import TarWriter, padded
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
from bundler.transports.docker_archive.legacy import LegacyLayer, create_legacy_layers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from bundler.content.streams.reader import Content
    from bundler.oci.digest import Digest
    from bundler.oci.manifest import Kind
    from bundler.ports import Node, Publication


class DockerArchiveWriter:
    """Images in the open, empty file ``fd``, whose owner closes it; one push at a time.

    Messages name the place as ``what``; ``path`` is where the file lies. With ``uncompressed`` no
    layer may be anything but the one that its config tells of.
    """

    def __init__(self, fd: int, path: Path, subject: str, *, uncompressed: bool) -> None:
        self._fd = fd
        self._what = subject
        self._uncompressed = uncompressed
        self._archive = TarWriter(fd, path, mode=0o444)
        self._parts: dict[str, _Part] = {}
        self._images: dict[Digest, _Image] = {}
        self._legacy: set[str] = set()
        self._pushing = threading.Lock()

    def has(self, target: Node, /) -> bool:
        """Whether it was pushed already."""
        if target.digest is None:
            return False
        if target.kind == "manifest":
            image = self._images.get(target.digest)
            return image is not None and target.size in (None, image.size)
        part = self._parts.get(_name(target.kind, target.digest))
        return part is not None and target.size in (None, part.size)

    def push(self, target: Node, content: Content, /) -> Descriptor:
        """Add a layer or a config; with a manifest, what old readers want of its layers.

        Raises:
            IntegrityError: part of a manifest has not arrived.
            UnsupportedError: a manifest of something else than a container image.
        """
        with self._pushing:
            if target.kind == "manifest":
                raw = content.read()
                stored = content.descriptor()
                self._add_image(raw, Descriptor(target.media_type, stored.digest, len(raw)))
            else:
                stored = self._add_part(target, content)
        return Descriptor(target.media_type, stored.digest, stored.size)

    def finish(self, images: Sequence[Publication], /) -> int:
        """End the archive with the names of ``images``; its size in bytes.

        Raises:
            ConflictError: two of ``images`` want one name.
            IntegrityError: the manifest of one did not arrive.
            InvalidReferenceError: a name that is not one of an image.
        """
        entries: dict[str, _Entry] = {}
        names: dict[ImageReference, _Image] = {}
        for publication in images:
            image = self._image(publication.root)
            entry: _Entry = {"Config": image.config, "RepoTags": [], "Layers": list(image.layers)}
            entry = entries.setdefault(image.config, entry)
            for name in map(_tagged, publication.names):
                holder = names.setdefault(name, image)
                if holder.config != image.config:
                    raise ConflictError(
                        f"{self._what}: {name} is wanted by {holder.digest} and {image.digest}"
                    )
                if str(name) not in entry["RepoTags"]:
                    entry["RepoTags"].append(str(name))
        self._archive.add_bytes("manifest.json", _encoded(list(entries.values())))
        self._archive.add_bytes("repositories", _encoded(_repositories(names)))
        return self._archive.end()

    def config_digest(self, root: Descriptor) -> Digest:
        """The digest of the config of an image that was pushed."""
        return self._image(root).config_digest

    def _add_part(self, target: Node, content: Content) -> Descriptor:
        kind, start = target.kind, self._archive.position
        digest = target.digest
        stored = self._archive.add(
            _name(kind, digest) if digest else lambda made: _name(kind, made.digest), content
        )
        part = _name(kind, stored.digest)
        if part in self._parts:
            self._archive.rewind(start)
        else:
            offset = self._archive.position - padded(stored.size)
            self._parts[part] = _Part(offset, stored.size)
        return stored

    def _add_image(self, raw: bytes, root: Descriptor) -> None:
        parsed = manifest.parse(raw, root.media_type)
        if not isinstance(parsed, ImageManifest) or parsed.is_artifact:
            raise UnsupportedError(
                f"{self._what}: {root.digest} is no container image",
                hint="nothing else goes into a Docker archive: write oci:, or push to a registry",
            )
        layers = [layer.digest for layer in parsed.layers]
        image = _Image(
            root.digest,
            root.size,
            parsed.config.digest,
            tuple(_name("layer", layer) for layer in layers),
        )
        for part in (image.config, *image.layers):
            if part not in self._parts:
                raise IntegrityError(f"{self._what}: {part}, part of {root.digest}, did not arrive")
        config = self._read_config(image.config)
        what = f"{self._what}: config {image.config_digest}"
        self._check_layers(layers, config, what)
        for layer in create_legacy_layers(layers, config, what):
            self._add_legacy(layer)
            image = replace(image, top=layer.id)
        self._images[root.digest] = image

    def _read_config(self, name: str) -> bytes:
        part = self._parts[name]
        if part.size > strict.MAX_DOCUMENT:
            raise LimitError(f"{self._what}: {name}: {part.size:,} bytes are no config")
        return os.pread(self._fd, part.size, part.offset)

    def _check_layers(self, layers: Sequence[Digest], config: bytes, what: str) -> None:
        """A layer that is not the one that the config tells of makes an archive nobody can load."""
        if not self._uncompressed:
            return
        diff_ids = image_config.parse(config, subject=what).diff_ids
        if len(layers) != len(diff_ids):
            raise IntegrityError(f"{what}: {len(diff_ids)} layers, its manifest {len(layers)}")
        for position, (layer, diff_id) in enumerate(zip(layers, diff_ids, strict=True), 1):
            if layer != diff_id:
                raise DigestMismatchError(
                    f"{what}: layer {position}, uncompressed",
                    expected=diff_id.text,
                    got=layer.text,
                )

    def _add_legacy(self, layer: LegacyLayer) -> None:
        if layer.id not in self._legacy:
            self._legacy.add(layer.id)
            self._archive.add_link(f"{layer.id}/layer.tar", f"../{_name('layer', layer.layer)}")
            self._archive.add_bytes(f"{layer.id}/VERSION", b"1.0")
            self._archive.add_bytes(f"{layer.id}/json", layer.json)

    def _image(self, root: Descriptor) -> _Image:
        try:
            return self._images[root.digest]
        except KeyError:
            raise IntegrityError(f"{self._what}: {root.digest} did not arrive") from None


class _Entry(TypedDict):
    """An image in manifest.json; one config is one image, however many manifests name it."""

    Config: str
    RepoTags: list[str]
    Layers: list[str]


@dataclass(frozen=True, slots=True)
class _Part:
    """Where a layer or config lies in the archive."""

    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class _Image:
    """A manifest that was pushed, as manifest.json tells it."""

    digest: Digest
    size: int
    config_digest: Digest
    layers: tuple[str, ...]
    top: str | None = None
    """The directory of the top layer; None: there are no layers."""

    @property
    def config(self) -> str:
        """The config's name in the archive."""
        return _name("config", self.config_digest)


def _name(kind: Kind, digest: Digest) -> str:
    return f"{digest.hex}.{'json' if kind == 'config' else 'tar'}"


def _tagged(text: str) -> ImageReference:
    name = ImageReference.parse(text).with_default_tag()
    if name.tag is None:
        raise InvalidReferenceError(f"{text}: a Docker archive knows no digests", hint="name a tag")
    return name


def _repositories(names: Mapping[ImageReference, _Image]) -> dict[str, dict[str, str]]:
    """What old readers want instead of manifest.json: the top layers of repositories' tags."""
    found: dict[str, dict[str, str]] = {}
    for name, image in names.items():
        if image.top is not None and name.tag is not None:
            found.setdefault(name.repository, {})[name.tag] = image.top
    return {repository: dict(sorted(found[repository].items())) for repository in sorted(found)}


def _encoded(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
