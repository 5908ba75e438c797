"""``docker-daemon:NAME`` or ``docker-daemon:sha256:HEX``: the images of a container engine.

An engine hands out and takes Docker archives only. An image is read into a file without a name,
and from there as ``docker-archive:`` is; it is written into one, layers as they are, and loaded
with the last step. Its config keeps its digest, which is the engine's image id.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bundler.content.disk_errors import explained
from bundler.content.plain_files import PlainReader
from bundler.content.tar_writer import TarWriter
from bundler.errors import (
    ConflictError,
    IntegrityError,
    InvalidReferenceError,
    MalformedError,
    NotFoundError,
    RegistryError,
    UnsupportedError,
)
from bundler.oci import manifest, media_types
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import ImageManifest
from bundler.oci.reference import DEFAULT_DOMAIN, ImageReference
from bundler.ports import Accepts, Node
from bundler.registry.engine_api import DEFAULT_HOST, Engine
from bundler.transports import archive_file
from bundler.transports.docker_archive import DockerArchiveSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bundler.content.reader import Content, Reader
    from bundler.ports import Options, Publication

_SCRATCH = Path("/var/tmp")  # noqa: S108 - the files there have no names
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
    def is_id(self) -> bool:
        """Whether it is an image id."""
        return self.name.partition(":")[0] in _ALGORITHMS

    def __str__(self) -> str:
        return f"docker-daemon:{self.name}"


class DaemonSource:
    """Reads images of an engine, each fetched once, when it is first asked for."""

    def __init__(self, reference: DaemonReference, options: Options) -> None:
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
        folder = self._options.scratch or _SCRATCH
        path = Path(f"docker-daemon:{name}")
        with self._engine.saved(_familiar(name)) as stream:
            archive = archive_file.kept(stream, path, folder, self._options, limit=_MAX_ARCHIVE)
        return DockerArchiveSource(archive, self._options)


class DaemonDestination:
    """Gathers images in an archive, and has the engine load it with ``commit``."""

    def __init__(self, options: Options) -> None:
        self._engine = _engine(options)
        folder = options.scratch or _SCRATCH
        self._path = folder
        try:
            self._file = tempfile.TemporaryFile(dir=folder, buffering=0)  # noqa: SIM115 - kept until close
        except OSError as error:
            raise explained(error, folder, "cannot keep a temporary file here") from error
        self._archive = TarWriter(self._file.fileno(), folder)
        self._sizes: dict[Digest, int] = {}
        self._manifests: dict[Digest, bytes] = {}
        self._pushing = threading.Lock()

    @property
    def accepts(self) -> Accepts:
        """Single images, one blob after the other."""
        return Accepts(manifests=media_types.IMAGE_MANIFESTS, writers=1)

    def has(self, target: Node, /) -> bool:
        """Whether it was pushed already; what the engine has is not asked."""
        size = self._sizes.get(target.digest) if target.digest else None
        return size is not None and target.size in (None, size)

    def push(self, target: Node, content: Content, /) -> Descriptor:
        """Add a config or layer to the archive; keep a manifest for later."""
        with self._pushing:
            start = self._archive.position
            if target.kind == "manifest":
                raw = content.read()
                stored = content.descriptor()
                self._manifests[stored.digest] = raw
            else:
                name = _member(target.digest) if target.digest else _made_member
                stored = self._archive.add(name, content)
                if stored.digest in self._sizes:
                    self._archive.rewind(start)
            self._sizes[stored.digest] = stored.size
        return Descriptor(target.media_type, stored.digest, stored.size)

    def commit(self, images: Sequence[Publication], /) -> None:
        """Have the engine load ``images``, and see that it did.

        Raises:
            ConflictError: two of ``images`` want one name.
            IntegrityError: a part of one is not here.
            RegistryError: the engine does not take them.
        """
        wanted = [(self._manifest(image.root), image.names) for image in images]
        _check_names(images)
        entries = [_entry(parsed, names) for parsed, names in wanted]
        self._archive.add_bytes("manifest.json", json.dumps(entries).encode())
        size = self._archive.end()
        with PlainReader(self._path, os.dup(self._file.fileno())) as archive:
            archive.seek(0)
            self._engine.load(archive, size)
        for parsed, _ in wanted:
            if not self._engine.has(parsed.config.digest.text):
                raise RegistryError(
                    f"{self._engine.host}: the engine took the image, but does not have "
                    f"{parsed.config.digest}"
                )

    def close(self) -> None:
        """Let go of the archive."""
        self._file.close()

    def _manifest(self, root: Descriptor) -> ImageManifest:
        raw = self._manifests.get(root.digest)
        if raw is None:
            raise IntegrityError(f"{self._engine.host}: {root.digest} did not arrive")
        parsed = manifest.parse(raw, root.media_type)
        if not isinstance(parsed, ImageManifest) or parsed.is_artifact:
            raise UnsupportedError(
                f"{self._engine.host}: {root.digest} is no container image",
                hint="a container engine takes nothing else: push it to a registry",
            )
        for part in (parsed.config, *parsed.layers):
            if part.digest not in self._sizes:
                raise IntegrityError(f"{self._engine.host}: {part.digest} did not arrive")
        return parsed


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

    def source(self, reference: DaemonReference, options: Options, /) -> DaemonSource:
        """Get ready to read; the engine is asked for the first image that is wanted."""
        return DaemonSource(reference, options)

    def destination(self, reference: DaemonReference, options: Options, /) -> DaemonDestination:
        """Get ready to gather images."""
        if reference.is_id or ImageReference.parse(reference.name).digest:
            raise UnsupportedError(
                f"{reference}: an engine computes digests by itself",
                hint="name a tag: docker-daemon:NAME:TAG",
            )
        return DaemonDestination(options)


def _engine(options: Options) -> Engine:
    return Engine(options.daemon_host or DEFAULT_HOST, options.cancellation)


def _familiar(name: str) -> str:
    """A name as people write it: Podman finds ``app`` among its own, but not by its full name."""
    short = name.removeprefix(f"{DEFAULT_DOMAIN}/")
    return short.removeprefix("library/") if name != short and short.count("/") == 1 else short


def _member(digest: Digest) -> str:
    """A name as newer versions of Docker write it; a layer may be compressed there."""
    return f"blobs/{digest.algorithm}/{digest.hex}"


def _made_member(made: Descriptor) -> str:
    return _member(made.digest)


def _entry(parsed: ImageManifest, names: Sequence[str]) -> dict[str, object]:
    return {
        "Config": _member(parsed.config.digest),
        "RepoTags": list(names),
        "Layers": [_member(layer.digest) for layer in parsed.layers],
    }


def _check_names(images: Sequence[Publication]) -> None:
    holders: dict[str, Digest] = {}
    for image in images:
        for name in image.names:
            other = holders.setdefault(name, image.root.digest)
            if other != image.root.digest:
                raise ConflictError(f"{name!r} is wanted by {other} and {image.root.digest}")


TRANSPORT = DaemonTransport()
