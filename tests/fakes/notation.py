"""Notation signatures, with authorities of their own, made by cryptography and cbor2."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bundler.trust import der
from bundler.trust.der import Value
from tests.fakes import images

ARTIFACT = "application/vnd.cncf.notary.signature"
JWS, COSE = "application/jose+json", "application/cose"
NOW = datetime(2026, 12, 1, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
LIFETIME = 3650 * DAY
ALGORITHMS = ("PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
COSE_LABELS = {"PS256": -37, "PS384": -38, "PS512": -39, "ES256": -7, "ES384": -35, "ES512": -36}
SHA256 = hashes.SHA256()
PREFIX = "io.cncf.notary."
SCHEME, AUTHORITY_SCHEME = "notary.x509", "notary.x509.signingAuthority"
NO_USAGE = dict.fromkeys(
    (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    ),
    False,
)


@cache
def get_key(algorithm: str) -> Any:
    """Return a key, always the same, since large RSA keys take long to generate."""
    sizes = {"PS256": 2048, "PS384": 3072, "PS512": 4096}
    if algorithm in sizes:
        return rsa.generate_private_key(65537, sizes[algorithm])
    curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
    return ec.generate_private_key(curves[algorithm])


def subject(common_name: str, **more: str) -> x509.Name:
    members = {"C": "US", "ST": "WA", "O": "Example", "CN": common_name} | more
    oids = {
        "C": NameOID.COUNTRY_NAME,
        "ST": NameOID.STATE_OR_PROVINCE_NAME,
        "O": NameOID.ORGANIZATION_NAME,
        "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
        "CN": NameOID.COMMON_NAME,
    }
    return x509.Name([x509.NameAttribute(oids[key], value) for key, value in members.items()])


@dataclass
class Signer:
    """A key with its certificate, and the issuer of that; None: itself."""

    key: Any
    certificate: x509.Certificate
    issuer: Signer | None = None

    @property
    def chain(self) -> list[x509.Certificate]:
        return [self.certificate, *(self.issuer.chain if self.issuer else [])]

    @property
    def algorithm(self) -> str:
        if isinstance(self.key, rsa.RSAPrivateKey):
            return {2048: "PS256", 3072: "PS384", 4096: "PS512"}.get(self.key.key_size, "PS256")
        return {256: "ES256", 384: "ES384"}.get(self.key.curve.key_size, "ES512")

    def sign(self, data: bytes, algorithm: str | None = None) -> bytes:
        """Sign as JWS and COSE do."""
        name = (algorithm or self.algorithm)[2:]
        chosen = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}[name]
        if isinstance(self.key, rsa.RSAPrivateKey):
            salted = padding.PSS(padding.MGF1(chosen), padding.PSS.DIGEST_LENGTH)
            return self.key.sign(data, salted, chosen)
        size = (self.key.curve.key_size + 7) // 8
        numbers = utils.decode_dss_signature(self.key.sign(data, ec.ECDSA(chosen)))
        return b"".join(number.to_bytes(size, "big") for number in numbers)


def issue(
    name: x509.Name,
    issuer: Signer | None = None,
    *,
    key: Any = None,
    authority: bool = False,
    constraints: bool | None = None,
    path_length: int | None = None,
    usage: tuple[str, ...] | None = None,
    critical: bool = True,
    purposes: tuple[x509.ObjectIdentifier, ...] = (),
    start: datetime = NOW - 30 * DAY,
    end: datetime = NOW + LIFETIME,
    algorithm: hashes.HashAlgorithm | None = SHA256,
) -> Signer:
    """Issue a certificate, by default a correct one for signing code or for an authority.

    ``constraints`` is the member cA; None: that of the kind.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    by = issuer.certificate.subject if issuer else name
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(by)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(start).not_valid_after(end)
    if authority or constraints is not None:
        flag = authority if constraints is None else constraints
        builder = builder.add_extension(x509.BasicConstraints(flag, path_length), critical=critical)
    if usage is None:
        usage = ("key_cert_sign", "crl_sign") if authority else ("digital_signature",)
    if usage:
        members = NO_USAGE | dict.fromkeys(usage, True)
        builder = builder.add_extension(x509.KeyUsage(**members), critical=critical)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=True)
    signing_key = issuer.key if issuer else key
    return Signer(key, builder.sign(signing_key, algorithm), issuer)


def create_signer(name: str = "builder", *, root: Signer | None = None, **options: Any) -> Signer:
    """Create a signer below an intermediate authority of ``root``."""
    root = root or create_root()
    middle = issue(subject("intermediate"), root, authority=True, path_length=0)
    return issue(subject(name), middle, **options)


def create_root(name: str = "root") -> Signer:
    return issue(subject(name), authority=True)


