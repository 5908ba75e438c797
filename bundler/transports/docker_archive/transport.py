"""``docker-archive:FILE[:NAME]``: an archive that ``docker save`` writes and ``docker load`` reads.

The archive lists the config and the layers of each image, but contains no manifest. The manifest is
created as in containers/image, so that digests are equal: layers are uncompressed and identified by
diff ID, but have the media type of compressed layers.

A new archive is written sequentially and published when it is complete; an existing archive is not
changed. FILE may be a pipe, such as /dev/stdin or /dev/stdout.

https://github.com/moby/docker-image-spec/blob/v1.3.1/spec.md
"""

from __future__ import annotations

import json
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, ClassVar, Self

from bundler.content.archives import tar_index
from bundler.content.compression import decompress
from bundler.content.compression.decompress import DecompressingReader
from bundler.content.files.safe_directory import FileSlice
from bundler.content.streams import new_buffer, read_chunks
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
    shortlist,
)
from bundler.oci import media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.json import strict
from bundler.oci.manifest import ImageConfig
from bundler.oci.reference import ImageReference
from bundler.ports import Capabilities, SynthesizesManifests
from bundler.transports.docker_archive.archived_image import (
    MANIFEST,
    MAX_MANIFEST,
    ArchivedImage,
    parse_images,
)
from bundler.transports.shared.archive_file import create_archive, is_stream, open_archive
from bundler.transports.shared.path_transport import PathTransport, check_index

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from bundler.content.archives.tar_index import ArchiveMember
    from bundler.content.files.safe_directory import RegularFile
    from bundler.content.streams import Reader
    from bundler.ports import Node, OpenOptions, Publication

_MAX_LISTED_NAMES = 20


@dataclass(frozen=True, slots=True)
class DockerArchiveReference:
    """``docker-archive:FILE``, ``docker-archive:FILE:NAME`` or ``docker-archive:FILE:@N``."""

    transport: ClassVar = "docker-archive"
    path: str
    name: str | None = None
    """Name of the image, or ``@N`` for the image at index N; None if unset."""

    @property
    def image(self) -> ImageReference | None:
        """The parsed name; None if it is unset or an index."""
        if self.name is None or self.name.startswith("@"):
            return None
        return ImageReference.parse(self.name)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse ``FILE[:NAME]`` or ``FILE:@N``; the path ends at the first colon.

        The default tag of a name is ``latest``.

        Raises:
            InvalidReferenceError: the path is missing, or the name is invalid.
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
                f"docker-archive:{text[:200]}: unsupported digest (expected a tag)",
                hint="specify a tag",
            )
        return cls(path, str(image.with_default_tag()))

    def __str__(self) -> str:
        name = "" if self.name is None else f":{self.name}"
        return f"docker-archive:{self.path}{name}"


