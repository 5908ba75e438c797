"""Sign a schema 1 manifest: registries accept only signed ones.

The key is created for one signature and discarded, as in all programs that still write schema 1:
registries do not check who signed.

https://distribution.github.io/distribution/spec/manifest-v2-1/#signed-manifests
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import json
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from bundler.oci.json import base64_strict, timestamps

_COORDINATE = 32
_KEY_ID_BYTES = 30
_KEY_ID_GROUP = 4


def sign(payload: bytes) -> bytes:
    """Insert a signature into the JSON object ``payload``, which must end with its brace.

    The digest of the manifest remains the digest of ``payload``.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    protected = base64_strict.encode_url(
        _json(
            {
                "formatLength": len(payload) - 1,
                "formatTail": base64_strict.encode_url(payload[-1:]),
                "time": timestamps.format_utc(dt.datetime.now(dt.UTC)),
            }
        )
    )
    signed = f"{protected}.{base64_strict.encode_url(payload)}".encode()
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    signature = {
        "header": {"jwk": _public(key.public_key()), "alg": "ES256"},
        "signature": base64_strict.encode_url(_number(r) + _number(s)),
        "protected": protected,
    }
    return payload[:-1] + b',"signatures":' + _json([signature]) + payload[-1:]


def _public(key: ec.EllipticCurvePublicKey) -> dict[str, str]:
    """Encode the key as a JSON Web Key, with the key id of Docker's libtrust."""
    numbers = key.public_numbers()
    return {
        "crv": "P-256",
        "kid": _key_id(key),
        "kty": "EC",
        "x": base64_strict.encode_url(_number(numbers.x)),
        "y": base64_strict.encode_url(_number(numbers.y)),
    }


def _key_id(key: ec.EllipticCurvePublicKey) -> str:
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    text = base64.b32encode(hashlib.sha256(der).digest()[:_KEY_ID_BYTES]).decode()
    groups = (text[i : i + _KEY_ID_GROUP] for i in range(0, len(text), _KEY_ID_GROUP))
    return ":".join(groups)


def _number(value: int) -> bytes:
    return value.to_bytes(_COORDINATE, "big")


def _json(value: Any) -> bytes:  # noqa: ANN401 - what json.dumps takes
    return json.dumps(value, separators=(",", ":")).encode()
