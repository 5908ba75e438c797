"""Keys of sigstore signatures: ECDSA, Ed25519 and RSA, as containers/image and cosign accept them.

A signature of an image is made over the SHA-256 of its payload, for all curves; RSA signatures use
PKCS #1 v1.5. Sigstore bundles of keys on the curves P-384 and P-521 use SHA-384 and SHA-512.

The bytes of a signature never identify it: anyone can derive a second valid ECDSA signature from a
first one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

from bundler.errors import SigstoreSignatureError, UnsupportedError
from bundler.trust import keys as key_files

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

    from bundler.cancel import Cancellation

VerifyingKey = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
_SigningKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_CURVE_HASHES: dict[str, hashes.HashAlgorithm] = {
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
_MAX_RAW_SIGNATURE = 132  # bytes: two coordinates of P-521


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key that verifies sigstore signatures. Keys with equal ``spki`` are equal."""

    spki: bytes = field(repr=False)
    """The SubjectPublicKeyInfo in DER."""
    _key: VerifyingKey = field(repr=False, compare=False)

    @property
    def id(self) -> str:
        """The key ID: the SHA-256 of ``spki``, 64 lower-case hexadecimal digits."""
        return hashlib.sha256(self.spki).hexdigest()

    @property
    def algorithm(self) -> Literal["ecdsa", "ed25519", "rsa"]:
        """The algorithm of the key."""
        match self._key:
            case ec.EllipticCurvePublicKey():
                return "ecdsa"
            case ed25519.Ed25519PublicKey():
                return "ed25519"
            case rsa.RSAPublicKey():
                return "rsa"

    def verify(
        self, signature: bytes, data: bytes, algorithm: hashes.HashAlgorithm | None = None
    ) -> None:
        """Verify a signature over the hash of ``data``, by default SHA-256.

        Raises:
            SigstoreSignatureError: the signature does not verify with this key.
        """
        try:
            match self._key:
                case ec.EllipticCurvePublicKey() as key:
                    scheme = ec.ECDSA(algorithm or hashes.SHA256())
                    key.verify(_convert_raw_signature(signature), data, scheme)
                case ed25519.Ed25519PublicKey() as key:
                    key.verify(signature, data)
                case rsa.RSAPublicKey() as key:
                    key.verify(signature, data, padding.PKCS1v15(), algorithm or hashes.SHA256())
        except InvalidSignature:
            raise SigstoreSignatureError(
                f"the signature does not match key {self.id[:16]}", problem="signature"
            ) from None

    def verify_in_bundle(self, signature: bytes, data: bytes) -> None:
        """Verify a signature of a sigstore bundle, whose hash depends on the curve.

        Old programs used SHA-256 for every curve.

        Raises:
            SigstoreSignatureError: the signature does not verify with this key.
        """
        if isinstance(self._key, ec.EllipticCurvePublicKey):
            algorithm = _CURVE_HASHES.get(self._key.curve.name)
            if algorithm is not None:
                try:
                    return self.verify(signature, data, algorithm)
                except SigstoreSignatureError:
                    pass
        return self.verify(signature, data)

    def to_pem(self) -> bytes:
        """Return the SubjectPublicKeyInfo in PEM."""
        return self._key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    @property
    def raw_ed25519(self) -> bytes | None:
        """The 32 bytes of an Ed25519 key; None for other keys."""
        return (
            self._key.public_bytes_raw()
            if isinstance(self._key, ed25519.Ed25519PublicKey)
            else None
        )


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key with its public key."""

    public: VerificationKey
    _key: _SigningKey = field(repr=False, compare=False)

    def sign(self, data: bytes, algorithm: hashes.HashAlgorithm | None = None) -> bytes:
        """Return a signature over the hash of ``data``, by default SHA-256."""
        match self._key:
            case ec.EllipticCurvePrivateKey() as key:
                return key.sign(data, ec.ECDSA(algorithm or hashes.SHA256()))
            case ed25519.Ed25519PrivateKey() as key:
                return key.sign(data)
            case rsa.RSAPrivateKey() as key:
                return key.sign(data, padding.PKCS1v15(), algorithm or hashes.SHA256())

    def sign_bundle(self, data: bytes) -> bytes:
        """Return a signature for a sigstore bundle, whose hash depends on the curve."""
        if isinstance(self._key, ec.EllipticCurvePrivateKey):
            return self.sign(data, _CURVE_HASHES.get(self._key.curve.name))
        return self.sign(data)


def generate_signing_key() -> SigningKey:
    """Generate a key on the curve P-256, which all programs support."""
    return accept_private_key(ec.generate_private_key(ec.SECP256R1()), "generated key")


def parse_public_key(pem: bytes, subject: str) -> VerificationKey:
    """Parse a public key in PEM; ``subject`` is its file, for messages.

    Raises:
        ConfigError: ``pem`` is not a public key, or one for which anyone can forge signatures.
        UnsupportedError: the algorithm, the curve or the size is not accepted.
    """
    return accept_public_key(key_files.load_public_key(pem, subject), subject)


def accept_public_key(key: PublicKeyTypes, subject: str) -> VerificationKey:
    """Return a loaded public key as a verification key.

    Raises:
        ConfigError, UnsupportedError: as for ``parse_public_key``.
    """
    key_files.check_strength(key, subject)
    has_unknown_curve = isinstance(key, ec.EllipticCurvePublicKey) and not isinstance(
        key.curve, _CURVES
    )
    if not isinstance(key, VerifyingKey) or has_unknown_curve:
        raise _create_algorithm_error(key, subject)
    spki = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return VerificationKey(spki, key)


def parse_private_key(
    pem: bytes, passphrase: bytes | None, subject: str, cancellation: Cancellation | None = None
) -> SigningKey:
    """Parse a private key, in cosign's encrypted PEM or in another PEM.

    Raises:
        UsageError: the passphrase is missing or wrong.
        ConfigError: ``pem`` is not a private key.
        LimitError: the key derivation would need too much memory or time.
        CancelledError: the run is cancelled.
        UnsupportedError: the algorithm, the curve or the size is not accepted.
    """
    loaded = key_files.load_private_key(pem, passphrase, subject, cancellation)
    return accept_private_key(loaded, subject)


def accept_private_key(key: PrivateKeyTypes, subject: str) -> SigningKey:
    """Return a loaded private key as a signing key.

    Raises:
        UnsupportedError: the algorithm, the curve or the size is not accepted.
    """
    if not isinstance(key, _SigningKey):
        raise _create_algorithm_error(key, subject)
    return SigningKey(accept_public_key(key.public_key(), subject), key)


def _create_algorithm_error(
    key: PrivateKeyTypes | PublicKeyTypes, subject: str
) -> UnsupportedError:
    algorithm = key_files.describe_algorithm(key)
    return UnsupportedError(f"{subject}: {algorithm} keys are not accepted", path=subject)


def _convert_raw_signature(signature: bytes) -> bytes:
    """Return an ECDSA signature in DER; Skopeo also accepts the numbers r and s side by side."""
    try:
        utils.decode_dss_signature(signature)
    except ValueError:
        size = len(signature)
        if 0 < size <= _MAX_RAW_SIGNATURE and size % 2 == 0:
            r, s = signature[: size // 2], signature[size // 2 :]
            return utils.encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    return signature
