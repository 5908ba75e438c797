"""Keys: how they are made, kept in files, named, and used to sign and verify.

A signature is a raw detached one: DER ECDSA (P-256) over the SHA-256 of the bytes, or 64 bytes of
Ed25519. RSA of 2048 bits and more verifies only (PKCS #1 v1.5, SHA-256). Everything else is
refused by its name.

A key's id is the SHA-256 of its DER SubjectPublicKeyInfo (RFC 5280, section 4.1). It says which
key is meant and never why it should be trusted.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from bundler.content.files.atomic_write import sync_directory
from bundler.errors import (
    ConfigError,
    ConflictError,
    InvalidSignatureError,
    MalformedError,
    MediumError,
    NotFoundError,
    UnsupportedError,
    UsageError,
)
from bundler.trust import encrypted_key

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

KeyFormat = Literal["ecdsa-p256", "ed25519"]
Algorithm = Literal["ecdsa-p256", "ed25519", "rsa"]

MAX_KEY_FILE = 64 * 1024
MIN_RSA_BITS = 2048

_SigningKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_VerifyingKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that verifies. Two of them are equal if their ids are."""

    id: str
    """64 lower-case hexadecimal digits."""
    algorithm: Algorithm
    _key: _VerifyingKey = field(repr=False, compare=False)

    @property
    def fingerprint(self) -> str:
        """The id in groups of four digits, to be read aloud and compared by people."""
        return " ".join(self.id[start : start + 4] for start in range(0, len(self.id), 4))

    def verify(self, signature: bytes, data: bytes) -> None:
        """Return if ``signature`` is this key's over ``data``.

        Raises:
            InvalidSignatureError: it is not.
        """
        try:
            match self._key:
                case ec.EllipticCurvePublicKey() as key:
                    key.verify(signature, data, ec.ECDSA(hashes.SHA256()))
                case ed25519.Ed25519PublicKey() as key:
                    key.verify(signature, data)
                case rsa.RSAPublicKey() as key:
                    key.verify(signature, data, padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            raise InvalidSignatureError(
                f"the signature does not match key {self.id[:16]} ({self.algorithm})"
            ) from None

    def to_pem(self) -> bytes:
        """The SubjectPublicKeyInfo in PEM, which openssl and cosign read."""
        return self._key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key that signs, with its public half."""

    public: PublicKey
    _key: _SigningKey = field(repr=False, compare=False)

    def sign(self, data: bytes) -> bytes:
        """A detached signature over ``data``: DER (ECDSA) or 64 bytes (Ed25519)."""
        match self._key:
            case ec.EllipticCurvePrivateKey() as key:
                return key.sign(data, ec.ECDSA(hashes.SHA256()))
            case ed25519.Ed25519PrivateKey() as key:
                return key.sign(data)

    def to_pem(self, passphrase: bytes | None) -> bytes:
        """The key in cosign's encrypted PEM, or clear PKCS #8 where ``passphrase`` is None."""
        if passphrase is None:
            return self._key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        der = self._key.private_bytes(
            serialization.Encoding.DER,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return encrypted_key.encrypt(der, passphrase)


def generate_key(kind: KeyFormat = "ecdsa-p256") -> PrivateKey:
    """A fresh key."""
    match kind:
        case "ecdsa-p256":
            return _private(ec.generate_private_key(ec.SECP256R1()), kind)
        case "ed25519":
            return _private(ed25519.Ed25519PrivateKey.generate(), kind)


def write_key_pair(prefix: Path, key: PrivateKey, passphrase: bytes | None) -> tuple[Path, Path]:
    """Write ``prefix``.key (mode 0600) and ``prefix``.pub, durably; the two paths.

    Raises:
        ConflictError: one of them exists; nothing was changed.
        MediumError: they cannot be written; neither is left behind.
    """
    private = prefix.with_name(f"{prefix.name}.key")
    public = prefix.with_name(f"{prefix.name}.pub")
    texts = {private: (key.to_pem(passphrase), 0o600), public: (key.public.to_pem(), 0o644)}
    made: list[Path] = []
    try:
        for path, (text, mode) in texts.items():
            _write_new(path, text, mode, made)
        sync_directory(prefix.parent)
    except FileExistsError as error:
        _remove(made)
        raise ConflictError(
            f"{error.filename}: exists already, and a key is never overwritten",
            hint="choose another prefix, or move the old key away",
        ) from None
    except OSError as error:
        _remove(made)
        raise MediumError(f"{error.filename or prefix}: {error.strerror}") from None
    return private, public


def needs_passphrase(pem: bytes) -> bool:
    """Whether a private key's file can only be read with a passphrase."""
    return b"ENCRYPTED" in pem


def read_public_key(path: Path) -> PublicKey:
    """Read a public key's file (SubjectPublicKeyInfo in PEM).

    Raises:
        NotFoundError, ConfigError, UnsupportedError: as ``parse_public``.
    """
    return parse_public_key(read_key_file(path), str(path))


def read_key_file(path: Path) -> bytes:
    """The bytes of a key's file.

    Raises:
        NotFoundError: there is none.
        ConfigError: unreadable, or too large for a key.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_KEY_FILE + 1)
    except FileNotFoundError:
        raise NotFoundError(f"{path}: there is no such key file") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    if len(raw) > MAX_KEY_FILE:
        raise ConfigError(f"{path}: larger than {MAX_KEY_FILE:,} bytes, so it is no key")
    return raw


def parse_private_key(pem: bytes, passphrase: bytes | None, subject: str) -> PrivateKey:
    """Read a private key: cosign's encrypted PEM, PKCS #8 (clear or encrypted), or EC PEM.

    Raises:
        UsageError: the passphrase is missing or wrong.
        ConfigError: not a private key.
        UnsupportedError: a key of a kind that does not sign here.
    """
    if b"-----BEGIN PUBLIC KEY-----" in pem:
        raise ConfigError(f"{subject}: a public key, but signing takes the private one")
    if needs_passphrase(pem) and passphrase is None:
        raise UsageError(
            f"{subject}: this key is encrypted and needs its passphrase",
            hint="run on a terminal, or give --passphrase-file FILE",
        )
    secret = passphrase if needs_passphrase(pem) else None
    try:
        if encrypted_key.is_encrypted(pem):
            der = encrypted_key.decrypt(pem, secret or b"", subject)
            loaded = serialization.load_der_private_key(der, None)
        else:
            loaded = serialization.load_pem_private_key(pem, secret)
    except (ValueError, TypeError):
        if secret is not None:
            raise UsageError(f"{subject}: wrong passphrase, or a damaged key") from None
        raise ConfigError(f"{subject}: not a private key in PEM") from None
    except MalformedError as error:
        raise ConfigError(error.message) from None
    except UnsupportedAlgorithm as error:
        raise UnsupportedError(f"{subject}: {error}") from None
    return _accepted_private(loaded, subject)


def parse_public_key(pem: bytes, subject: str) -> PublicKey:
    """Read a public key (SubjectPublicKeyInfo in PEM).

    Raises:
        ConfigError: not a public key.
        UnsupportedError: of a kind, curve or size that is not accepted.
    """
    if b"PRIVATE KEY-----" in pem:
        raise ConfigError(
            f"{subject}: a private key, but verifying takes the public one",
            hint="name the .pub file, and keep the private key off this machine",
        )
    try:
        loaded = serialization.load_pem_public_key(pem)
    except ValueError:
        raise ConfigError(f"{subject}: not a public key in PEM") from None
    except UnsupportedAlgorithm as error:
        raise UnsupportedError(f"{subject}: {error}") from None
    return _accepted_public(loaded, subject)


def _accepted_private(key: PrivateKeyTypes, what: str) -> PrivateKey:
    match key:
        case ec.EllipticCurvePrivateKey(curve=ec.SECP256R1()):
            return _private(key, "ecdsa-p256")
        case ed25519.Ed25519PrivateKey():
            return _private(key, "ed25519")
        case rsa.RSAPrivateKey():
            raise UnsupportedError(
                f"{what}: RSA keys verify only; signing takes ECDSA P-256 or Ed25519"
            )
        case _:
            raise UnsupportedError(f"{what}: {_name(key)} keys are not accepted")


def _accepted_public(key: PublicKeyTypes, what: str) -> PublicKey:
    match key:
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()):
            return _public(key, "ecdsa-p256")
        case ed25519.Ed25519PublicKey():
            return _public(key, "ed25519")
        case rsa.RSAPublicKey() if key.key_size >= MIN_RSA_BITS:
            return _public(key, "rsa")
        case rsa.RSAPublicKey():
            raise UnsupportedError(
                f"{what}: an RSA key of {key.key_size} bits; at least {MIN_RSA_BITS} are needed"
            )
        case _:
            raise UnsupportedError(f"{what}: {_name(key)} keys are not accepted")


def _name(key: PrivateKeyTypes | PublicKeyTypes) -> str:
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return f"ECDSA {key.curve.name}"
    return type(key).__name__.removesuffix("PrivateKey").removesuffix("PublicKey")


def _private(key: _SigningKey, kind: KeyFormat) -> PrivateKey:
    return PrivateKey(_public(key.public_key(), kind), key)


def _public(key: _VerifyingKey, algorithm: Algorithm) -> PublicKey:
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return PublicKey(hashlib.sha256(der).hexdigest(), algorithm, key)


def _write_new(path: Path, text: bytes, mode: int, made: list[Path]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, mode), "wb") as file:
        made.append(path)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _remove(paths: list[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
