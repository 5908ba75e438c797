"""``docker-archive:FILE[:NAME]``: what ``docker save`` writes and ``docker load`` takes.

An archive says which config and which layers make an image, but holds no manifest. One is made as
containers/image makes it, so that both call the image by the same digest: layers go by their
diff-ids, uncompressed, under the media type of compressed ones.

An archive is written in one stream, and is there once it is whole; one that is there already stays
as it is. FILE may be a pipe, as /dev/stdin and /dev/stdout are.

https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md
"""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, Self

from bundler.content.archives import tar_index
from bundler.content.compression import decompress
from bundler.content.compression.decompress import DecompressingReader
from bundler.content.streams.reader import new_buffer
from bundler.errors import (
    AmbiguousImageError,
    ArchiveExistsError,
    IndexOutOfRangeError,
    InvalidReferenceError,
    LimitError,
    MalformedError,
    NoSuchImageError,
    NotADockerArchiveError,
    NotFoundError,
)
from bundler.errors.counts import shortlist
from bundler.oci import image_config, media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.json import strict
from bundler.oci.json.table import Table
from bundler.oci.reference import ImageReference
from bundler.ports import Capabilities, SynthesizesManifests
from bundler.transports.docker_archive.writer import DockerArchiveWriter
from bundler.transports.shared import archive_file, pipes
from bundler.transports.shared.path_reference import check_index
from bundler.transports.shared.path_transport import PathTransport

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from bundler.content.archives.tar_index import ArchiveMember
    from bundler.content.files.safe_directory import RegularFile
    from bundler.content.streams.reader import Content, Reader
    from bundler.ports import Node, OpenOptions, Publication

_MANIFEST = "manifest.json"
_MAX_MANIFEST = 16 * 1024 * 1024
_MAX_IMAGES = 10_000
_MAX_LAYERS = 1_000
_SHOWN_NAMES = 20


