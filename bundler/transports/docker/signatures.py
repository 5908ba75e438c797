"""The stores of the signatures of one repository, and which of them applies.

- Simple signatures are stored by the registry itself if it has the signature API, otherwise in the
  lookaside location of registries.d, by default a directory of this machine.
- Sigstore signatures are attached to the image in its repository if registries.d permits it.

https://github.com/containers/image/blob/v5.36.2/docker/docker_image_src.go
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from bundler.errors import ConfigError, SignatureStoreError
from bundler.oci import signature
from bundler.oci.signature import SigstoreSignature, SimpleSignature
from bundler.transports.docker.sized_cache import SizedCache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from bundler.oci.digest import Digest
    from bundler.oci.reference import ImageReference
    from bundler.ports import OpenOptions
    from bundler.registry.repository import Repository
    from bundler.registry.services.lookaside_client import LookasideClient
    from bundler.registry.session import Session
    from bundler.registry.uploads import Uploads
    from bundler.transports.docker.lookaside import Lookaside


class SignatureReader:
    """Reader of the signatures of ``image``; thread-safe. It keeps the most recent ones."""

    def __init__(self, image: ImageReference, options: OpenOptions) -> None:
        self._image = image
        self._options = options
        self._lock = threading.Lock()
        self._clients: dict[Session, LookasideClient] = {}
        self._found = SizedCache[tuple[bytes, ...]]()

    def read(self, repository: Repository, manifest: Digest) -> list[bytes]:
        """Return the signatures of a manifest that ``repository`` has served, unverified.

        If this is a mirror, the signatures are those of the name in the mirror, as in Skopeo.

        Raises:
            BundlerError: the signatures cannot be read, or there are too many.
        """
        known = self._found.get(manifest)
        if known is not None:
            return list(known)
        from bundler.transports.docker.lookaside import MAX_SIGNATURES  # noqa: PLC0415 - as needed

        image = replace(self._image, domain=repository.session.host, path=repository.path)
        found: list[bytes] = []
        if repository.session.has_signature_api():
            from bundler.registry.services import signature_api  # noqa: PLC0415 - few registries have it

            found += signature_api.list_signatures(repository, manifest, MAX_SIGNATURES)
        else:
            lookaside = _open_lookaside(
                image, self._options, "read", lambda: self._get_client(repository.session)
            )
            if lookaside is not None:
                found += lookaside.read(manifest)
        if self._options.load_settings().registries_d.uses_sigstore_attachments(image):
            from bundler.transports.docker import attachments  # noqa: PLC0415 - only if configured

            attached = attachments.read_attachments(repository, manifest)
            found += (item.to_bytes() for item in attached)
        self._found.put(manifest, tuple(found), sum(map(len, found)))
        return found

    def close(self) -> None:
        """Close idle connections."""
        for client in self._clients.values():
            client.close()

    def _get_client(self, session: Session) -> LookasideClient:
        from bundler.registry.services.lookaside_client import LookasideClient  # noqa: PLC0415 - as needed

        with self._lock:
            if session not in self._clients:
                self._clients[session] = LookasideClient(
                    session.access, self._options.cancellation, self._options.emit
                )
            return self._clients[session]


class SignatureWriter:
    """Writer of the signatures of ``image`` in ``repository``; not thread-safe."""

    def __init__(
        self, image: ImageReference, repository: Repository, uploads: Uploads, options: OpenOptions
    ) -> None:
        self._image = image
        self._repository = repository
        self._uploads = uploads
        self._options = options
        self._simple: dict[Digest, list[bytes]] = {}
        self._sigstore: dict[Digest, list[SigstoreSignature]] = {}

    def check(self, manifest: Digest, signatures: Iterable[bytes]) -> None:
        """Check that there is a store for each of the signatures of a manifest.

        Raises:
            SignatureStoreError: there is none.
            MalformedError: a signature is malformed.
        """
        self._split(manifest, signatures)

    def add(self, manifest: Digest, signatures: Sequence[bytes]) -> None:
        """Hold the signatures of a manifest until they are stored.

        Raises:
            SignatureStoreError, MalformedError: as ``check``.
        """
        self._simple[manifest], self._sigstore[manifest] = self._split(manifest, signatures)

    def store_in_lookaside(self) -> None:
        """Replace the signatures in the lookaside location, if it applies.

        Raises:
            MediumError, NoSpaceError: a file cannot be written.
        """
        held = {manifest: simple for manifest, simple in self._simple.items() if simple}
        if held and not self._repository.session.has_signature_api():
            self._open_lookaside().write_all(held)

    def store_in_registry(self) -> None:
        """Add the signatures to those in the registry, which must contain the manifests.

        Raises:
            BundlerError: the registry refuses a signature.
        """
        from bundler.registry.services import signature_api  # noqa: PLC0415 - imports requests
        from bundler.transports.docker import attachments  # noqa: PLC0415 - as above
        from bundler.transports.docker.lookaside import MAX_SIGNATURES  # noqa: PLC0415 - as above

        for manifest, simple in self._simple.items():
            if simple and self._repository.session.has_signature_api():
                signature_api.add_signatures(self._repository, manifest, simple, MAX_SIGNATURES)
        for manifest, sigstore in self._sigstore.items():
            if sigstore:
                attachments.add_attachments(self._repository, self._uploads, manifest, sigstore)
        self._simple.clear()
        self._sigstore.clear()

    def delete(self, manifest: Digest) -> None:
        """Delete the lookaside signatures of a manifest that was deleted.

        Raises:
            SignatureStoreError: the location cannot be changed.
            MediumError: a file cannot be deleted.
        """
        lookaside = _open_lookaside(self._image, self._options, "write")
        if lookaside is None:
            return
        problem = f"{self._repository.name}@{manifest}: deleted, but not its signatures"
        lookaside.check_writable(manifest, problem)
        lookaside.delete(manifest)

    def _split(
        self, manifest: Digest, signatures: Iterable[bytes]
    ) -> tuple[list[bytes], list[SigstoreSignature]]:
        """Return the simple signatures and the sigstore signatures, if they can be stored."""
        subject = f"{self._repository.name}@{manifest}: signature"
        parsed = [signature.parse(raw, subject) for raw in signatures]
        simple = [item.message for item in parsed if isinstance(item, SimpleSignature)]
        sigstore = [item for item in parsed if isinstance(item, SigstoreSignature)]
        registries = self._options.load_settings().registries_d
        if sigstore and not registries.uses_sigstore_attachments(self._image):
            raise SignatureStoreError(
                f"{subject}: attachments of sigstore signatures are off for this repository",
                problem="attachments",
                location=self._image.repository,
                hint="set use-sigstore-attachments: true in registries.d",
            )
        if simple and not self._repository.session.has_signature_api():
            self._open_lookaside().check_writable(manifest, subject)
        return simple, sigstore

    def _open_lookaside(self) -> Lookaside:
        lookaside = _open_lookaside(self._image, self._options, "write")
        if lookaside is None:
            raise ConfigError(
                f"{self._image.repository}: no location of signatures is configured",
                hint="configure a lookaside-staging: file:///PATH in registries.d",
            )
        return lookaside


def _open_lookaside(
    image: ImageReference,
    options: OpenOptions,
    to: Literal["read", "write"],
    create_client: Callable[[], LookasideClient] | None = None,
) -> Lookaside | None:
    """Return the lookaside location of a repository; None if there is none."""
    from bundler.transports.docker.lookaside import Lookaside  # noqa: PLC0415 - as needed

    settings = options.load_settings()
    base = settings.registries_d.find_lookaside(image, to)
    if base is None and settings.paths.lookaside is not None:
        base = settings.paths.lookaside.as_uri()
    return None if base is None else Lookaside(base, image.path, create_client)