class DockerArchiveSource(SynthesizesManifests):
    """Source of the images in an archive.

    Args:
        archive: a path, or an open file, which this source closes.
        options: the cancellation and the directory for large temporary files.
    """

    def __init__(self, archive: Path | RegularFile, options: OpenOptions) -> None:
        self._lock = threading.Lock()
        self._contents: dict[Digest, bytes | ArchiveMember] = {}
        self._roots: dict[int, Descriptor] = {}
        self._sizes: dict[int, int] = {}
        """Sizes of uncompressed layers, by the offsets of their members."""
        with ExitStack() as stack:
            self._file = stack.enter_context(open_archive(archive, options))
            self._subject = str(self._file.path)
            self._members = tar_index.index(
                self._file, links=True, repeated="first" if options.lenient else None
            )
            try:
                raw = self._read(MANIFEST, MAX_MANIFEST)
            except NotFoundError:
                raise NotADockerArchiveError(
                    self._subject,
                    missing=MANIFEST,
                    hint="read it as oci-archive: if it contains an OCI layout",
                ) from None
            self._images = parse_images(raw, f"{self._subject}: {MANIFEST}")
            self._resources = stack.pop_all()

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """Return the root called ``name``, the root at index N for ``@N``, or the only root."""
        if name is None and len(self._images) == 1:
            return self._get_root(0)
        names = self.tags() or [f"@{index}" for index in range(len(self._images))]
        hint = f"{self._subject} contains {shortlist(names, _MAX_LISTED_NAMES)}"
        if name is None:
            raise AmbiguousImageError(self._subject, len(self._images), hint=hint)
        if name.startswith("@"):
            index = int(name[1:])
            if index >= len(self._images):
                raise IndexOutOfRangeError(self._subject, index=index, count=len(self._images))
            return self._get_root(index)
        reference = ImageReference.parse(name).with_default_tag()
        for index, image in enumerate(self._images):
            if reference in image.tags:
                return self._get_root(index)
        raise NoSuchImageError(self._subject, str(reference), hint=hint)

    def has(self, node: Node, /) -> bool:
        """Return whether any image contains ``node``."""
        try:
            self._get_content(node)
        except NotFoundError:
            return False
        return True

    @contextmanager
    def open(self, node: Node, /, offset: int = 0) -> Iterator[Reader]:
        """Open a manifest, a config, or a layer, which is decompressed."""
        content = self._get_content(node)
        if isinstance(content, bytes):
            yield BytesIO(content[offset:])
        else:
            yield self._open_layer(content, offset)

    def tags(self) -> list[str]:
        """Return the full names of all images."""
        return [str(tag) for image in self._images for tag in image.tags]

    def close(self) -> None:
        """Close the archive."""
        self._resources.close()

    def _get_root(self, index: int) -> Descriptor:
        with self._lock:
            if index not in self._roots:
                self._roots[index] = self._create_manifest(self._images[index])
            return self._roots[index]

    def _get_content(self, node: Node) -> bytes | ArchiveMember:
        """Return content of any image; manifests are created on demand until one contains it."""
        if node.digest is None:
            raise NotFoundError(f"{self._subject}: cannot open a blob without a digest")
        for index in range(len(self._images)):
            if node.digest in self._contents:
                break
            self._get_root(index)
        try:
            return self._contents[node.digest]
        except KeyError:
            raise NotFoundError(f"{self._subject}: {node.digest} not found") from None

    def _create_manifest(self, image: ArchivedImage) -> Descriptor:
        config = self._read(image.config, strict.MAX_DOCUMENT)
        subject = f"{self._subject}: {image.config}"
        diff_ids = ImageConfig.parse(config, subject=subject).diff_ids
        if len(diff_ids) != len(image.layers):
            raise MalformedError(
                f"{subject}: wrong number of layers "
                f"(expected {len(image.layers)}, got {len(diff_ids)})"
            )
        layers = []
        for diff_id, name in zip(diff_ids, image.layers, strict=True):
            member = tar_index.find(self._members, name, self._subject)
            self._contents[diff_id] = member
            if member.offset not in self._sizes:
                stream = self._open_layer(member, 0)
                is_plain = isinstance(stream, FileSlice)
                size = member.size if is_plain else sum(map(len, read_chunks(stream)))
                self._sizes[member.offset] = size
            size = self._sizes[member.offset]
            layers.append(_encode_descriptor(media_types.DOCKER_LAYER_GZIP, diff_id, size))
        digest = Digest.of(config)
        self._contents[digest] = config
        value = {
            "schemaVersion": 2,
            "mediaType": media_types.DOCKER_MANIFEST,
            "config": _encode_descriptor(media_types.DOCKER_CONFIG, digest, len(config)),
            "layers": layers,
        }
        raw = json.dumps(value, separators=(",", ":")).encode()
        root = Descriptor(media_types.DOCKER_MANIFEST, Digest.of(raw), len(raw))
        self._contents[root.digest] = raw
        return root

    def _open_layer(self, member: ArchiveMember, offset: int) -> Reader:
        """Open a layer and decompress it."""
        head = tar_index.open_member(self._file, member).read(decompress.MAGIC_SIZE)
        compression = decompress.detect(head)
        if compression is None:
            return tar_index.open_member(self._file, member, offset)
        stream = DecompressingReader(
            tar_index.open_member(self._file, member),
            compression,
            f"{self._subject}: {member.name}",
        )
        buffer = new_buffer()
        while offset > 0 and (count := stream.readinto(buffer[:offset])):
            offset -= count
        return stream

    def _read(self, name: str, limit: int) -> bytes:
        member = tar_index.find(self._members, name, self._subject)
        if member.size > limit:
            raise LimitError(f"{self._subject}: {name}: more than the {limit:,} bytes allowed")
        return tar_index.open_member(self._file, member).read()


class DockerArchiveDestination:
    """Destination that writes a new archive of any number of images.

    Raises:
        ArchiveExistsError: the file exists and is not empty.
        LockedError: another process is writing it.
        NotFoundError: its directory does not exist.
    """

    def __init__(self, path: Path, options: OpenOptions) -> None:
        from bundler.transports.docker_archive.writer import (  # noqa: PLC0415 - only for writing
            DockerArchiveWriter,
        )

        if not is_stream(path) and path.is_file() and path.stat().st_size:
            raise ArchiveExistsError(str(path))
        self._file = create_archive(path, options)
        self._writer = DockerArchiveWriter(
            self._file.fd, self._file.path, str(path), uncompressed=True
        )
        self.has = self._writer.has
        self.push = self._writer.push

    @property
    def capabilities(self) -> Capabilities:
        """Docker manifests but no indexes, with uncompressed layers; a single writer."""
        return Capabilities(
            manifests=frozenset({media_types.DOCKER_MANIFEST}),
            indexes=False,
            layers="uncompressed",
            only_tar_layers=True,
            keeps_blobs=False,
            writers=1,
        )

    @property
    def storage_path(self) -> Path:
        """The archive, or the directory of the temporary file for a pipe."""
        return self._file.path

    def commit(self, images: Sequence[Publication], /) -> None:
        """Append the names of ``images``, and publish the archive.

        Raises:
            ConflictError: two images have the same name.
            IntegrityError: a root was not pushed.
            InvalidReferenceError: a name is not a valid image name.
        """
        self._file.publish(self._writer.finish(images))

    def close(self) -> None:
        """Close the file; an archive that was not committed is removed."""
        self._file.close()


def _encode_descriptor(media_type: str, digest: Digest, size: int) -> Mapping[str, str | int]:
    """Return a descriptor with its members in the order that containers/image uses for schema 2."""
    return {"mediaType": media_type, "size": size, "digest": digest.text}


TRANSPORT = PathTransport(
    DockerArchiveReference.parse, DockerArchiveSource, DockerArchiveDestination
)
