"""JSON Web Encryption: wrap a secret for public keys, and unwrap it with a private key.

The cryptography is that of the library jwcrypto. This module selects the algorithms, limits the
size of the input and translates errors.

https://www.rfc-editor.org/rfc/rfc7516#section-7.2
https://www.rfc-editor.org/rfc/rfc7518
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwcrypto.common import JWException
from jwcrypto.jwe import JWE
from jwcrypto.jwk import JWK

from bundler.errors import MalformedError, UnsupportedError
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_MAX_RECIPIENTS = 64
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_CONTENT_ALGORITHMS = ("A128GCM", "A192GCM", "A256GCM")
_ALGORITHMS = [
    "RSA-OAEP",
    "RSA-OAEP-256",
    "ECDH-ES+A128KW",
    "ECDH-ES+A192KW",
    "ECDH-ES+A256KW",
    *_CONTENT_ALGORITHMS,
]


def wrap(secret: bytes, keys: Sequence[PublicKey]) -> bytes:
    """Encrypt ``secret`` for each of ``keys``.

    Raises:
        UnsupportedError: the curve of a key is not P-256, P-384 or P-521.
    """
    message = JWE(secret, protected='{"enc":"A256GCM"}', algs=_ALGORITHMS)
    for key in keys:
        algorithm = "RSA-OAEP" if isinstance(key, rsa.RSAPublicKey) else "ECDH-ES+A256KW"
        message.add_recipient(_to_jwk(key), json.dumps({"alg": algorithm}))
    return message.serialize().encode()


def unwrap(packet: bytes, keys: Sequence[PrivateKey], subject: str) -> bytes | None:
    """Decrypt ``packet`` with the first suitable key. None if no key is suitable.

    Raises:
        LimitError: the packet is too large or has too many recipients.
        MalformedError: the packet is not JSON Web Encryption.
        UnsupportedError: the content is not encrypted with AES-GCM.
    """
    subject = f"{subject}: wrapped key (jwe)"
    Table.parse(packet, subject).tables("recipients", limit=_MAX_RECIPIENTS)
    message = JWE(algs=_ALGORITHMS)
    try:
        message.deserialize(packet.decode())
        headers: Any = message.jose_header  # a mapping, or a list of mappings
    except (JWException, ValueError, TypeError, AttributeError, RecursionError):
        raise MalformedError(f"{subject}: not JSON Web Encryption") from None
    for header in headers if isinstance(headers, list) else [headers]:
        algorithm = header.get("enc")
        if algorithm not in _CONTENT_ALGORITHMS:
            raise UnsupportedError(f"{subject}: unsupported encryption {str(algorithm)[:40]!r}")
    for key in keys:
        try:
            message.decrypt(_to_jwk(key))
        except (JWException, UnsupportedError):
            continue
        return message.payload
    return None


def _to_jwk(key: PublicKey | PrivateKey) -> JWK:
    if isinstance(key, ec.EllipticCurvePublicKey | ec.EllipticCurvePrivateKey) and not isinstance(
        key.curve, _CURVES
    ):
        raise UnsupportedError(f"keys on the curve {key.curve.name} are not supported")
    return JWK.from_pyca(key)
