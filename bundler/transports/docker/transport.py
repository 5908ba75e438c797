"""``docker://HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]``: a repository in a registry.

A source may be served by the mirrors that registries.conf names. A destination is the registry
itself. With tag and digest together the tag must stand for that digest, both when it is read and
when it is written.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from bundler.errors import (
    ConflictError,
    DigestConflictError,
    InvalidReferenceError,
    LimitError,
    NotFoundError,
    RegistryError,
    UnsupportedError,
    UsageError,
)
from bundler.oci import manifest
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.manifest import MAX_MANIFEST
from bundler.oci.reference import DEFAULT_TAG, ImageReference
from bundler.ports import Capabilities
from bundler.transports.docker.manifest_cache import ManifestCache
from bundler.transports.docker.mirrors import MirrorEndpoint, Mirrors

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bundler.content.streams.reader import Content, Reader
    from bundler.ports import Node, OpenOptions, Publication


_TAGS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class DockerReference:
    """An image as its user wrote it, with Docker's defaults for host and path, not for the tag."""

    image: ImageReference

    @property
    def transport(self) -> str:
        """``docker``."""
        return "docker"

    @property
    def registry_host(self) -> str:
        """The registry's ``host[:port]``."""
        return self.image.domain

    @property
    def name(self) -> str:
        """The tag (``latest`` where nothing is said), the digest, or ``tag@digest``."""
        tag, digest = self.image.tag, self.image.digest
        if digest is None:
            return tag or DEFAULT_TAG
        return f"{tag}@{digest}" if tag else digest.text

    def __str__(self) -> str:
        return f"docker://{self.image}"


class DockerSource:
    """A repository, read from the first of its mirrors that has what is asked for, or itself.

    Raises:
        ConfigError: the registry is blocked, or a file that says how to reach it is not in order.
    """

    def __init__(self, reference: DockerReference, options: OpenOptions) -> None:
        self._default = reference.name
        with ExitStack() as opened:
            self._mirrors = Mirrors(reference.image, options, opened)
            self._opened = opened.pop_all()
        self._itself = self._mirrors.primary
        self._manifests = ManifestCache()

    @property
    def served_by(self) -> str | None:
        """The mirror that was used last, as ``host/path``; None: the registry itself."""
        return self._mirrors.served_by

    @property
    def mount_scope(self) -> str:
        """The registry's address."""
        return self._itself.session.address

    @property
    def repository(self) -> str:
        """The repository's path."""
        return self._itself.path

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """What a tag, a digest or ``tag@digest`` stands for now.

        Raises:
            ConflictError: the tag does not stand for the digest any more.
            DigestMismatchError: the registry sent something else than the digest says.
        """
        tag, digest = _split(name or self._default)
        asked: str | Digest | None = tag or digest
        assert asked is not None  # noqa: S101 - _split returns one of them
        descriptor, raw = self._mirrors.query(lambda repository: repository.get_manifest(asked))
        if tag is None and digest is not None:
            manifest.check(raw, descriptor, f"{self._itself.name}@{digest}")
        elif digest not in (None, descriptor.digest):
            raise ConflictError(
                f"{self._itself.name}:{tag}: the tag has moved: "
                f"expected {digest}, it is {descriptor.digest} now",
                hint="look at what is new, then name the new digest; or name the digest alone",
            )
        self._manifests.put(descriptor, raw)
        return descriptor

    @contextmanager
    def open(self, target: Node, /, offset: int = 0) -> Iterator[Reader]:
        """The bytes of a manifest or blob, unverified."""
        digest = _digest(target)
        if target.kind == "manifest":
            raw = self._manifests.take(digest)
            if raw is None:
                _, raw = self._mirrors.query(lambda repository: repository.get_manifest(digest))
            yield BytesIO(raw[offset:])
            return
        with ExitStack() as stack:
            yield self._mirrors.query(
                lambda repository: stack.enter_context(
                    repository.open_blob(digest, target.size, offset)
                )
            )

    def tags(self) -> list[str]:
        """Every tag, from the registry itself."""
        return self._itself.list_tags()

    def referrers(self, subject: Digest, /) -> list[Descriptor]:
        """What refers to ``subject``; a mirror that knows of nothing may just not tell."""
        return self._mirrors.query_list(lambda repository: repository.list_referrers(subject))

    def close(self) -> None:
        """Let go of the connections that nobody else uses."""
        self._opened.close()


