"""A certificate authority like Fulcio and a transparency log like Rekor, with their own keys."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bundler.oci.signature import (
    BUNDLE_ANNOTATION,
    CERTIFICATE_ANNOTATION,
    CHAIN_ANNOTATION,
    SIGNATURE_ANNOTATION,
    SIGSTORE_PAYLOAD,
    SigstoreSignature,
)
from bundler.trust.sigstore.payload import Payload
from bundler.trust.sigstore.rekor import Promise, RecordedEntry

ISSUER = "https://idp.example.org"
EMAIL = "ci@example.org"
NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
ISSUER_V1 = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
ISSUER_V2 = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")


def create_key(curve=None):
    return ec.generate_private_key(curve or ec.SECP256R1())


def spki_pem(key) -> bytes:
    public = key.public_key() if hasattr(key, "public_key") else key
    return public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def spki_der(key) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def pem(certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def der(certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def utf8_string(text: str) -> bytes:
    encoded = text.encode()
    return bytes([0x0C, len(encoded)]) + encoded


def issue(
    subject,
    public_key,
    issuer,
    issuer_key,
    *,
    start=NOW - DAY,
    end=NOW + 3650 * DAY,
    ca=None,
    path_length=None,
    names=(),
    usages=(ExtendedKeyUsageOID.CODE_SIGNING,),
    extensions=(),
):
    """Issue a certificate; ``subject`` and ``issuer`` are common names."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, path_length), critical=True)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=True)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    for oid, value in extensions:
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


class FakeFulcio:
    """A root, an intermediate authority, and short-lived certificates for email addresses."""

    def __init__(self, *, start=NOW - DAY, intermediate_end=NOW + 3650 * DAY):
        self.root_key, self.key = create_key(), create_key()
        self.root = issue(
            "root", self.root_key.public_key(), "root", self.root_key, start=start, ca=True,
            usages=(),
        )  # fmt: skip
        self.intermediate = issue(
            "intermediate", self.key.public_key(), "root", self.root_key, start=start,
            end=intermediate_end, ca=True, path_length=0,
        )  # fmt: skip
        self.chain_pem = pem(self.intermediate) + pem(self.root)

    def issue(
        self, key, *, email=EMAIL, issuer=ISSUER, moment=NOW, minutes=10, names=None, **options
    ):
        options.setdefault(
            "extensions",
            [(ISSUER_V1, issuer.encode()), (ISSUER_V2, utf8_string(issuer))],
        )
        return issue(
            "signer", key.public_key(), "intermediate", self.key, start=moment - MINUTE,
            end=moment + minutes * MINUTE,
            names=[x509.RFC822Name(email)] if names is None else names, **options,
        )  # fmt: skip


@dataclass
class FakeLog:
    """A log that promises inclusion, and keeps a tree of all entries."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=create_key)
    bodies: list[bytes] = field(default_factory=list)

    @property
    def id(self) -> str:
        return hashlib.sha256(spki_der(self.key)).hexdigest()

    def record(self, body: bytes, moment=NOW) -> Promise:
        entry = RecordedEntry(body, int(moment.timestamp()), len(self.bodies), self.id)
        self.bodies.append(body)
        signature = self.key.sign(entry.to_signed_bytes(), ec.ECDSA(hashes.SHA256()))
        return Promise(entry, signature)


def hashedrekord(verifier_pem: bytes, signature: bytes, payload: bytes) -> bytes:
    """Create the body of an entry, as Rekor stores it."""
    spec = {
        "data": {"hash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()}},
        "signature": {
            "content": base64.b64encode(signature).decode(),
            "publicKey": {"content": base64.b64encode(verifier_pem).decode()},
        },
    }
    document = {"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def sign(key, data: bytes) -> bytes:
    return key.sign(data, ec.ECDSA(hashes.SHA256()))


def attach(
    key,
    digest,
    reference="registry.example.org/app:1",
    *,
    payload=None,
    certificate=None,
    chain=b"",
    log=None,
    moment=NOW,
) -> SigstoreSignature:
    """Sign an image as cosign does: by a key or by a certificate, recorded or not."""
    if payload is None:
        payload = Payload.create(reference, digest, NOW).to_bytes()
    signature = sign(key, payload)
    annotations = {SIGNATURE_ANNOTATION: base64.b64encode(signature).decode()}
    verifier = spki_pem(key)
    if certificate is not None:
        verifier = pem(certificate)
        annotations[CERTIFICATE_ANNOTATION] = verifier.decode()
        annotations[CHAIN_ANNOTATION] = chain.decode()
    if log is not None:
        promise = log.record(hashedrekord(verifier, signature, payload), moment)
        annotations[BUNDLE_ANNOTATION] = promise.to_annotation()
    return SigstoreSignature(SIGSTORE_PAYLOAD, payload, annotations)
