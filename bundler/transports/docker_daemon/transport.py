"""``docker-daemon:NAME`` or ``docker-daemon:sha256:HEX``: the images of a container engine.

An engine hands out and takes Docker archives only. An image is read into a file without a name,
and from there as ``docker-archive:`` is; it is written into one, layers as they are, and loaded
with the last step. Its config keeps its digest, which is the engine's image id.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.config.registry_access import RegistryOverride
from bundler.content.compression.decompress import DecompressingReader
from bundler.errors import (
    InvalidReferenceError,
    MalformedError,
    NotFoundError,
    RegistryError,
    UnsupportedError,
)
from bundler.oci import media_types
from bundler.oci.digest import Digest
from bundler.oci.reference import DEFAULT_DOMAIN, ImageReference
from bundler.ports import Capabilities, SynthesizesManifests
from bundler.transports.docker_archive.transport import DockerArchiveSource
from bundler.transports.docker_archive.writer import DockerArchiveWriter
from bundler.transports.docker_daemon.engine_api import DEFAULT_HOST, Engine, EngineTls
from bundler.transports.shared.scratch_file import ScratchFile, copy_to_scratch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bundler.content.streams.reader import Content, Reader
    from bundler.oci.descriptor import Descriptor
    from bundler.ports import Node, OpenOptions, Publication

_MAX_ARCHIVE = 1024**4
_ALGORITHMS = ("sha256", "sha512")


@dataclass(frozen=True, slots=True)
class DaemonReference:
    """``docker-daemon:NAME`` (``latest`` if no tag is told) or, for reading, an image id."""

    name: str

    @property
    def transport(self) -> str:
        """``docker-daemon``."""
        return "docker-daemon"

    @property
    def image(self) -> ImageReference | None:
        """The name; None: it is an image id."""
        return None if self.is_id else ImageReference.parse(self.name)

    @property
    def is_id(self) -> bool:
        """Whether it is an image id."""
        return self.name.partition(":")[0] in _ALGORITHMS

    def __str__(self) -> str:
        return f"docker-daemon:{self.name}"


class DaemonSource(SynthesizesManifests):
    """Reads images of an engine, each fetched once, when it is first asked for."""

    def __init__(self, reference: DaemonReference, options: OpenOptions) -> None:
        self._reference = reference
        self._options = options
        self._engine = _engine(options)
        self._fetching = threading.Lock()
        self._fetched: dict[str, DockerArchiveSource] = {}

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """The image called ``name``, or the one that the reference names."""
        return self._image(name or self._reference.name).resolve()

    @contextmanager
    def open(self, target: Node, /, offset: int = 0) -> Iterator[Reader]:
        """A part of an image that was resolved, or of the one that the reference names."""
        if not self._fetched:
            self._image(self._reference.name)
        for image in list(self._fetched.values()):
            if image.has(target):
                with image.open(target, offset) as stream:
                    yield stream
                return
        raise NotFoundError(f"{self._reference}: it does not hold {target.digest}")

    def close(self) -> None:
        """Let go of what was fetched."""
        for image in self._fetched.values():
            image.close()
        self._fetched.clear()

    def _image(self, name: str) -> DockerArchiveSource:
        with self._fetching:
            if name not in self._fetched:
                self._fetched[name] = self._fetch(name)
            return self._fetched[name]

    def _fetch(self, name: str) -> DockerArchiveSource:
        path = Path(f"docker-daemon:{name}")
        with self._engine.save(_familiar(name)) as stream:
            archive = copy_to_scratch(stream, path, self._options, limit=_MAX_ARCHIVE)
        return DockerArchiveSource(archive, self._options)


class DaemonDestination:
    """Gathers images in an archive, and has the engine load it with ``commit``."""

    def __init__(self, options: OpenOptions) -> None:
        self._engine = _engine(options)
        self._file = ScratchFile(options)
        self._images = DockerArchiveWriter(
            self._file.fd, self._file.path, self._engine.host, uncompressed=False
        )

    @property
    def capabilities(self) -> Capabilities:
        """Single images, one blob after the other."""
        return Capabilities(manifests=media_types.IMAGE_MANIFESTS, indexes=False, writers=1)

    def has(self, target: Node, /) -> bool:
        """Whether it was pushed already; what the engine has is not asked."""
        return self._images.has(target)

    def push(self, target: Node, content: Content, /) -> Descriptor:
        """Add a config or a layer to the archive; a manifest ties them together.

        Raises:
            IntegrityError: part of a manifest has not arrived.
            UnsupportedError: a manifest of something else than a container image.
        """
        if target.kind == "layer" and target.media_type.endswith("zstd"):
            content = _Unpacked(content, f"layer {target.digest}")
        return self._images.push(target, content)

    def commit(self, images: Sequence[Publication], /) -> None:
        """Have the engine load ``images``, and see that it did.

        Raises:
            ConflictError: two of ``images`` want one name.
            IntegrityError: one of them is not here.
            RegistryError: the engine does not take them.
        """
        size = self._images.finish(images)
        with self._file.reader() as archive:
            self._engine.load(archive, size)
        for image in images:
            config = self._images.config_digest(image.root)
            if not self._engine.has(config.text):
                raise RegistryError(
                    f"{self._engine.host}: the engine took the image, but does not have {config}"
                )

    def close(self) -> None:
        """Let go of the archive."""
        self._file.close()


class _Unpacked:
    """A layer without its compression, under the digest of the compressed one.

    Docker's engine learned to read zstd with version 23. What it compares is the diff ID, so it
    does not matter what the layer is called.
    """

    def __init__(self, content: Content, what: str) -> None:
        self._content = content
        self._plain = DecompressingReader(content, "zstd", what)
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
    """``docker-daemon:``."""

    def parse(self, text: str, /) -> DaemonReference:
        """Read a name in Docker's grammar, or an image id with its algorithm."""
        if text.partition(":")[0] in _ALGORITHMS:
            try:
                return DaemonReference(Digest(text).text)
            except MalformedError as error:
                raise InvalidReferenceError(
                    f"docker-daemon:{text[:200]}: {error.message}",
                    hint="an image id is told in full, or by a name",
                ) from None
        if not text:
            raise InvalidReferenceError(
                "docker-daemon: names no image", hint="write docker-daemon:NAME:TAG"
            )
        return DaemonReference(str(ImageReference.parse(text).with_default_tag()))

    def source(self, reference: DaemonReference, options: OpenOptions, /) -> DaemonSource:
        """Get ready to read; the engine is asked for the first image that is wanted."""
        return DaemonSource(reference, options)

    def destination(self, reference: DaemonReference, options: OpenOptions, /) -> DaemonDestination:
        """Get ready to gather images."""
        if reference.is_id or (reference.image and reference.image.digest):
            raise UnsupportedError(
                f"{reference}: an engine computes digests by itself",
                hint="name a tag: docker-daemon:NAME:TAG",
            )
        return DaemonDestination(options)


def _engine(options: OpenOptions) -> Engine:
    host = options.daemon_host or DEFAULT_HOST
    tls = EngineTls()
    if not host.startswith(("unix:", "http:")):
        said = options.overrides.get(host) or RegistryOverride()
        verify = said.tls_verify is not False
        tls = EngineTls(verify, said.cert_dir, options.settings.tls_details)
    return Engine(host, options.cancellation, tls)


def _familiar(name: str) -> str:
    """A name as people write it: Podman finds ``app`` among its own, but not by its full name."""
    short = name.removeprefix(f"{DEFAULT_DOMAIN}/")
    return short.removeprefix("library/") if name != short and short.count("/") == 1 else short


TRANSPORT = DaemonTransport()