@dataclass(frozen=True, slots=True)
class DockerArchiveReference:
    """``docker-archive:FILE``, ``…:NAME`` (``latest`` if no tag is told) or ``…:@N``."""

    path: str
    name: str | None = None

    @property
    def transport(self) -> str:
        """``docker-archive``."""
        return "docker-archive"

    @property
    def image(self) -> ImageReference | None:
        """The name; None: there is none, or it is a place."""
        named = self.name is not None and not self.name.startswith("@")
        return ImageReference.parse(self.name or "") if named else None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``FILE[:NAME]`` or ``FILE:@N``; the file's path ends at the first colon.

        Raises:
            InvalidReferenceError: with the part that is wrong.
        """
        path, _, name = text.partition(":")
        if not path or "\0" in path:
            raise InvalidReferenceError(
                f"docker-archive:{text[:200]}: no file", hint="write docker-archive:FILE[:NAME]"
            )
        if name.startswith("@"):
            check_index(f"docker-archive:{text}", name)
            return cls(path, name)
        if not name:
            return cls(path)
        image = ImageReference.parse(name)
        if image.digest is not None:
            raise InvalidReferenceError(
                f"docker-archive:{text[:200]}: an archive knows no digests", hint="name a tag"
            )
        return cls(path, str(image.with_default_tag()))

    def __str__(self) -> str:
        name = "" if self.name is None else f":{self.name}"
        return f"docker-archive:{self.path}{name}"


class DockerArchiveSource(SynthesizesManifests):
    """Reads the archive at a path, or one that is open already and from now on is this source's."""

    def __init__(self, archive: Path | RegularFile, options: OpenOptions) -> None:
        self._making = threading.Lock()
        self._contents: dict[Digest, bytes | ArchiveMember] = {}
        self._roots: dict[int, Descriptor] = {}
        self._sizes: dict[int, int] = {}
        with ExitStack() as opened:
            self._file = opened.enter_context(archive_file.open_archive(archive, options))
            self._what = str(self._file.path)
            self._members = tar_index.index(self._file, links=True)
            self._images = self._read_images()
            self._opened = opened.pop_all()

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """The image called ``name``, the only one, or with ``@N`` the one in that place."""
        return self._root(self._find(name))

    def has(self, target: Node, /) -> bool:
        """Whether ``target`` is part of one of the images."""
        try:
            self._content(target)
        except NotFoundError:
            return False
        return True

    @contextmanager
    def open(self, target: Node, /, offset: int = 0) -> Iterator[Reader]:
        """A manifest that was made here, a config, or a layer's uncompressed bytes."""
        content = self._content(target)
        if isinstance(content, bytes):
            yield BytesIO(content[offset:])
        elif self._compression(content) is None:
            yield tar_index.open_member(self._file, content, offset)
        else:
            stream = self._layer_stream(content)
            _skip(stream, offset)
            yield stream

    def tags(self) -> list[str]:
        """Every name of every image, in full."""
        return [str(tag) for image in self._images for tag in image.tags]

    def close(self) -> None:
        """Let go of the file."""
        self._opened.close()

    def _find(self, name: str | None) -> int:
        if name is None:
            if len(self._images) == 1:
                return 0
            raise AmbiguousImageError(self._what, len(self._images), hint=self._hint())
        if name.startswith("@"):
            position = int(name[1:])
            if position >= len(self._images):
                raise IndexOutOfRangeError(self._what, index=position, count=len(self._images))
            return position
        wanted = ImageReference.parse(name).with_default_tag()
        for position, image in enumerate(self._images):
            if wanted in image.tags:
                return position
        raise NoSuchImageError(self._what, str(wanted), hint=self._hint())

    def _hint(self) -> str:
        names = self.tags() or [f"@{position}" for position in range(len(self._images))]
        return f"it holds {shortlist(names, _SHOWN_NAMES)}"

    def _root(self, position: int) -> Descriptor:
        with self._making:
            if position not in self._roots:
                self._roots[position] = self._make_manifest(self._images[position])
            return self._roots[position]

    def _content(self, target: Node) -> bytes | ArchiveMember:
        if target.digest is None:
            raise NotFoundError(f"{self._what}: a blob without a digest is nowhere")
        for position in range(len(self._images)):
            if target.digest in self._contents:
                break
            self._root(position)
        try:
            return self._contents[target.digest]
        except KeyError:
            raise NotFoundError(f"{self._what}: it does not hold {target.digest}") from None

    def _make_manifest(self, image: _Image) -> Descriptor:
        config = self._read(image.config, strict.MAX_DOCUMENT)
        what = f"{self._what}: {image.config}"
        diff_ids = image_config.parse(config, subject=what).diff_ids
        if len(diff_ids) != len(image.layers):
            raise MalformedError(
                f"{what}: it names {len(diff_ids)} layers, the archive {len(image.layers)}"
            )
        layers = []
        for diff_id, name in zip(diff_ids, image.layers, strict=True):
            member = tar_index.find(self._members, name, self._what)
            self._contents[diff_id] = member
            layers.append(_entry(media_types.DOCKER_LAYER_GZIP, diff_id, self._size(member)))
        digest = Digest.of(config)
        self._contents[digest] = config
        value = {
            "schemaVersion": 2,
            "mediaType": media_types.DOCKER_MANIFEST,
            "config": _entry(media_types.DOCKER_CONFIG, digest, len(config)),
            "layers": layers,
        }
        raw = json.dumps(value, separators=(",", ":")).encode()
        root = Descriptor(media_types.DOCKER_MANIFEST, Digest.of(raw), len(raw))
        self._contents[root.digest] = raw
        return root

    def _size(self, member: ArchiveMember) -> int:
        """The size of a layer as it will be read; one that is compressed has to be read for it."""
        if self._compression(member) is None:
            return member.size
        if member.offset not in self._sizes:
            self._sizes[member.offset] = _skip(self._layer_stream(member), None)
        return self._sizes[member.offset]

    def _compression(self, member: ArchiveMember) -> decompress.Compression | None:
        head = tar_index.open_member(self._file, member).read(decompress.MAGIC_SIZE)
        return decompress.detect(head)

    def _layer_stream(self, member: ArchiveMember) -> DecompressingReader:
        kind = self._compression(member)
        if kind is None:
            raise MalformedError(f"{self._what}: {member.name!r} has changed")
        source = tar_index.open_member(self._file, member)
        return DecompressingReader(source, kind, f"{self._what}: {member.name}")

    def _read(self, name: str, limit: int) -> bytes:
        member = tar_index.find(self._members, name, self._what)
        if member.size > limit:
            raise LimitError(f"{self._what}: {name}: more than the {limit:,} bytes allowed")
        return tar_index.open_member(self._file, member).read()

    def _read_images(self) -> list[_Image]:
        what = f"{self._what}: {_MANIFEST}"
        try:
            raw = self._read(_MANIFEST, _MAX_MANIFEST)
        except NotFoundError:
            raise NotADockerArchiveError(
                self._what,
                missing=_MANIFEST,
                hint="if it holds an OCI layout, read it as oci-archive:",
            ) from None
        items = strict.loads(raw, subject=what, limit=_MAX_MANIFEST)
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise MalformedError(f"{what}: not an array of objects")
        if len(items) > _MAX_IMAGES:
            raise LimitError(f"{what}: more than the {_MAX_IMAGES:,} images allowed")
        return [_Image.from_json(item, what) for item in items if isinstance(item, dict)]


