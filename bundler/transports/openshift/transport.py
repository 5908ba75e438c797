"""``atomic:HOST[:PORT]/NAMESPACE/STREAM:TAG``: an image stream of OpenShift.

The API server of kubeconfig resolves tags and stores simple signatures. The registry ``HOST``
stores the content, which is read and written as by ``docker:``. If no other credentials are
configured for it, the token of kubeconfig is used, but only for a registry of the cluster.
"""

from __future__ import annotations

import threading
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from bundler.config.registry_access import Credentials, RegistryOverride
from bundler.errors import (
    InvalidReferenceError,
    MalformedError,
    NotFoundError,
    UnsupportedError,
)
from bundler.oci import signature
from bundler.oci.reference import ImageReference
from bundler.oci.signature import SimpleSignature
from bundler.transports.docker.reference import DockerReference
from bundler.transports.docker.transport import DockerDestination, DockerSource
from bundler.transports.openshift.image_api import ImageApi

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from bundler.content.streams import Content, Reader
    from bundler.errors import BundlerError
    from bundler.oci.descriptor import Descriptor
    from bundler.oci.digest import Digest
    from bundler.ports import Node, OpenOptions, Publication
    from bundler.transports.openshift.image_api import ImageStream

_USERNAME = "openshift"  # the registry ignores the user name beside a token


@dataclass(frozen=True, slots=True)
class OpenShiftReference:
    """``atomic:HOST[:PORT]/NAMESPACE/STREAM:TAG``."""

    transport: ClassVar = "atomic"
    image: ImageReference

    @property
    def name(self) -> str | None:
        """Return the tag."""
        return self.image.tag

    def __str__(self) -> str:
        return f"atomic:{self.image}"


class OpenShiftSource:
    """Source of an image stream.

    Raises:
        ConfigError: kubeconfig is invalid, or the configuration of the registry is.
    """

    def __init__(self, reference: OpenShiftReference, options: OpenOptions) -> None:
        self._reference = reference
        self._options = options
        self._api = ImageApi(reference.image.path, options)
        self._lock = threading.Lock()
        self._repositories: dict[ImageReference, DockerSource] = {}
        """The repositories that contain the resolved images; usually that of the stream."""

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """Return the root that a tag of the image stream points to.

        Raises:
            NotFoundError: the image stream or its tag does not exist.
            MalformedError: the server returned an invalid reference.
        """
        image = replace(self._reference.image, tag=name or self._reference.name)
        stream = self._api.get_stream()
        if image.tag not in stream.images:
            raise NotFoundError(f"atomic:{image}: not found")
        # The host of the stored reference is that inside the cluster.
        text = stream.images[image.tag]
        try:
            stored = ImageReference.parse(f"{image.domain}/{text.partition('/')[2]}")
        except (InvalidReferenceError, MalformedError):
            raise MalformedError(
                f"atomic:{image}: the server returned the invalid reference {text[:200]!r}"
            ) from None
        found = stored.with_default_tag()
        return self._open_repository(found, stream).resolve(DockerReference(found).name)

    @contextmanager
    def open(self, node: Node, /, offset: int = 0) -> Iterator[Reader]:
        """Open a manifest or a blob in the registry."""
        *others, last = self._list_repositories()
        with ExitStack() as stack:
            for repository in others:
                with suppress(NotFoundError):
                    stream = stack.enter_context(repository.open(node, offset))
                    break
            else:
                stream = stack.enter_context(last.open(node, offset))
            yield stream

    def tags(self) -> list[str]:
        """Return all tags of the image stream that point to an image."""
        return list(self._api.get_stream().images)

    def referrers(self, subject: Digest, /) -> list[Descriptor]:
        """Return the referrers of ``subject`` in the repositories of the resolved images."""
        found = [item.referrers(subject) for item in self._list_repositories()]
        return [descriptor for each in found for descriptor in each]

    def signatures(self, manifest: Digest, /) -> list[bytes]:
        """Return the signatures of ``manifest`` in the image API."""
        return self._api.list_signatures(manifest)

    def close(self) -> None:
        """Release the connections."""
        for repository in self._repositories.values():
            repository.close()
        self._api.close()

    def _list_repositories(self) -> list[DockerSource]:
        if not self._repositories:
            self._open_repository(self._reference.image, self._api.get_stream())
        return list(self._repositories.values())

    def _open_repository(self, image: ImageReference, stream: ImageStream) -> DockerSource:
        repository = replace(image, tag=None, digest=None)
        with self._lock:
            if repository not in self._repositories:
                options = _add_token(self._options, image, self._api, stream)
                self._repositories[repository] = DockerSource(DockerReference(image), options)
            return self._repositories[repository]


