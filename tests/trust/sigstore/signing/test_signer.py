"""Signers of images: their certificates are renewed in time, and requested once for all threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

from bundler.oci import signature as signatures
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.oci.signature import CERTIFICATE_ANNOTATION
from bundler.trust.sigstore import keys
from bundler.trust.sigstore.attachments.attachment import SigstoreKeys, verify_attachment
from bundler.trust.sigstore.signing.services import IssuedCertificate
from bundler.trust.sigstore.signing.signer import CertifiedKey, KeylessSigner, SigstoreSigner

MANIFEST = b'{"schemaVersion":2}'
DESCRIPTOR = Descriptor(
    "application/vnd.oci.image.manifest.v1+json", Digest.of(MANIFEST), len(MANIFEST)
)
NAME = "registry.example.org/app:1"


def create_signer(lifetime: timedelta):
    """Return a signer whose certificates expire after ``lifetime``, and the requested keys."""
    requested: list[keys.SigningKey] = []

    def request(key):
        requested.append(key)
        text = f"certificate {len(requested)}".encode()
        return IssuedCertificate(text, b"chain", datetime.now(UTC) + lifetime)

    return KeylessSigner(CertifiedKey.create(request), request, None), requested


def sign(signer) -> signatures.SigstoreSignature:
    (raw,) = signer.sign(NAME, DESCRIPTOR, MANIFEST)
    parsed = signatures.parse(raw)
    assert isinstance(parsed, signatures.SigstoreSignature)
    return parsed


def test_signature_by_key_verifies():
    key = keys.generate_signing_key()
    found = verify_attachment(
        sign(SigstoreSigner(key)), SigstoreKeys((key.public,)), MANIFEST, datetime.now(UTC)
    )
    assert found.payload.reference == NAME


def test_certificate_is_requested_once_for_all_threads():
    signer, requested = create_signer(timedelta(minutes=10))
    with ThreadPoolExecutor(8) as executor:
        names = {
            signature.annotations[CERTIFICATE_ANNOTATION]
            for signature in executor.map(lambda _: sign(signer), range(32))
        }
    assert names == {"certificate 1"}
    assert len(requested) == 1


def test_certificate_is_renewed_with_new_key_before_it_expires():
    signer, requested = create_signer(timedelta(seconds=30))
    names = [sign(signer).annotations[CERTIFICATE_ANNOTATION] for _ in range(2)]
    assert names == ["certificate 2", "certificate 3"]
    assert requested[0].public != requested[1].public
