"""Key pairs: generate, store, identify, sign and verify.

A signature is detached and raw: DER ECDSA (P-256) over the SHA-256 of the data, or 64 bytes of
Ed25519. RSA keys of 2048 bits or more (PKCS #1 v1.5, SHA-256) can only verify. Other keys are
refused.

A key ID is the SHA-256 of the DER SubjectPublicKeyInfo (RFC 5280, section 4.1). It identifies a key
and does not make it trusted.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from bundler.cancel import Cancellation
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

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

    from bundler.trust.private_keys.encrypted_key import Label

SigningAlgorithm = Literal["ecdsa-p256", "ed25519"]
Algorithm = Literal["ecdsa-p256", "ed25519", "rsa"]

MAX_KEY_FILE = 64 * 1024
MIN_RSA_BITS = 2048
_CREATE_KEY = "create a key of ECDSA P-256 or Ed25519: airbundle keygen PREFIX"

# The y coordinates of the points of small order on edwards25519 (RFC 8032, section 5.1): orders 1,
# 2, 4 and 8. The last two are not reduced modulo the prime.
_PRIME = 2**255 - 19
_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER = {1, _PRIME - 1, 0, _ORDER_8, _PRIME - _ORDER_8, _PRIME, _PRIME + 1}

_SigningKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_VerifyingKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key. Keys with equal IDs are equal."""

    id: str
    """The key ID: 64 lower-case hexadecimal digits."""
    algorithm: Algorithm
    _key: _VerifyingKey = field(repr=False, compare=False)

    @property
    def fingerprint(self) -> str:
        """The key ID in groups of four digits, for visual comparison."""
        return " ".join(self.id[start : start + 4] for start in range(0, len(self.id), 4))

    def verify(self, signature: bytes, data: bytes) -> None:
        """Verify a detached signature over ``data``.

        Raises:
            InvalidSignatureError: the signature does not verify with this key.
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
                f"the signature does not match key {self.id[:16]} ({self.algorithm})",
                key_id=self.id,
            ) from None

    def to_pem(self) -> bytes:
        """Return the SubjectPublicKeyInfo in PEM, which openssl and cosign read."""
        return self._key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A private key with its public key."""

    public: PublicKey
    _key: _SigningKey = field(repr=False, compare=False)

    def sign(self, data: bytes) -> bytes:
        """Return a detached signature over ``data``: DER (ECDSA) or 64 bytes (Ed25519)."""
        match self._key:
            case ec.EllipticCurvePrivateKey() as key:
                return key.sign(data, ec.ECDSA(hashes.SHA256()))
            case ed25519.Ed25519PrivateKey() as key:
                return key.sign(data)

    def to_pem(self, passphrase: bytes | None, label: Label = "SIGSTORE") -> bytes:
        """Return the key in PEM: in the format of cosign, or as PKCS #8 without a passphrase."""
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
        from bundler.trust.private_keys import encrypted_key  # noqa: PLC0415 - not for public keys

        return encrypted_key.encrypt(der, passphrase, label)


def generate_key(algorithm: SigningAlgorithm = "ecdsa-p256") -> PrivateKey:
    """Generate a private key."""
    match algorithm:
        case "ecdsa-p256":
            return _create_private_key(ec.generate_private_key(ec.SECP256R1()), algorithm)
        case "ed25519":
            return _create_private_key(ed25519.Ed25519PrivateKey.generate(), algorithm)


def write_key_pair(
    prefix: Path,
    key: PrivateKey,
    passphrase: bytes | None,
    *,
    suffix: str = ".key",
    label: Label = "SIGSTORE",
) -> tuple[Path, Path]:
    """Write ``prefix``.key (mode 0600) and ``prefix``.pub, durably; return both paths.

    Args:
        prefix: the beginning of both paths.
        key: the key.
        passphrase: the passphrase of the private key; None: it is not encrypted.
        suffix: the end of the path of the private key.
        label: the word in the PEM of an encrypted key.

    Raises:
        ConflictError: one of the files exists; nothing was changed.
        MediumError: the files cannot be written; none of them is left behind.
    """
    private = prefix.with_name(f"{prefix.name}{suffix}")
    public = prefix.with_name(f"{prefix.name}.pub")
    texts = {private: (key.to_pem(passphrase, label), 0o600), public: (key.public.to_pem(), 0o644)}
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    written: list[Path] = []
    try:
        for path, (text, mode) in texts.items():
            with os.fdopen(os.open(path, flags, mode), "wb") as file:
                written.append(path)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        sync_directory(prefix.parent)
    except OSError as error:
        for path in written:
            path.unlink(missing_ok=True)
        failed = str(error.filename or prefix)
        if isinstance(error, FileExistsError):
            raise ConflictError(
                f"{failed}: already exists, and keys are not overwritten",
                path=failed,
                hint="choose another prefix, or move the existing key",
            ) from None
        raise MediumError(f"{failed}: {error.strerror}", path=failed, os_error=error) from None
    return private, public


