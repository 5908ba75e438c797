"""A certificate authority like Fulcio and a transparency log like Rekor, with their own keys."""

from __future__ import annotations

import base64
import copy
import hashlib
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

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
from bundler.trust.sigstore.attachments.payload import Payload
from bundler.trust.sigstore.bundle import MEDIA_TYPE
from bundler.trust.sigstore.dsse import IN_TOTO, sign_envelope
from bundler.trust.sigstore.keys import accept_private_key
from bundler.trust.sigstore.logs.inclusion import InclusionProof
from bundler.trust.sigstore.logs.rekor import Promise, RecordedEntry
from tests.fakes.server import FakeServer

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

    def renew_intermediate(self, end):
        """Return the same authority, whose intermediate certificate ends at another time."""
        renewed = copy.copy(self)
        renewed.intermediate = issue(
            "intermediate", self.key.public_key(), "root", self.root_key, end=end, ca=True,
            path_length=0,
        )  # fmt: skip
        return renewed

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
    name: str = "rekor.example.org"

    @property
    def id(self) -> str:
        return hashlib.sha256(spki_der(self.key)).hexdigest()

    def record(self, body: bytes, moment=NOW) -> Promise:
        entry = RecordedEntry(body, int(moment.timestamp()), len(self.bodies), self.id)
        self.bodies.append(body)
        return Promise(entry, sign(self.key, entry.to_signed_bytes()))

    def prove(self, index: int) -> InclusionProof:
        """Return the proof that the tree contains an entry, with a signed checkpoint."""
        leaves = [hashlib.sha256(b"\0" + body).digest() for body in self.bodies]
        root, size = compute_tree(leaves), len(leaves)
        note = f"{self.name} - 1\n{size}\n{encode(root)}\n"
        return InclusionProof(
            index, size, root, tuple(compute_path(index, leaves)), self.sign_note(note)
        )

    def sign_note(self, note: str) -> str:
        key_id = hashlib.sha256(spki_der(self.key)).digest()[:4]
        signed = encode(key_id + sign(self.key, note.encode()))
        return f"{note}\n\u2014 {self.name} {signed}\n"


def compute_tree(leaves: list[bytes]) -> bytes:
    """Compute the root hash of a Merkle tree (RFC 9162, section 2.1.1)."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    left, right = compute_tree(leaves[:split]), compute_tree(leaves[split:])
    return hashlib.sha256(b"\1" + left + right).digest()


def compute_path(index: int, leaves: list[bytes]) -> list[bytes]:
    """Compute the inclusion path of a leaf (RFC 9162, section 2.1.3.1)."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*compute_path(index, leaves[:split]), compute_tree(leaves[split:])]
    return [*compute_path(index - split, leaves[split:]), compute_tree(leaves[:split])]