class DockerDestination:
    """A repository to write to; many blobs may be pushed at once.

    Raises:
        ConfigError: the registry is blocked, or a file that says how to reach it is not in order.
    """

    def __init__(self, reference: DockerReference, options: OpenOptions) -> None:
        from bundler.registry.uploads import Uploads  # noqa: PLC0415 - loads requests

        self._default = reference.name
        self._cancellation = options.cancellation
        with ExitStack() as opened:
            endpoint = options.settings.primary(reference.image)
            place = MirrorEndpoint.open(endpoint, options, opened, writable=True)
            self._opened = opened.pop_all()
        self._repository = place.repository
        self._uploads = Uploads(place.repository)
        self._manifests = ManifestCache()
        self._listed: set[Digest] = set()
        """Manifests that the registry itself lists as referrers of their subjects."""

    @property
    def capabilities(self) -> Capabilities:
        """Everything, as many blobs at once as the engine likes."""
        return Capabilities(foreign_urls=True, layers="compressed")

    @property
    def mount_scope(self) -> str:
        """The registry's address."""
        return self._repository.session.address

    @property
    def repository(self) -> str:
        """The repository's path."""
        return self._repository.path

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """What a tag or digest stands for here, now, as the registry says."""
        tag, digest = _split(name or self._default)
        asked: str | Digest | None = tag or digest
        assert asked is not None  # noqa: S101 - _split returns one of them
        found = self._repository.head_manifest(asked)
        if found is None:
            raise NotFoundError(f"{self._repository.name}: there is no {asked}")
        return found

    def has(self, target: Node, /) -> bool:
        """Whether the registry says that it is there."""
        if target.digest is None:
            return False
        if target.kind == "manifest":
            return self._repository.head_manifest(target.digest) is not None
        return self._repository.has_blob(target.digest, target.size)

    def push(self, target: Node, content: Content, /) -> Descriptor:
        """Store a blob, or a manifest by its digest."""
        if target.kind != "manifest":
            return self._uploads.push(target.digest, content)
        raw = content.read(MAX_MANIFEST + 1)
        while chunk := content.read(MAX_MANIFEST + 1 - len(raw)):
            raw += chunk
        if len(raw) > MAX_MANIFEST:
            raise LimitError(f"manifest {target.digest}: more than {MAX_MANIFEST:,} bytes")
        digest = content.descriptor().digest
        descriptor = Descriptor(target.media_type, digest, len(raw))
        received = self._repository.put_manifest(digest, target.media_type, raw)
        if received.subject is not None:
            self._listed.add(digest)
        self._manifests.put(descriptor, raw)
        return descriptor

    def mount(self, target: Node, repository: str, /) -> bool:
        """Have the registry take a blob from its ``repository``."""
        return self._uploads.mount(_digest(target), repository)

    def offset(self, target: Node, /) -> int:
        """How much of a blob whose push broke off is there."""
        return 0 if target.digest is None else self._uploads.find_offset(target.digest)

    def commit(self, images: Sequence[Publication], /) -> None:
        """Let tags stand for their images; list referrers where the registry does not.

        Raises:
            ConflictError: a tag is immutable, is wanted by two images, or came with a digest
                that is not the image's.
        """
        tags = self._tags(images)
        with ThreadPoolExecutor(_TAGS_AT_ONCE) as threads:
            for _ in threads.map(self._tag, tags.keys(), tags.values()):
                pass
        for image in images:
            self._list_as_referrer(image.root)

    def delete(self, name: str | None = None, /) -> Descriptor:
        """Delete a manifest, and with it all its tags; its blobs are the registry's to clean up.

        Raises:
            ConflictError: the tag does not stand for the digest beside it.
            UnsupportedError: the registry does not delete.
        """
        found = self._as_written(name)
        self._repository.delete_manifest(found.digest)
        return found

    def untag(self, name: str | None = None, /) -> Descriptor:
        """Delete a tag alone.

        Raises:
            ConflictError: the tag does not stand for the digest beside it.
            UnsupportedError: the registry does not delete, or not a tag alone.
        """
        tag, _ = _split(name or self._default)
        if tag is None:
            raise UsageError(
                f"{self._repository.name}: a digest, and a tag is to be deleted",
                hint="name the tag, or delete the image with all its tags",
            )
        found = self._as_written(name)
        try:
            self._repository.delete_manifest(tag)
        except (RegistryError, UnsupportedError) as error:
            # 400: registries of the time before tags could be deleted expect a digest there.
            if isinstance(error, RegistryError) and error.status != 400:
                raise
            raise UnsupportedError(
                f"{self._repository.name}:{tag}: the registry does not delete a tag alone",
                hint="without --tag-only the image goes, with all its tags",
            ) from None
        return found

    def close(self) -> None:
        """Have the registry drop unfinished uploads, and let go of the connections."""
        if not self._cancellation.requested:
            self._uploads.close()
        self._opened.close()

    def _as_written(self, name: str | None) -> Descriptor:
        """What a name stands for, if its tag and its digest agree."""
        tag, digest = _split(name or self._default)
        found = self.resolve(name)
        if digest not in (None, found.digest):
            raise ConflictError(
                f"{self._repository.name}:{tag}: expected {digest}, it is {found.digest}",
                hint="look at what it is now, then name that digest",
            )
        return found

    def _tags(self, images: Sequence[Publication]) -> dict[str, Descriptor]:
        """What each tag is to stand for; known before the first one changes."""
        wanted: dict[str, Descriptor] = {}
        for image in images:
            for name in image.names:
                tag, digest = _split(name)
                if digest is not None and digest != image.root.digest:
                    raise DigestConflictError(
                        f"{self._repository.name}: {name}",
                        expected=digest.text,
                        got=image.root.digest.text,
                        hint="leave the digest out of the destination",
                    )
                if tag is None:
                    continue
                other = wanted.setdefault(tag, image.root)
                if other.digest != image.root.digest:
                    raise ConflictError(
                        f"{self._repository.name}:{tag} is wanted by {other.digest} "
                        f"and {image.root.digest}"
                    )
        return wanted

    def _tag(self, tag: str, root: Descriptor) -> None:
        raw = self._raw(root)
        received = self._repository.put_manifest(tag, root.media_type, raw)
        if received.subject is not None:
            self._listed.add(root.digest)

    def _raw(self, root: Descriptor) -> bytes:
        """A manifest that was pushed, or was here before."""
        raw = self._manifests.get(root.digest)
        if raw is None:
            found, raw = self._repository.get_manifest(root.digest)
            manifest.check(raw, found, f"{self._repository.name}@{root.digest}")
            self._manifests.put(root, raw)
        return raw

    def _list_as_referrer(self, root: Descriptor) -> None:
        from bundler.transports.docker import referrers_tag  # noqa: PLC0415 - loads requests

        if root.media_type in referrers_tag.MAY_HAVE_SUBJECT and root.digest not in self._listed:
            referrers_tag.list_by_tag(self._repository, root, self._raw(root))