class OpenShiftDestination:
    """Destination that writes to an image stream; supports parallel pushes.

    Raises:
        ConfigError: kubeconfig is invalid, or the configuration of the registry is.
    """

    capabilities = DockerDestination.capabilities

    def __init__(self, reference: OpenShiftReference, options: OpenOptions) -> None:
        self._reference = reference
        self._options = options
        self._api = ImageApi(reference.image.path, options)
        self._lock = threading.Lock()
        self._opened: DockerDestination | None = None
        self._signatures: dict[Digest, list[bytes]] = {}

    def resolve(self, name: str | None = None, /) -> Descriptor:
        """Return the root of a tag, as the registry reports it."""
        return self._docker.resolve(name)

    def has(self, node: Node, /) -> bool:
        """Return whether the registry contains ``node``."""
        return self._docker.has(node)

    def push(self, node: Node, content: Content, /) -> Descriptor:
        """Store a blob, or hold a manifest until its index or its name is stored."""
        return self._docker.push(node, content)

    def read_back(self, node: Node, /) -> AbstractContextManager[Reader]:
        """Open a manifest or a blob, as the registry itself stores it."""
        return self._docker.read_back(node)

    def check_signatures(self, manifest: Digest, signatures: Sequence[bytes], /) -> None:
        """Check that all signatures are simple signatures.

        Raises:
            UnsupportedError: there is another one.
        """
        self._parse_signatures(manifest, signatures)

    def push_signatures(self, manifest: Digest, signatures: Sequence[bytes], /) -> None:
        """Hold the signatures of a manifest; those that the image API already stores are kept.

        Raises:
            UnsupportedError: there is another one than simple signatures.
        """
        self._signatures[manifest] = self._parse_signatures(manifest, signatures)

    def commit(self, images: Sequence[Publication], /) -> None:
        """Set all tags, then store the signatures, as the image API has to know the images.

        Raises:
            ConflictError: two images have the same tag.
            DigestConflictError: a name contains the digest of another image.
        """
        self._docker.commit(images)
        for manifest, signatures in self._signatures.items():
            if signatures:
                self._api.add_signatures(manifest, signatures)
        self._signatures.clear()

    @property
    def refused_referrers(self) -> Mapping[Digest, BundlerError]:
        """The errors of referrers that the registry refused to store or list."""
        return self._docker.refused_referrers

    def close(self) -> None:
        """Cancel unfinished uploads, and release the connections."""
        if self._opened is not None:
            self._opened.close()
        self._api.close()

    @property
    def _docker(self) -> DockerDestination:
        """The repository in the registry, opened on first use."""
        with self._lock:
            if self._opened is None:
                image = self._reference.image
                options = _add_token(self._options, image, self._api)
                self._opened = DockerDestination(DockerReference(image), options)
            return self._opened

    def _parse_signatures(self, manifest: Digest, signatures: Sequence[bytes]) -> list[bytes]:
        subject = f"{self._reference}: signature of {manifest}"
        parsed = [signature.parse(raw, subject) for raw in signatures]
        simple = [item.message for item in parsed if isinstance(item, SimpleSignature)]
        if len(simple) < len(parsed):
            raise UnsupportedError(
                f"{subject}: the image API stores simple signatures only",
                hint="copy to docker:, or leave out the sigstore signatures",
            )
        return simple


class OpenShiftTransport:
    """The transport ``atomic:``. Opening an image stream sends no request."""

    def parse(self, text: str, /) -> OpenShiftReference:
        """Parse ``HOST[:PORT]/NAMESPACE/STREAM:TAG``.

        Raises:
            InvalidReferenceError: ``text`` is not the tag of an image stream.
        """
        image = ImageReference.parse(text)
        if image.tag is None or image.digest is not None or image.path.count("/") != 1:
            raise InvalidReferenceError(
                f"atomic:{text[:200]}: not the tag of an image stream",
                hint="write atomic:HOST[:PORT]/NAMESPACE/STREAM:TAG",
            )
        return OpenShiftReference(image)

    def find_registry_host(self, text: str, /) -> str:
        """Return the registry's ``host[:port]`` in ``text``."""
        return self.parse(text).image.domain

    def source(self, reference: OpenShiftReference, options: OpenOptions, /) -> OpenShiftSource:
        """Open the image stream for reading."""
        return OpenShiftSource(reference, options)

    def destination(
        self, reference: OpenShiftReference, options: OpenOptions, /
    ) -> OpenShiftDestination:
        """Open the image stream for writing."""
        return OpenShiftDestination(reference, options)


def _add_token(
    options: OpenOptions,
    image: ImageReference,
    api: ImageApi,
    stream: ImageStream | None = None,
) -> OpenOptions:
    """Add the token of kubeconfig as the credentials of the registry, if none are configured.

    The registry must belong to the cluster: the API server names it, or is on the same host.
    Otherwise, a reference with another host would reveal the token.
    """
    token, host = api.cluster.credentials.registry_token, image.domain
    override = options.overrides.get(host, RegistryOverride())
    if token is None or override.credentials is not None or override.authfile is not None:
        return options
    if not options.load_settings().find_credentials(host, image.path).anonymous:
        return options
    if _strip_port(host) != _strip_port(api.cluster.host):
        if stream is None:
            try:
                stream = api.get_stream()
            except NotFoundError:  # the first push creates it
                return options
        if host not in stream.registry_hosts:
            return options
    credentials = Credentials(username=_USERNAME, password=token)
    changed = replace(override, credentials=credentials)
    return replace(options, overrides={**options.overrides, host: changed})


def _strip_port(host: str) -> str:
    return host if host.endswith("]") else host.rpartition(":")[0] or host


TRANSPORT = OpenShiftTransport()
