"""Sign schema 1 manifests, because registries accept only signed ones.

The key is created for one signature and discarded, as in other programs that write schema 1:
registries do not check who owns the key.

https://distribution.github.io/distribution/spec/manifest-v2-1/#signed-manifests
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from bundler.gocompat import json_encoding
from bundler.oci.json import base64_strict, timestamps

_COORDINATE = 32
_KEY_ID_BYTES = 30
_KEY_ID_GROUP = 4


def sign(payload: bytes) -> bytes:
    """Return the manifest ``payload`` with a signature inserted before its last byte, a brace.

    The digest of the manifest remains the digest of ``payload``.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    protected = base64_strict.encode_url(
        json_encoding.dumps(
            {
                "formatLength": len(payload) - 1,
                "formatTail": base64_strict.encode_url(payload[-1:]),
                "time": timestamps.format_utc(dt.datetime.now(dt.UTC)),
            }
        )
    )
    signed = f"{protected}.{base64_strict.encode_url(payload)}".encode()
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    der = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    key_id = base64.b32encode(hashlib.sha256(der).digest()[:_KEY_ID_BYTES]).decode()
    groups = (key_id[i : i + _KEY_ID_GROUP] for i in range(0, len(key_id), _KEY_ID_GROUP))
    numbers = key.public_key().public_numbers()
    jwk = {
        "crv": "P-256",
        "kid": ":".join(groups),  # as in Docker's libtrust
        "kty": "EC",
        "x": _encode_numbers(numbers.x),
        "y": _encode_numbers(numbers.y),
    }
    signature = {
        "header": {"jwk": jwk, "alg": "ES256"},
        "signature": _encode_numbers(r, s),
        "protected": protected,
    }
    return payload[:-1] + b',"signatures":' + json_encoding.dumps([signature]) + payload[-1:]


def _encode_numbers(*values: int) -> str:
    return base64_strict.encode_url(b"".join(value.to_bytes(_COORDINATE) for value in values))