class DockerTransport:
    """Opens sources and destinations that share sessions, and with them tokens and limits."""

    def parse(self, text: str, /) -> DockerReference:
        """Read ``//host/path:tag@digest``."""
        if not text.startswith("//"):
            raise InvalidReferenceError(
                f"docker:{text[:200]!r} needs two slashes", hint=f"write docker://{text[:80]}"
            )
        return DockerReference(ImageReference.parse(text[2:]))

    def source(self, reference: DockerReference, options: OpenOptions, /) -> DockerSource:
        """The repository and its mirrors, for reading; nothing is asked of them yet."""
        return DockerSource(reference, options)

    def destination(self, reference: DockerReference, options: OpenOptions, /) -> DockerDestination:
        """The repository, for writing; nothing is asked of it yet."""
        return DockerDestination(reference, options)


TRANSPORT = DockerTransport()


def _split(name: str) -> tuple[str | None, Digest | None]:
    """Tag and digest of ``tag``, ``sha256:…`` or ``tag@sha256:…``."""
    tag, at, digest = name.partition("@")
    if at:
        return tag, Digest(digest)
    return (None, Digest(name)) if ":" in name else (name, None)


def _digest(target: Node) -> Digest:
    if target.digest is None:
        raise NotFoundError("a registry knows its content by digest only")
    return target.digest
