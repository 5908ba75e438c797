"""Sign images with sigstore signatures, as Skopeo and cosign do.

The key is a file, or is generated for one run and certified by Fulcio. A transparency log may
record each signature.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

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
from bundler.trust.sigstore.payload import Payload

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.oci.descriptor import Descriptor
    from bundler.trust.sigstore.keys import SigningKey
    from bundler.trust.sigstore.rekor import Promise
    from bundler.trust.sigstore.services import IssuedCertificate

    Record = Callable[[bytes, bytes, bytes], Promise]
    """Called with (public key or certificate in PEM, signature, payload) to record them."""


@dataclass(frozen=True, slots=True)
class SigstoreSigner:
    """Signs manifests; its ``sign`` is a ``ports.SignManifest``."""

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
