"""Sign images with sigstore signatures, as Skopeo and cosign do.

The key is a file, or is generated for one run and certified by Fulcio. A transparency log may
record each signature.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

from bundler.oci.json.base64_strict import encode
from bundler.oci.manifest import compute_manifest_digest
from bundler.oci.signature import (
    BUNDLE_ANNOTATION,
    CERTIFICATE_ANNOTATION,
    CHAIN_ANNOTATION,
    SIGNATURE_ANNOTATION,
    SIGSTORE_PAYLOAD,
    SigstoreSignature,
)
from bundler.trust.sigstore.attachments.payload import Payload
from bundler.trust.sigstore.keys import generate_signing_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.oci.descriptor import Descriptor
    from bundler.trust.sigstore.keys import SigningKey
    from bundler.trust.sigstore.logs.rekor import Promise
    from bundler.trust.sigstore.signing.services import IssuedCertificate

    RequestCertificate = Callable[[SigningKey], IssuedCertificate]
    Record = Callable[[bytes, bytes, bytes], Promise]
    """Called with (public key or certificate in PEM, signature, payload) to record them."""

_MARGIN = timedelta(minutes=1)  # a signature must be recorded before its certificate expires


@dataclass(frozen=True, slots=True)
class SigstoreSigner:
    """Signs manifests; its ``sign`` is a ``signature_ports.SignManifest``."""

    key: SigningKey
    certificate: IssuedCertificate | None = None
    """The certificate of the key; None: the users of the image know the key itself."""
    record: Record | None = None
    """Records each signature in a transparency log; None: signatures are not recorded."""

    def sign(self, reference: str, descriptor: Descriptor, manifest: bytes) -> list[bytes]:
        """Sign one manifest for the image name ``reference``.

        Raises:
            RegistryError: the transparency log did not record the signature.
        """
        digest = compute_manifest_digest(manifest, subject=str(descriptor.digest))
        payload = Payload.create(reference, digest, datetime.now(UTC)).to_bytes()
        signature = self.key.sign(payload)
        annotations = {SIGNATURE_ANNOTATION: encode(signature)}
        verifier = self.key.public.to_pem()
        if self.certificate is not None:
            verifier = self.certificate.pem
            annotations[CERTIFICATE_ANNOTATION] = verifier.decode()
            annotations[CHAIN_ANNOTATION] = self.certificate.chain_pem.decode()
        if self.record is not None:
            promise = self.record(verifier, signature, payload)
            annotations[BUNDLE_ANNOTATION] = promise.to_annotation()
        return [SigstoreSignature(SIGSTORE_PAYLOAD, payload, annotations).to_bytes()]


@dataclass(frozen=True, slots=True)
class CertifiedKey:
    """A new key, and the certificate that was issued for it."""

    key: SigningKey
    certificate: IssuedCertificate

    @classmethod
    def create(cls, request: RequestCertificate) -> Self:
        """Generate a key; ``request`` returns its certificate.

        Raises:
            RefusedRequestError, RegistryError: there is no certificate.
        """
        key = generate_signing_key()
        return cls(key, request(key))


class KeylessSigner:
    """Signs manifests with ``first``, and with another certified key when it expires; thread-safe.

    ``request`` requests the certificates of the other keys.
    """

    def __init__(
        self, first: CertifiedKey, request: RequestCertificate, record: Record | None
    ) -> None:
        self._current = first
        self._request = request
        self._record = record
        self._lock = threading.Lock()

    def sign(self, reference: str, descriptor: Descriptor, manifest: bytes) -> list[bytes]:
        """Sign one manifest, as ``SigstoreSigner.sign``.

        Raises:
            RefusedRequestError, RegistryError: there is no certificate, or no record in the log.
        """
        with self._lock:
            if datetime.now(UTC) >= self._current.certificate.expires - _MARGIN:
                self._current = CertifiedKey.create(self._request)
            current = self._current
        signer = SigstoreSigner(current.key, current.certificate, self._record)
        return signer.sign(reference, descriptor, manifest)