def hashedrekord(verifier_pem: bytes, signature: bytes, payload: bytes) -> bytes:
    """Create the body of an entry, as Rekor stores it."""
    spec = {
        "data": {"hash": {"algorithm": "sha256", "value": hashlib.sha256(payload).hexdigest()}},
        "signature": {
            "content": encode(signature),
            "publicKey": {"content": encode(verifier_pem)},
        },
    }
    document = {"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def dsse_entry(verifier_pem: bytes, envelope) -> bytes:
    """Create the body of an entry about an envelope, as Rekor stores it."""
    spec = {
        "envelopeHash": {"algorithm": "sha256", "value": "0" * 64},
        "payloadHash": {
            "algorithm": "sha256",
            "value": hashlib.sha256(envelope.payload).hexdigest(),
        },
        "signatures": [
            {
                "signature": encode(envelope.signature),
                "verifier": encode(verifier_pem),
            }
        ],
    }
    document = {"apiVersion": "0.0.1", "kind": "dsse", "spec": spec}
    return json.dumps(document, sort_keys=True, separators=(",", ":")).encode()


def create_entry(log: FakeLog, body: bytes, kind="hashedrekord/0.0.1", moment=NOW):
    """Record an entry; return it as a member of ``tlogEntries``."""
    promise = log.record(body, moment)
    proof = log.prove(len(log.bodies) - 1)
    name, version = kind.split("/")
    return {
        "logIndex": str(promise.entry.log_index),
        "logId": {"keyId": encode(bytes.fromhex(log.id))},
        "kindVersion": {"kind": name, "version": version},
        "integratedTime": str(promise.entry.integrated_time),
        "inclusionPromise": {"signedEntryTimestamp": encode(promise.signature)},
        "inclusionProof": {
            "logIndex": str(proof.log_index),
            "rootHash": encode(proof.root_hash),
            "treeSize": str(proof.tree_size),
            "hashes": [encode(item) for item in proof.hashes],
            "checkpoint": {"envelope": proof.checkpoint},
        },
        "canonicalizedBody": encode(body),
    }


def create_keyless_bundle(
    artifact: bytes, fulcio, log, *, statement=None, moment=NOW, private=None, **options
) -> dict:
    """Create a bundle about an artifact, signed by a certificate and recorded by a log.

    ``statement`` is signed in an envelope if it is given; ``options`` are those of the certificate.
    """
    private = private or create_key()
    certificate = fulcio.issue(private, **options)
    material = {"certificate": {"rawBytes": encode(der(certificate))}}
    document = {"mediaType": MEDIA_TYPE, "verificationMaterial": material}
    if statement is None:
        signature = sign(private, artifact)
        digest = {"algorithm": "SHA2_256", "digest": encode(hashlib.sha256(artifact).digest())}
        document["messageSignature"] = {"messageDigest": digest, "signature": encode(signature)}
        body = hashedrekord(pem(certificate), signature, artifact)
        material["tlogEntries"] = [create_entry(log, body, moment=moment)]
        return document
    envelope = sign_envelope(accept_private_key(private, "key"), IN_TOTO, statement)
    document["dsseEnvelope"] = envelope.to_json()
    body = dsse_entry(pem(certificate), envelope)
    material["tlogEntries"] = [create_entry(log, body, "dsse/0.0.1", moment)]
    return document


def create_trusted_root(fulcio, log) -> dict:
    """Create the content of ``trusted_root.json``, without logs of certificates."""
    period = {"start": "2020-01-01T00:00:00Z"}
    public_key = {
        "rawBytes": encode(spki_der(log.key)),
        "keyDetails": "PKIX_ECDSA_P256_SHA_256",
        "validFor": period,
    }
    trusted_log = {
        "baseUrl": f"https://{log.name}",
        "hashAlgorithm": "SHA2_256",
        "publicKey": public_key,
        "logId": {"keyId": encode(bytes.fromhex(log.id))},
    }
    chain = [{"rawBytes": encode(der(item))} for item in (fulcio.intermediate, fulcio.root)]
    authority = {
        "subject": {"organization": "example.org", "commonName": "root"},
        "uri": "https://fulcio.example.org",
        "certChain": {"certificates": chain},
        "validFor": period,
    }
    return {
        "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
        "tlogs": [trusted_log],
        "certificateAuthorities": [authority],
        "ctlogs": [],
        "timestampAuthorities": [],
    }


def encode(data: bytes) -> str:
    """Encode in base64."""
    return base64.b64encode(data).decode()


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
    annotations = {SIGNATURE_ANNOTATION: encode(signature)}
    verifier = spki_pem(key)
    if certificate is not None:
        verifier = pem(certificate)
        annotations[CERTIFICATE_ANNOTATION] = verifier.decode()
        annotations[CHAIN_ANNOTATION] = chain.decode()
    if log is not None:
        promise = log.record(hashedrekord(verifier, signature, payload), moment)
        annotations[BUNDLE_ANNOTATION] = promise.to_annotation()
    return SigstoreSignature(SIGSTORE_PAYLOAD, payload, annotations)


class FakeServices(FakeServer, ThreadingHTTPServer):
    """Fulcio and Rekor as web services on loopback; a context manager."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _ServicesHandler)
        self.fulcio = FakeFulcio(start=datetime.now(UTC) - DAY)
        self.log = FakeLog()
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.failures: list[tuple[int, bytes]] = []
        """Responses that are sent instead of the next ones."""
        self.alter = lambda entry: entry
        """Changes the entry in a response of the log."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def _server(self):
        return self

    def handle_error(self, *_):
        """Ignore clients that end the connection."""


class _ServicesHandler(BaseHTTPRequestHandler):
    server: FakeServices
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self._respond()

    def do_POST(self):
        self._respond()

    def _respond(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server = self.server
        server.requests.append((self.command, self.path, dict(self.headers)))
        if server.failures:
            self._send(*server.failures.pop(0))
        elif self.path == "/api/v1/signingCert":
            self._issue(json.loads(body))
        elif self.command == "POST":
            self._record(json.loads(body))
        else:
            self._send_entry(200, int(self.path.rpartition("/")[2], 16))

    def _issue(self, request):
        key = serialization.load_der_public_key(base64.b64decode(request["publicKey"]["content"]))
        token = self.headers["Authorization"].removeprefix("Bearer ")
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        proof = base64.b64decode(request["signedEmailAddress"])
        key.verify(proof, claims["email"].encode(), ec.ECDSA(hashes.SHA256()))
        certificate = self.server.fulcio.issue(
            _Public(key), email=claims["email"], moment=datetime.now(UTC)
        )
        self._send(201, pem(certificate) + self.server.fulcio.chain_pem)

    def _record(self, entry):
        body = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
        log = self.server.log
        if body in log.bodies:
            location = f"/api/v1/log/entries/{log.bodies.index(body):064x}"
            self._send(409, b'{"message":"already exists"}', location)
            return
        log.record(body)
        self._send_entry(201, len(log.bodies) - 1)

    def _send_entry(self, status, index):
        log = self.server.log
        entry = RecordedEntry(log.bodies[index], int(datetime.now(UTC).timestamp()), index, log.id)
        members = json.loads(entry.to_signed_bytes())
        signed = encode(sign(log.key, entry.to_signed_bytes()))
        members["verification"] = {"signedEntryTimestamp": signed}
        document = {f"{index:064x}": self.server.alter(members)}
        self._send(status, json.dumps(document).encode())

    def _send(self, status, body, location=None):
        self.send_response(status)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@dataclass
class _Public:
    """A key of which only the public half is known."""

    key: ec.EllipticCurvePublicKey

    def public_key(self):
        return self.key


def create_token(email=EMAIL, **claims) -> str:
    """Create an identity token; nothing in the fakes verifies its signature."""
    document = {"iss": ISSUER, "sub": "1", "email": email, "email_verified": True} | claims
    encoded = base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()
    return f"eyJhbGciOiJFUzI1NiJ9.{encoded}.c2lnbmF0dXJl"  # {"alg":"ES256"}
