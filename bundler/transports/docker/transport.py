"""``docker://HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]``: a repository in a registry.

A source may be served by the mirrors in registries.conf; a destination is the registry itself. If a
reference has both a tag and a digest, the tag must point to that digest, in a source and in a
destination.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
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
    shortlist,
)
from bundler.events import WarningIssued
from bundler.oci import manifest
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.reference import ImageReference, is_tag
from bundler.ports import Capabilities
from bundler.transports.docker import catalog
from bundler.transports.docker.manifest_writer import ManifestWriter
from bundler.transports.docker.mirrors import Mirrors, open_repository
from bundler.transports.docker.options import DockerOptions
from bundler.transports.docker.reference import DockerReference, VersionName
from bundler.transports.docker.signatures import SignatureReader, SignatureWriter
from bundler.transports.docker.sized_cache import SizedCache

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bundler.content.streams import Content, Reader
    from bundler.errors import BundlerError
    from bundler.ports import Node, OpenOptions, Publication
    from bundler.registry.repository import Repository
    from bundler.registry.session import Session


class _RegistryRepository:
    """A repository, from which other repositories in the same registry may mount blobs."""

    _repository: Repository

    @property
    def mount_scope(self) -> str:
        """The address of the registry."""
        return self._repository.session.address

    @property
    def repository(self) -> str:
        """The path of the repository."""
        return self._repository.path

    def _check_tag(self, name: VersionName, found: Descriptor) -> None:
        """Check that the tag of ``name`` points to its digest, if it has both."""
        if name.digest not in (None, found.digest):
            raise ConflictError(
                f"{self._repository.name}:{name.tag}: the tag has moved "
                f"(expected {name.digest}, got {found.digest})",
                hint="review the new image and specify its digest, or omit the tag",
            )


class DockerSource(_RegistryRepository):
    """Source of a repository, read from its mirrors or from the registry itself.

    Raises:
        ConfigError: the registry is blocked, or the configuration of the access is invalid.
    """

    def __init__(self, reference: DockerReference, options: OpenOptions) -> None:
        self._default = reference.name
        self._options = options
        with ExitStack() as stack:
            self._mirrors = Mirrors(reference.image, options, stack)
            self._resources = stack.pop_all()
        self._repository = self._mirrors.primary
        self._manifests = SizedCache[bytes]()
        self._signatures = SignatureReader(reference.image, options)

    @property
    def session(self) -> Session:
        """The session with the registry itself."""
        return self._repository.session

    @property
    def served_by(self) -> str | None:
        """The mirror or rewritten location of the last request; None: the registry itself."""
        return self._mirrors.served_by

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """Return the root of a tag, a digest or ``tag@digest``.

        Raises:
            ConflictError: the tag does not point to the digest.
            DigestMismatchError: the content that the registry sent does not match the digest.
        """
        requested = VersionName.parse(name or self._default)
        descriptor, raw = self._mirrors.query(lambda mirror: mirror.get_manifest(requested.version))
        if requested.tag is None and requested.digest is not None:
            manifest.verify(raw, descriptor, f"{self._repository.name}@{requested.digest}")
        else:
            self._check_tag(requested, descriptor)
        self._manifests.put(descriptor.digest, raw, len(raw))
        return descriptor

    @contextmanager
    def open(self, node: Node, /, offset: int = 0) -> Iterator[Reader]:
        """Open a manifest or a blob."""
        digest = _get_digest(node)
        if node.kind == "manifest":
            raw = self._manifests.take(digest)
            if raw is None:
                _, raw = self._mirrors.query(lambda repository: repository.get_manifest(digest))
            yield BytesIO(raw[offset:])
            return
        with ExitStack() as stack:
            try:
                stream = self._mirrors.query(
                    lambda repository: stack.enter_context(
                        repository.open_blob(digest, node.size, offset)
                    )
                )
            except NotFoundError as error:
                if not node.urls:
                    raise
                from bundler.transports.docker import foreign_urls  # noqa: PLC0415 - rarely needed

                opened = foreign_urls.open_absent_layer(self, node, offset, self._options, error)
                stream = stack.enter_context(opened)
            yield stream

    def tags(self) -> list[str]:
        """Return all tags, from the registry itself; warn about those that are not valid."""
        listed = self._repository.list_tags()
        if self._options.get(DockerOptions).invalid_tags:
            return listed
        if invalid := [repr(tag) for tag in listed if not is_tag(tag)]:
            warning = f"{self._repository.name}: left out invalid tags: {shortlist(invalid)}"
            self._options.emit(WarningIssued(warning))
        return [tag for tag in listed if is_tag(tag)]

    def referrers(self, subject: Digest, /) -> list[Descriptor]:
        """Return the referrers of ``subject``, from the first mirror that lists any."""
        return self._mirrors.query_list(lambda repository: repository.list_referrers(subject))

    def signatures(self, manifest: Digest, /) -> list[bytes]:
        """Return the signatures of ``manifest``, from the registry or the mirror that served it."""
        return self._signatures.read(self._mirrors.current, manifest)

    def close(self) -> None:
        """Release the sessions."""
        self._signatures.close()
        self._resources.close()


class DockerDestination(_RegistryRepository):
    """Destination that writes to a repository; supports parallel pushes.

    Raises:
        ConfigError: the registry is blocked, or the configuration of the access is invalid.
    """

    capabilities = Capabilities(omits_foreign_layers=True, layers="compressed")

    def __init__(self, reference: DockerReference, options: OpenOptions) -> None:
        from bundler.registry.uploads import Uploads  # noqa: PLC0415 - imports requests

        self._default = reference.name
        self._cancellation = options.cancellation
        with ExitStack() as stack:
            endpoint = options.load_settings().get_primary_endpoint(reference.image)
            self._repository = open_repository(endpoint, options, stack, writable=True)
            self._resources = stack.pop_all()
        self._uploads = Uploads(self._repository, options.get(DockerOptions).upload_journal)
        self._manifests = ManifestWriter(self._repository)
        self._signatures = SignatureWriter(
            reference.image, self._repository, self._uploads, options
        )

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """Return the root of a tag or a digest, as the registry reports it."""
        return self._resolve(name)

    def has(self, node: Node, /) -> bool:
        """Return whether the registry contains ``node``."""
        if node.digest is None:
            return False
        if node.kind == "manifest":
            held = self._manifests.holds(node.digest)
            return held or self._repository.head_manifest(node.digest) is not None
        return self._repository.has_blob(node.digest, node.size)

    def push(self, node: Node, content: Content, /) -> Descriptor:
        """Store a blob, or hold a manifest until its index or its name is stored."""
        if node.kind != "manifest":
            return self._uploads.push(node.digest, content)
        raw = content.read(manifest.MAX_MANIFEST + 1)
        while chunk := content.read(manifest.MAX_MANIFEST + 1 - len(raw)):
            raw += chunk
        if len(raw) > manifest.MAX_MANIFEST:
            raise LimitError(f"manifest {node.digest}: more than {manifest.MAX_MANIFEST:,} bytes")
        descriptor = Descriptor(node.media_type, content.descriptor().digest, len(raw))
        self._manifests.push(descriptor, raw)
        return descriptor

    @contextmanager
    def read_back(self, node: Node, /) -> Iterator[Reader]:
        """Open a manifest or a blob, as the registry itself stores it."""
        if node.kind == "manifest":
            yield BytesIO(self._repository.get_manifest(_get_digest(node))[1])
            return
        with self._repository.open_blob(_get_digest(node), node.size) as stream:
            yield stream

    def mount(self, node: Node, repository: str, /) -> bool:
        """Mount a blob from ``repository``; False if the registry refuses."""
        return self._uploads.mount(_get_digest(node), repository)

    def offset(self, node: Node, /) -> int:
        """Return the number of bytes that the registry has stored of an interrupted push."""
        return 0 if node.digest is None else self._uploads.find_offset(node.digest)

    def check_signatures(self, manifest: Digest, signatures: Sequence[bytes], /) -> None:
        """Check that there is a store for each of the signatures.

        Raises:
            SignatureStoreError: there is none.
        """
        self._signatures.check(manifest, signatures)

    def push_signatures(self, manifest: Digest, signatures: Sequence[bytes], /) -> None:
        """Hold the signatures of a manifest; those that the registry already stores are kept.

        Raises:
            SignatureStoreError: there is no store for a signature.
        """
        self._signatures.add(manifest, signatures)

    @property
    def refused_referrers(self) -> Mapping[Digest, BundlerError]:
        """The errors of referrers that the registry refuses, and of those that it cannot list."""
        return self._manifests.refused

    def commit(self, images: Sequence[Publication], /) -> None:
        """Set all tags, and update the referrers tag if the registry has no referrers API.

        Signatures in a lookaside location are stored before the tags, and those in the registry
        after them, as the registry has to know the manifest. A referrer that the registry refuses
        is left out, see ``refused_referrers``.

        Raises:
            ConflictError: a tag is immutable, or two images have the same tag.
            DigestConflictError: a name contains the digest of another image.
        """
        from bundler.transports.docker import referrers_tag  # noqa: PLC0415 - imports requests

        roots: dict[str, Descriptor] = {}
        for image in images:
            for name in map(VersionName.parse, image.names):
                if name.digest is not None and name.digest != image.root.digest:
                    raise DigestConflictError(
                        f"{self._repository.name}: {name}",
                        expected=name.digest.text,
                        got=image.root.digest.text,
                        hint="remove the digest from the destination",
                    )
                other = image.root if name.tag is None else roots.setdefault(name.tag, image.root)
                if other.digest != image.root.digest:
                    raise ConflictError(
                        f"{self._repository.name}:{name.tag}: two images have this tag: "
                        f"{other.digest} and {image.root.digest}"
                    )
        self._signatures.store_in_lookaside()
        required = {image.root.digest for image in images if not image.is_referrer}
        referrers = {image.root.digest for image in images} - required
        manifests = self._manifests
        manifests.publish(roots, referrers)
        for root in (image.root for image in images):
            may_refer = root.media_type in referrers_tag.MAY_HAVE_SUBJECT
            is_stored = root.digest not in manifests.refused
            if may_refer and is_stored and root.digest not in manifests.listed:
                with manifests.permit_refusal(root.digest, referrers):
                    referrers_tag.add_to_referrers(self._repository, root, manifests.read(root))
        self._signatures.store_in_registry()

    def delete(self, name: str | None = None, /) -> Descriptor:
        """Delete a manifest, all its tags and its lookaside signatures.

        The registry removes the blobs later.

        Raises:
            ConflictError: the name contains a digest that the tag does not point to.
            SignatureStoreError: the image is deleted, but its signatures cannot be.
            UnsupportedError: the registry does not support the deletion.
        """
        found = self._resolve(name, for_deletion=True)
        self._repository.delete_manifest(found.digest)
        self._signatures.delete(found.digest)
        return found

    def untag(self, name: str | None = None, /) -> Descriptor:
        """Delete a tag, but not its manifest.

        Raises:
            ConflictError: the name contains a digest that the tag does not point to.
            UnsupportedError: the registry does not support the deletion.
            UsageError: the name contains no tag.
        """
        tag = VersionName.parse(name or self._default).tag
        if tag is None:
            raise UsageError(
                f"{self._repository.name}: cannot delete a tag (expected a tag, got a digest)",
                hint="specify the tag, or delete the image with all its tags",
            )
        found = self._resolve(name, for_deletion=True)
        try:
            self._repository.delete_manifest(tag)
        except (RegistryError, UnsupportedError) as error:
            # 400: a registry that cannot delete tags expects a digest.
            if isinstance(error, RegistryError) and error.status != 400:
                raise
            raise UnsupportedError(
                f"{self._repository.name}:{tag}: the registry cannot delete a single tag",
                hint="omit --tag-only to delete the image with all its tags",
            ) from None
        return found

    def close(self) -> None:
        """Cancel unfinished uploads, and release the session."""
        if not self._cancellation.requested:
            self._uploads.close()
        self._resources.close()

    def _resolve(self, name: str | None, *, for_deletion: bool = False) -> Descriptor:
        """Resolve a name; for a deletion, its tag and its digest must agree."""
        requested = VersionName.parse(name or self._default)
        version = requested.version
        found = self._repository.head_manifest(version, for_deletion=for_deletion)
        if found is None:
            separator = "@" if isinstance(version, Digest) else ":"
            raise NotFoundError(f"{self._repository.name}{separator}{version}: not found")
        if for_deletion:
            self._check_tag(requested, found)
        return found


class DockerTransport:
    """The transport ``docker:``. Opening a repository sends no request."""

    def parse(self, text: str, /) -> DockerReference:
        """Parse ``//HOST/PATH[:TAG][@DIGEST]``.

        Raises:
            InvalidReferenceError: the slashes are missing, or the rest is invalid.
        """
        if not text.startswith("//"):
            raise InvalidReferenceError(
                f"docker:{text[:200]!r}: missing // after the transport",
                hint=f"write docker://{text[:80]}",
            )
        return DockerReference(ImageReference.parse(text[2:]))

    def find_registry_host(self, text: str, /) -> str:
        """Return the registry's ``host[:port]`` in ``text``."""
        return self.parse(text).registry_host

    def source(self, reference: DockerReference, options: OpenOptions, /) -> DockerSource:
        """Open the repository and its mirrors for reading."""
        return DockerSource(reference, options)

    def destination(self, reference: DockerReference, options: OpenOptions, /) -> DockerDestination:
        """Open the repository for writing."""
        return DockerDestination(reference, options)

    list_repositories = staticmethod(catalog.list_repositories)


def _get_digest(node: Node) -> Digest:
    if node.digest is None:
        raise NotFoundError("content in a registry can be found only by digest")
    return node.digest


TRANSPORT = DockerTransport()
