"""Algorithms of Notation signatures: the key of the signer determines the only permitted one.

https://github.com/notaryproject/specifications/blob/main/specs/signature-specification.md#algorithm-selection
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from bundler.errors import InvalidSignatureError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes

    from bundler.trust.notation.envelope import NotationEnvelope

_RSA_ALGORITHMS = {2048: "PS256", 3072: "PS384", 4096: "PS512"}
_CURVE_ALGORITHMS = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}


def find_algorithm(key: CertificatePublicKeyTypes) -> str | None:
    """Return the algorithm of a key, as JWS names it; None if the key is not accepted."""
    match key:
        case rsa.RSAPublicKey():
            return _RSA_ALGORITHMS.get(key.key_size)
        case ec.EllipticCurvePublicKey():
            return _CURVE_ALGORITHMS.get(key.curve.name)
        case _:
            return None


def verify_envelope(envelope: NotationEnvelope, key: CertificatePublicKeyTypes) -> None:
    """Verify the signature of an envelope by the key of its signer.

    Raises:
        InvalidSignatureError: the algorithm is not that of the key, or the signature is not by it.
    """
    algorithm = find_algorithm(key)
    if algorithm is None or envelope.algorithm != algorithm:
        raise InvalidSignatureError(
            f"Notation signature: the algorithm {envelope.algorithm[:40]!r} is not permitted for"
            f" the key of the certificate (expected {algorithm or 'another key'})",
            problem="signature",
            value=envelope.algorithm[:40],
        )
    algorithm_hash = _HASHES[algorithm[2:]]
    try:
        if isinstance(key, rsa.RSAPublicKey):
            salted = padding.PSS(padding.MGF1(algorithm_hash), padding.PSS.DIGEST_LENGTH)
            return key.verify(envelope.signature, envelope.signed, salted, algorithm_hash)
        if isinstance(key, ec.EllipticCurvePublicKey):
            # The numbers r and s have the same size (RFC 7518, section 3.4).
            raw, size = envelope.signature, (key.key_size + 7) // 8
            if len(raw) == 2 * size:
                r, s = int.from_bytes(raw[:size], "big"), int.from_bytes(raw[size:], "big")
                encoded = utils.encode_dss_signature(r, s)
                return key.verify(encoded, envelope.signed, ec.ECDSA(algorithm_hash))
    except InvalidSignature:
        pass
    raise InvalidSignatureError("Notation signature: it does not match the certificate")
