"""``docker-daemon:NAME`` or ``docker-daemon:sha256:HEX``: the images of a container engine.

An engine saves and loads images only as Docker archives. A source saves an image to a temporary
file and reads it as ``docker-archive:`` does. A destination writes images with unchanged layers to
a temporary archive, which the engine loads on ``commit``. The digest of the config, which is the
image ID in the engine, is preserved.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from bundler.content.compression.decompress import DecompressingReader
from bundler.errors import (
    InvalidReferenceError,
    MalformedError,
    NotFoundError,
    RefusedRequestError,
    UnsupportedError,
)
from bundler.oci import media_types
from bundler.oci.digest import Digest
from bundler.oci.reference import DEFAULT_DOMAIN, ImageReference
from bundler.ports import Capabilities, SynthesizesManifests
from bundler.transports.docker_daemon.engine_api import Engine
from bundler.transports.shared.scratch_file import ScratchFile, copy_to_scratch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bundler.content.streams import Content, Reader
    from bundler.oci.descriptor import Descriptor
    from bundler.ports import Node, OpenOptions, Publication
    from bundler.transports.docker_archive.transport import DockerArchiveSource

_MAX_ARCHIVE = 1024**4
_ALGORITHMS = ("sha256", "sha512")


@dataclass(frozen=True, slots=True)
class DaemonOptions:
    """Options of the transport ``docker-daemon:``."""

    transport: ClassVar = "docker-daemon"
    host: str = "unix:///var/run/docker.sock"
    """The address of the container engine: ``unix:///path/of/a/socket``, ``http://host[:port]``, or
    ``tcp://host:port`` or ``https://host[:port]`` with TLS."""
    tls_verify: bool = True
    """Verify the certificate of the engine."""
    cert_dir: Path | None = None
    """Directory with ``ca.pem`` (trusted in addition to the system's CA certificates), and with the
    client's ``cert.pem`` and ``key.pem``; None if unset.
    """


@dataclass(frozen=True, slots=True)
class DaemonReference:
    """``docker-daemon:NAME``, or for a source ``docker-daemon:ALGORITHM:HEX``, an image ID."""

    transport: ClassVar = "docker-daemon"
    name: str
    """A name with a tag or a digest, or an image ID."""

    @property
    def image(self) -> ImageReference | None:
        """The parsed name; None for an image ID."""
        return None if self.is_id else ImageReference.parse(self.name)

    @property
    def is_id(self) -> bool:
        """Whether the name is an image ID."""
        return self.name.partition(":")[0] in _ALGORITHMS

    def __str__(self) -> str:
        return f"docker-daemon:{self.name}"


class DaemonSource(SynthesizesManifests):
    """Source of the images of an engine; each one is saved when it is first read."""

    def __init__(self, reference: DaemonReference, options: OpenOptions) -> None:
        self._reference = reference
        self._options = options
        self._engine = Engine(options.get(DaemonOptions), options)
        self._lock = threading.Lock()
        self._saved: dict[str, DockerArchiveSource] = {}

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """Return the root of the image ``name``, by default that of the reference."""
        return self._get_image(name or self._reference.name).resolve()

    @contextmanager
    def open(self, node: Node, /, offset: int = 0) -> Iterator[Reader]:
        """Open content of a resolved image, by default that of the reference."""
        if not self._saved:
            self._get_image(self._reference.name)
        for image in list(self._saved.values()):
            if image.has(node):
                with image.open(node, offset) as stream:
                    yield stream
                return
        raise NotFoundError(f"{self._reference}: {node.digest} not found")

    def close(self) -> None:
        """Remove the temporary files."""
        for image in self._saved.values():
            image.close()
        self._saved.clear()

    def _get_image(self, name: str) -> DockerArchiveSource:
        from bundler.transports.docker_archive.transport import (  # noqa: PLC0415 - only for reading
            DockerArchiveSource,
        )

        with self._lock:
            if name not in self._saved:
                path = Path(f"docker-daemon:{name}")
                # Podman finds a local image by its short name.
                short = name.removeprefix(f"{DEFAULT_DOMAIN}/")
                if name != short and short.count("/") == 1:
                    short = short.removeprefix("library/")
                with self._engine.save(short) as chunks:
                    archive = copy_to_scratch(chunks, path, self._options, limit=_MAX_ARCHIVE)
                self._saved[name] = DockerArchiveSource(archive, self._options)
            return self._saved[name]