def edit_certificate(signer: Signer, old: bytes, new: bytes) -> Signer:
    """Return a signer whose issuer signed other bytes; both have the same length."""
    data = signer.certificate.public_bytes(serialization.Encoding.DER)
    body = signer.certificate.tbs_certificate_bytes
    _, algorithm, _ = der.parse_values(der.parse_values(data)[0].content)
    edited = body.replace(old, new)
    signature = signer.issuer.key.sign(edited, ec.ECDSA(SHA256))
    members = edited + der.encode(algorithm) + der.encode(Value(0x03, b"\0" + signature))
    certificate = x509.load_der_x509_certificate(der.encode(Value(0x30, members)))
    return replace(signer, certificate=certificate)


@dataclass
class Signature:
    """A signature to be made; the members that are set replace the correct ones."""

    signer: Signer
    target: images.Blob
    signing_time: datetime = NOW
    expiry: datetime | None = None
    scheme: str = SCHEME
    headers: dict[Any, Any] = field(default_factory=dict)
    """More protected headers; None removes one."""
    critical: list[Any] | None = None
    unprotected: dict[Any, Any] = field(default_factory=dict)
    """More unprotected headers; None removes one."""
    payload: bytes | None = None
    chain: list[x509.Certificate] | None = None
    timestamp: bytes = b""
    algorithm: str | None = None
    false: bool = False
    """The signature is by another key."""

    def attributes(self, format_time: Any) -> dict[str, Any]:
        times = {SCHEME: "signingTime", AUTHORITY_SCHEME: "authenticSigningTime"}
        found = {f"{PREFIX}signingScheme": self.scheme}
        found[PREFIX + times.get(self.scheme, "signingTime")] = format_time(self.signing_time)
        if self.expiry:
            found[f"{PREFIX}expiry"] = format_time(self.expiry)
        return found

    def list_critical(self) -> list[Any]:
        if self.critical is not None:
            return self.critical
        names = ["signingScheme"]
        names += ["authenticSigningTime"] if self.scheme == AUTHORITY_SCHEME else []
        return [PREFIX + name for name in (*names, *(["expiry"] if self.expiry else []))]

    def get_payload(self) -> bytes:
        return describe(self.target) if self.payload is None else self.payload

    def list_chain(self) -> list[bytes]:
        chain = self.signer.chain if self.chain is None else self.chain
        return [item.public_bytes(serialization.Encoding.DER) for item in chain]

    def sign(self, data: bytes) -> bytes:
        signer = replace(self.signer, key=get_key("ES256")) if self.false else self.signer
        return signer.sign(data, None if self.false else self._hash_name)

    @property
    def _hash_name(self) -> str | None:
        return self.algorithm if self.algorithm in ALGORITHMS else None

    def to_jws(self) -> bytes:
        protected = {
            "alg": self.algorithm or self.signer.algorithm,
            "cty": "application/vnd.cncf.notary.payload.v1+json",
            "crit": self.list_critical(),
        }
        protected |= self.attributes(lambda moment: moment.isoformat().replace("+00:00", "Z"))
        header: dict[str, Any] = {"x5c": [b64(item) for item in self.list_chain()]}
        if self.timestamp:
            header[f"{PREFIX}timestampSignature"] = b64(self.timestamp)
        first, second = url(encode(merge(protected, self.headers))), url(self.get_payload())
        return encode(
            {
                "payload": second,
                "protected": first,
                "header": merge(header, self.unprotected),
                "signature": url(self.sign(f"{first}.{second}".encode())),
            }
        )

    def to_cose(self, tag: int = 18) -> bytes:
        protected: dict[Any, Any] = {
            1: COSE_LABELS[self.algorithm or self.signer.algorithm],
            2: self.list_critical(),
            3: "application/vnd.cncf.notary.payload.v1+json",
        }
        protected |= self.attributes(lambda moment: cbor2.CBORTag(1, int(moment.timestamp())))
        raw = cbor2.dumps(merge(protected, self.headers))
        header: dict[Any, Any] = {33: self.list_chain()}
        if self.timestamp:
            header[f"{PREFIX}timestampSignature"] = self.timestamp
        payload = self.get_payload()
        signed = cbor2.dumps(["Signature1", raw, b"", payload])
        members = [raw, merge(header, self.unprotected), payload, self.sign(signed)]
        return cbor2.dumps(cbor2.CBORTag(tag, members))

    def to_envelope(self, media_type: str = JWS) -> bytes:
        return self.to_jws() if media_type == JWS else self.to_cose()

    def primitive(self, envelope: bytes) -> bytes:
        """Return the signature in an envelope, which a timestamp is about."""
        if envelope.startswith(b"{"):
            text = json.loads(envelope)["signature"]
            return base64.urlsafe_b64decode(text + "==")
        return cbor2.loads(envelope).value[3]


def attach_timestamp(envelope: bytes, token: bytes) -> bytes:
    """Return an envelope with a timestamp among its unprotected headers."""
    name = f"{PREFIX}timestampSignature"
    if envelope.startswith(b"{"):
        document = json.loads(envelope)
        document["header"][name] = b64(token)
        return encode(document)
    protected, unprotected, *others = cbor2.loads(envelope).value
    members = [protected, {**unprotected, name: token}, *others]
    return cbor2.dumps(cbor2.CBORTag(18, members))