def needs_passphrase(pem: bytes) -> bool:
    """Return whether a private key in PEM is encrypted."""
    return b"ENCRYPTED" in pem


def read_public_key(path: Path) -> PublicKey:
    """Read a public key from a file (SubjectPublicKeyInfo in PEM).

    Raises:
        NotFoundError, ConfigError, UnsupportedError: as for ``read_key_file`` and
            ``parse_public_key``.
    """
    return parse_public_key(read_key_file(path), str(path))


def read_key_file(path: Path) -> bytes:
    """Return the content of a key file.

    Raises:
        NotFoundError: the file does not exist.
        ConfigError: the file cannot be read, or is too large for a key.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_KEY_FILE + 1)
    except FileNotFoundError:
        raise NotFoundError(f"{path}: no such key file", path=str(path)) from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", path=str(path), os_error=error) from None
    if len(raw) > MAX_KEY_FILE:
        problem = f"too large for a key (expected at most {MAX_KEY_FILE:,} bytes)"
        raise ConfigError(f"{path}: {problem}", path=str(path))
    return raw


def parse_private_key(
    pem: bytes, passphrase: bytes | None, subject: str, cancellation: Cancellation | None = None
) -> PrivateKey:
    """Parse a private key: cosign's encrypted PEM, PKCS #8 (encrypted or not), or EC PEM.

    Raises:
        UsageError, ConfigError, LimitError, CancelledError: as for ``load_private_key``.
        UnsupportedError: the algorithm is not supported for signing.
    """
    key = load_private_key(pem, passphrase, subject, cancellation)
    match key:
        case ec.EllipticCurvePrivateKey(curve=ec.SECP256R1()):
            return _create_private_key(key, "ecdsa-p256")
        case ed25519.Ed25519PrivateKey():
            return _create_private_key(key, "ed25519")
        case rsa.RSAPrivateKey():
            problem = f"{subject}: RSA keys cannot sign (expected ECDSA P-256 or Ed25519)"
            raise UnsupportedError(problem, path=subject, hint=_CREATE_KEY)
        case _:
            problem = f"{subject}: {describe_algorithm(key)} keys are not accepted"
            raise UnsupportedError(problem, path=subject, hint=_CREATE_KEY)


def load_private_key(
    pem: bytes, passphrase: bytes | None, subject: str, cancellation: Cancellation | None = None
) -> PrivateKeyTypes:
    """Load a private key of any algorithm, in the forms that ``parse_private_key`` accepts.

    Raises:
        UsageError: the passphrase is missing or wrong.
        ConfigError: ``pem`` is not a private key.
        LimitError: the key derivation would need too much memory or time.
        CancelledError: the run is cancelled.
        UnsupportedError: the algorithm is not known.
    """
    from bundler.trust.private_keys import encrypted_key  # noqa: PLC0415 - not for public keys
    from bundler.trust.private_keys.decrypt_key import decrypt_key, load_key  # noqa: PLC0415 - as above
    from bundler.trust.private_keys.derivation_cost import check_derivation_cost  # noqa: PLC0415 - as above

    if b"-----BEGIN PUBLIC KEY-----" in pem:
        raise ConfigError(
            f"{subject}: a public key (expected a private key)",
            path=subject,
            hint="specify the private key of this pair: a file named .key, or .private of cosign",
        )
    if needs_passphrase(pem) and passphrase is None:
        raise UsageError(
            f"{subject}: the key is encrypted, and no passphrase is specified",
            path=subject,
            hint="run the command on a terminal, or use --passphrase-file FILE",
        )
    secret = passphrase if needs_passphrase(pem) else None
    try:
        if secret is None:
            return load_key(pem)
        if encrypted_key.is_encrypted(pem):
            encrypted_key.parse(pem, subject)
        else:
            check_derivation_cost(pem, subject)
        der = decrypt_key(pem, secret, cancellation or Cancellation())
        return load_key(der)
    except (ValueError, TypeError):
        if secret is not None:
            raise UsageError(f"{subject}: wrong passphrase, or damaged key", path=subject) from None
        raise ConfigError(f"{subject}: not a private key in PEM", path=subject) from None
    except MalformedError as error:
        raise ConfigError(error.message, path=subject) from None
    except UnsupportedAlgorithm as error:
        raise UnsupportedError(f"{subject}: {error}", path=subject) from None


def parse_public_key(pem: bytes, subject: str) -> PublicKey:
    """Parse a public key (SubjectPublicKeyInfo in PEM).

    Raises:
        ConfigError: ``pem`` is not a public key.
        UnsupportedError: the algorithm, curve or size is not supported.
    """
    loaded = load_public_key(pem, subject)
    match loaded:
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1()):
            return _create_public_key(loaded, "ecdsa-p256")
        case ed25519.Ed25519PublicKey():
            return _create_public_key(loaded, "ed25519")
        case rsa.RSAPublicKey():
            return _create_public_key(loaded, "rsa")
        case _:
            problem = f"{subject}: {describe_algorithm(loaded)} keys are not accepted"
            raise UnsupportedError(problem, path=subject, hint=_CREATE_KEY)


def load_public_key(pem: bytes, subject: str) -> PublicKeyTypes:
    """Load a public key of any algorithm in PEM; refuse keys that make forging easy.

    Raises:
        ConfigError: ``pem`` is not a public key, or one for which anyone can forge signatures.
        UnsupportedError: the algorithm is not known, or an RSA key is too short.
    """
    if b"PRIVATE KEY-----" in pem:
        raise ConfigError(
            f"{subject}: a private key (expected a public key)",
            path=subject,
            hint="specify the .pub file, and do not keep the private key on this machine",
        )
    try:
        loaded = serialization.load_pem_public_key(pem)
    except ValueError:
        hint = "specify a .pub file in PEM, as airbundle keygen writes it"
        if pem.startswith((b"ssh-", b"ecdsa-", b"sk-")):
            hint = "convert this key of OpenSSH: ssh-keygen -e -m PKCS8 -f FILE"
        raise ConfigError(f"{subject}: not a public key in PEM", path=subject, hint=hint) from None
    except UnsupportedAlgorithm as error:
        raise UnsupportedError(f"{subject}: {error}", path=subject) from None
    check_strength(loaded, subject)
    return loaded


def check_strength(key: PublicKeyTypes, subject: str) -> None:
    """Check that a public key is not known to be weak.

    Raises:
        ConfigError: an Ed25519 key is a point of small order.
        UnsupportedError: an RSA key is too short.
    """
    if isinstance(key, ed25519.Ed25519PublicKey):
        # The order of such a point divides 8, in any encoding of the point.
        point = int.from_bytes(key.public_bytes_raw(), "little") % 2**255
        if point in _SMALL_ORDER:
            raise ConfigError(
                f"{subject}: Ed25519 point of small order, for which anyone can forge signatures",
                path=subject,
            )
    if isinstance(key, rsa.RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        raise UnsupportedError(
            f"{subject}: RSA key too short (expected at least {MIN_RSA_BITS} bits, "
            f"got {key.key_size})",
            path=subject,
        )


def describe_algorithm(key: PrivateKeyTypes | PublicKeyTypes) -> str:
    """Return the name of the algorithm of a key, for messages."""
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return f"ECDSA {key.curve.name}"
    return type(key).__name__.removesuffix("PrivateKey").removesuffix("PublicKey")


def _create_private_key(key: _SigningKey, algorithm: SigningAlgorithm) -> PrivateKey:
    return PrivateKey(_create_public_key(key.public_key(), algorithm), key)


def _create_public_key(key: _VerifyingKey, algorithm: Algorithm) -> PublicKey:
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return PublicKey(hashlib.sha256(der).hexdigest(), algorithm, key)