class DaemonDestination:
    """Destination that collects images in an archive, which the engine loads with ``commit``."""

    def __init__(self, options: OpenOptions) -> None:
        from bundler.transports.docker_archive.writer import (  # noqa: PLC0415 - only for writing
            DockerArchiveWriter,
        )

        self._engine = Engine(options.get(DaemonOptions), options)
        self._file = ScratchFile(options)
        self._writer = DockerArchiveWriter(
            self._file.fd, self._file.path, self._engine.host, uncompressed=False
        )
        self.has = self._writer.has  # the engine is not queried

    @property
    def capabilities(self) -> Capabilities:
        """Image manifests but no indexes; a single writer."""
        return Capabilities(
            manifests=media_types.IMAGE_MANIFESTS,
            indexes=False,
            only_tar_layers=True,
            keeps_blobs=False,
            writers=1,
        )

    def push(self, node: Node, content: Content, /) -> Descriptor:
        """Append content like ``DockerArchiveWriter.push``, but decompress zstd layers."""
        if node.kind == "layer" and node.media_type.endswith("zstd"):
            content = _DecompressedLayer(content, f"layer {node.digest}")
        return self._writer.push(node, content)

    def commit(self, images: Sequence[Publication], /) -> None:
        """Load ``images`` into the engine, and check that it has them.

        Raises:
            ConflictError: two images have the same name.
            IntegrityError: a root was not pushed.
            RegistryError: the engine cannot be reached, or rejects an image.
        """
        size = self._writer.finish(images)
        with self._file.reader() as archive:
            self._engine.load(archive, size)
        for image in images:
            config = self._writer.config_digest(image.root)
            if not self._engine.has(config.text):
                raise RefusedRequestError(
                    f"{self._engine.host}: the engine loaded the image, but {config} is missing"
                )

    def close(self) -> None:
        """Close the archive."""
        self._file.close()


class _DecompressedLayer:
    """The decompressed content of a zstd layer, with the descriptor of the compressed one.

    Docker Engine supports zstd only since version 23. It verifies only the diff ID, so the layer
    may keep the digest of the compressed content.
    """

    def __init__(self, content: Content, subject: str) -> None:
        self._content = content
        self._plain = DecompressingReader(content, "zstd", subject)
        self.read = self._plain.read
        self.readinto = self._plain.readinto
        self.descriptor = content.descriptor

    @property
    def position(self) -> int:
        return self._content.position

    @property
    def size(self) -> int | None:
        return None


class DaemonTransport:
    """The transport ``docker-daemon:``."""

    def parse(self, text: str, /) -> DaemonReference:
        """Parse ``NAME[:TAG]`` or an image ID; the default tag is ``latest``.

        Raises:
            InvalidReferenceError: the name or the image ID is invalid.
        """
        if text.partition(":")[0] in _ALGORITHMS:
            try:
                return DaemonReference(Digest(text).text)
            except MalformedError as error:
                raise InvalidReferenceError(
                    f"docker-daemon:{text[:200]}: {error.message}",
                    hint="specify the full image ID, or a name",
                ) from None
        if not text:
            raise InvalidReferenceError(
                "docker-daemon: no image", hint="write docker-daemon:NAME:TAG"
            )
        return DaemonReference(str(ImageReference.parse(text).with_default_tag()))

    def source(self, reference: DaemonReference, options: OpenOptions, /) -> DaemonSource:
        """Open the engine for reading; no request is sent until an image is resolved."""
        return DaemonSource(reference, options)

    def destination(self, reference: DaemonReference, options: OpenOptions, /) -> DaemonDestination:
        """Open the engine for writing; no request is sent until the commit.

        Raises:
            UnsupportedError: the name is an image ID, or contains a digest.
        """
        if reference.is_id or (reference.image and reference.image.digest):
            raise UnsupportedError(
                f"{reference}: unsupported digest (expected a tag; the engine sets digests)",
                hint="specify a tag: docker-daemon:NAME:TAG",
            )
        return DaemonDestination(options)


TRANSPORT = DaemonTransport()