class DockerArchiveDestination:
    """Writes an archive of any number of images, from its first byte to its last.

    Raises:
        ArchiveExistsError: something is there already.
        LockedError: somebody else is writing it.
        NotFoundError: its directory is not there.
    """

    def __init__(self, path: Path, options: OpenOptions) -> None:
        if not pipes.is_stream(path) and path.is_file() and path.stat().st_size:
            raise ArchiveExistsError(str(path))
        self._file = archive_file.create_archive(path, options)
        self._images = DockerArchiveWriter(
            self._file.fd, self._file.path, str(path), uncompressed=True
        )

    @property
    def capabilities(self) -> Capabilities:
        """Docker's single images, their layers uncompressed, one blob after the other."""
        return Capabilities(
            manifests=frozenset({media_types.DOCKER_MANIFEST}),
            indexes=False,
            layers="uncompressed",
            writers=1,
        )

    def has(self, target: Node, /) -> bool:
        """Whether it was pushed already."""
        return self._images.has(target)

    def push(self, target: Node, content: Content, /) -> Descriptor:
        """Add a config or a layer to the archive; a manifest ties them together.

        Raises:
            DigestMismatchError: a layer of a manifest is not the one that its config tells of.
            IntegrityError: part of a manifest has not arrived.
            UnsupportedError: a manifest of something else than a container image.
        """
        return self._images.push(target, content)

    def commit(self, images: Sequence[Publication], /) -> None:
        """End the archive with the names of ``images``, and put it in its place.

        Raises:
            ConflictError: two of ``images`` want one name.
            IntegrityError: one of them is not here.
            InvalidReferenceError: a name that is not one of an image.
        """
        self._file.publish(self._images.finish(images))

    def close(self) -> None:
        """Let go of the file; what was not committed is gone."""
        self._file.close()


@dataclass(frozen=True, slots=True)
class _Image:
    """One entry of the archive's manifest.json."""

    config: str
    tags: tuple[ImageReference, ...]
    layers: tuple[str, ...]

    @classmethod
    def from_json(cls, value: dict[str, Any], what: str) -> _Image:
        table = Table(value, what)
        table.refuse_other_case(("Config", "RepoTags", "Layers"))
        config, layers = table.text("Config"), table.texts("Layers")
        if len(layers) > _MAX_LAYERS:
            raise LimitError(f"{what}: an image of {len(layers):,} layers")
        tags = [_tag(text, what) for text in table.texts("RepoTags")]
        return cls(config, tuple(tags), layers)


def _tag(text: str, what: str) -> ImageReference:
    try:
        return ImageReference.parse(text).with_default_tag()
    except InvalidReferenceError as error:
        raise MalformedError(f"{what}: {error.message}") from None


def _entry(media_type: str, digest: Digest, size: int) -> Mapping[str, str | int]:
    """A descriptor with its members in the order of containers/image's schema 2."""
    return {"mediaType": media_type, "size": size, "digest": digest.text}


def _skip(stream: Reader, count: int | None) -> int:
    """Read ``count`` bytes, or to the end; how many there were."""
    buffer = new_buffer()
    skipped = 0
    while count is None or skipped < count:
        got = stream.readinto(buffer if count is None else buffer[: count - skipped])
        if not got:
            break
        skipped += got
    return skipped


TRANSPORT = PathTransport(
    DockerArchiveReference.parse, DockerArchiveSource, DockerArchiveDestination
)