def artifact(target: images.Image, envelope: bytes, media_type: str = JWS) -> images.Image:
    """Create the referrer that contains an envelope."""
    return images.artifact(ARTIFACT, envelope, media_type=media_type, subject=target)


def legacy_artifact(target: images.Image, envelope: bytes, **members: Any) -> images.Image:
    """Create the referrer as before OCI 1.1, identified by the media type of its config."""
    blobs = images.Blob(ARTIFACT, b"{}"), images.Blob(JWS, envelope)
    return _create_artifact(target, blobs, members)


def artifact_of_blobs(target: images.Image, *layers: images.Blob) -> images.Image:
    blobs = (images.Blob(images.EMPTY, b"{}"), *layers)
    return _create_artifact(target, blobs, {"artifactType": ARTIFACT})


def _create_artifact(
    target: images.Image, blobs: tuple[images.Blob, ...], members: dict[str, Any]
) -> images.Image:
    config, *layers = blobs
    body = {
        "schemaVersion": 2,
        "mediaType": images.OCI["manifest"],
        "config": config.descriptor(),
        "layers": [layer.descriptor() for layer in layers],
        "subject": target.root.descriptor(),
        **members,
    }
    return images.Image(images.Blob(images.OCI["manifest"], images.dump(body)), blobs)


def describe(target: images.Blob) -> bytes:
    """Return the payload for a manifest."""
    return encode({"targetArtifact": target.descriptor()})


def write_trust(
    directory: Path,
    stores: dict[str, list[x509.Certificate]],
    identities: tuple[str, ...] = ("*",),
    **verification: Any,
) -> dict[str, Any]:
    """Write ``trustpolicy.json`` and ``truststore`` as notation has them; return the policy."""
    for name, certificates in stores.items():
        folder = directory / "truststore/x509" / name.replace(":", "/")
        folder.mkdir(parents=True, exist_ok=True)
        for number, certificate in enumerate(certificates):
            pem = certificate.public_bytes(serialization.Encoding.PEM)
            (folder / f"{number}.crt").write_bytes(pem)
    policy = {
        "version": "1.0",
        "trustPolicies": [
            {
                "name": "all",
                "registryScopes": ["*"],
                "signatureVerification": {"level": "strict"} | verification,
                "trustStores": list(stores),
                "trustedIdentities": list(identities),
            }
        ],
    }
    (directory / "trustpolicy.json").write_text(json.dumps(policy))
    return policy


def create_timestamp(authority: Signer, data: bytes, algorithm: str = "sha256") -> bytes:
    """Let openssl create a timestamp token of the present by a signer for timestamps."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        encoding = serialization.Encoding.PEM
        (work / "key.pem").write_bytes(
            authority.key.private_bytes(
                encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        signer, *others = authority.chain
        (work / "tsa.pem").write_bytes(signer.public_bytes(encoding))
        (work / "chain.pem").write_bytes(b"".join(item.public_bytes(encoding) for item in others))
        (work / "data").write_bytes(data)
        (work / "serial").write_text("01")
        (work / "tsa.cnf").write_text(
            "[tsa]\ndefault_tsa = t\n[t]\nserial = serial\nsigner_cert = tsa.pem\n"
            "certs = chain.pem\nsigner_key = key.pem\nsigner_digest = sha256\n"
            "default_policy = 1.2.3.4.1\ndigests = sha256, sha384, sha512\n"
            f"accuracy = secs:1\ness_cert_id_alg = {algorithm}\n"
        )
        openssl = shutil.which("openssl") or "openssl"
        query = ("-query", "-data", "data", "-sha256", "-cert", "-out", "query")
        reply = ("-reply", "-config", "tsa.cnf", "-queryfile", "query", "-token_out", "-out", "out")
        for arguments in (query, reply):
            subprocess.run([openssl, "ts", *arguments], cwd=work, check=True, capture_output=True)
        return (work / "out").read_bytes()


def create_timestamp_authority(**options: Any) -> Signer:
    root = options.pop("root", None) or create_root("timestamps")
    key = get_key("PS256")
    options = {"purposes": (ExtendedKeyUsageOID.TIME_STAMPING,), "key": key} | options
    return issue(subject("tsa"), root, **options)


def merge(members: dict[Any, Any], more: dict[Any, Any]) -> dict[Any, Any]:
    return {key: value for key, value in (members | more).items() if value is not None}


def encode(value: Any) -> bytes:
    return json.dumps(value).encode()


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def url(data: bytes) -> str:
    return re.sub("=+$", "", base64.urlsafe_b64encode(data).decode())


ROOT = create_root()
TARGET = images.image().root
"""A manifest to sign."""
