"""Simple signatures of images: an OpenPGP message that contains a payload in JSON.

https://github.com/containers/image/blob/v5.36.2/docs/containers-signature.5.md
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from bundler.errors import InvalidSignatureError
from bundler.oci.manifest import compute_manifest_digest
from bundler.trust.simple_signing.signed_payload import SignedPayload

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from bundler.oci.descriptor import Descriptor
    from bundler.trust.openpgp.keyring import Keyring


class SimplePayload(SignedPayload):
    """The content of a simple signature, as the signer stated it."""

    __slots__ = ()
    kind = "atomic container signature"


@dataclass(frozen=True, slots=True)
class SimpleSigner:
    """Signs manifests; its ``sign`` is a ``signature_ports.SignManifest``."""

    sign_content: Callable[[bytes], bytes]
    """Returns an OpenPGP message with the signed content."""

    def sign(self, reference: str, descriptor: Descriptor, manifest: bytes) -> list[bytes]:
        """Sign one manifest with the image name ``reference``."""
        digest = compute_manifest_digest(manifest, subject=f"manifest {descriptor.digest}")
        payload = SimplePayload.create(reference, digest, datetime.now(UTC))
        return [self.sign_content(payload.to_bytes())]


def verify_signature(
    message: bytes, keyring: Keyring, manifest: bytes, fingerprints: Collection[str]
) -> tuple[SimplePayload, str]:
    """Verify a signature of ``manifest`` by one of the keys ``fingerprints``.

    The caller checks the name in the payload.

    Returns:
        The payload, and the fingerprint of the signer.

    Raises:
        InvalidSignatureError: the signature is not valid, or is not about ``manifest``.
        LimitError: the signature is larger than allowed, or takes too long to verify.
    """
    verified = keyring.verify(message)
    signer = verified.check_signer(fingerprints)
    payload = parse_payload(verified.content)
    if not payload.is_about(manifest):
        raise InvalidSignatureError(
            f"the signature is for another digest: {payload.digest}",
            key_id=signer,
            problem="digest",
            value=payload.digest.text,
        )
    return payload, signer


def parse_payload(raw: bytes) -> SimplePayload:
    """Parse the content of a signature.

    Raises:
        InvalidSignatureError: ``raw`` is not the content of a simple signature.
    """
    return SimplePayload.parse(raw, partial(InvalidSignatureError, problem="payload"))
