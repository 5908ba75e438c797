"""A secret for public keys, as JSON Web Encryption.

https://www.rfc-editor.org/rfc/rfc7516#section-7.2, https://www.rfc-editor.org/rfc/rfc7518
"""

from __future__ import annotations

import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash

from bundler.errors import LimitError, MalformedError, UnsupportedError
from bundler.oci.json import fields, strict

if TYPE_CHECKING:
    from collections.abc import Sequence

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_MAX_RECIPIENTS = 64
_OAEP: dict[str, hashes.HashAlgorithm] = {
    "RSA-OAEP": hashes.SHA1(),  # noqa: S303 - as the protocol has it; OAEP needs no collisions
    "RSA-OAEP-256": hashes.SHA256(),
}
_WRAPPED_BITS = {"ECDH-ES+A128KW": 128, "ECDH-ES+A192KW": 192, "ECDH-ES+A256KW": 256}
_CONTENT_BITS = {"A128GCM": 128, "A192GCM": 192, "A256GCM": 256}
_CURVES: dict[str, ec.EllipticCurve] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}


def wrap(secret: bytes, keys: Sequence[PublicKey]) -> bytes:
    """``secret`` for whoever has one of the private keys.

    Raises:
        UnsupportedError: a key on an unknown curve.
    """
    content_key, nonce = os.urandom(32), os.urandom(12)
    protected = _text(b'{"enc":"A256GCM"}')
    recipients = []
    for key in keys:
        header, wrapped = _wrap_key(content_key, key)
        recipients.append({"header": header, "encrypted_key": _text(wrapped)})
    sealed = AESGCM(content_key).encrypt(nonce, secret, protected.encode())
    whole: dict[str, Any] = {
        "protected": protected,
        "iv": _text(nonce),
        "ciphertext": _text(sealed[:-16]),
        "tag": _text(sealed[-16:]),
    }
    whole |= recipients[0] if len(recipients) == 1 else {"recipients": recipients}
    return json.dumps(whole, separators=(",", ":")).encode()


def unwrap(packet: bytes, keys: Sequence[PrivateKey], what: str) -> bytes | None:
    """The secret in ``packet``, or None where none of ``keys`` opens it.

    Raises:
        MalformedError: not JSON Web Encryption.
    """
    what = f"{what}: its secret (jwe)"
    whole = strict.load_object(packet, subject=what)
    protected = fields.text(whole, "protected", what) or ""
    common = (fields.obj(whole, "unprotected", what) or {}) | (
        strict.load_object(_data(protected, what), subject=what) if protected else {}
    )
    recipients = fields.objects(whole, "recipients", what) or [whole]
    if len(recipients) > _MAX_RECIPIENTS:
        raise LimitError(f"{what}: more than {_MAX_RECIPIENTS} recipients")
    nonce = _member(whole, "iv", what)
    sealed = _member(whole, "ciphertext", what) + _member(whole, "tag", what)
    authenticated = protected
    if (aad := fields.text(whole, "aad", what)) is not None:
        authenticated = f"{protected}.{aad}"
    for recipient in recipients:
        header = common | (fields.obj(recipient, "header", what) or {})
        bits = _CONTENT_BITS.get(str(header.get("enc")))
        if bits is None or "zip" in header or "crit" in header:
            raise UnsupportedError(f"{what} is encrypted by {str(header.get('enc'))[:40]!r}")
        wrapped = _member(recipient, "encrypted_key", what)
        for key in keys:
            try:
                content_key = _unwrap_key(wrapped, header, key, what)
                if content_key is not None and len(content_key) * 8 == bits:
                    return AESGCM(content_key).decrypt(nonce, sealed, authenticated.encode())
            except (ValueError, InvalidTag, keywrap.InvalidUnwrap):
                continue  # not for this key
    return None


def _wrap_key(content_key: bytes, key: PublicKey) -> tuple[dict[str, Any], bytes]:
    if isinstance(key, rsa.RSAPublicKey):
        return {"alg": "RSA-OAEP"}, key.encrypt(content_key, _oaep("RSA-OAEP"))
    name = next((name for name, curve in _CURVES.items() if curve.name == key.curve.name), None)
    if name is None:
        raise UnsupportedError(f"keys on the curve {key.curve.name} are not supported")
    once = ec.generate_private_key(key.curve)
    numbers, size = once.public_key().public_numbers(), (key.curve.key_size + 7) // 8
    algorithm = "ECDH-ES+A256KW"
    header = {
        "alg": algorithm,
        "epk": {
            "kty": "EC",
            "crv": name,
            "x": _text(numbers.x.to_bytes(size, "big")),
            "y": _text(numbers.y.to_bytes(size, "big")),
        },
    }
    agreed = _derive(once.exchange(ec.ECDH(), key), algorithm, b"", b"")
    return header, keywrap.aes_key_wrap(agreed, content_key)


def _unwrap_key(wrapped: bytes, header: dict[str, Any], key: PrivateKey, what: str) -> bytes | None:
    algorithm = str(header.get("alg"))
    if isinstance(key, rsa.RSAPrivateKey):
        return key.decrypt(wrapped, _oaep(algorithm)) if algorithm in _OAEP else None
    if algorithm not in _WRAPPED_BITS:
        return None
    point = fields.obj(header, "epk", what) or {}
    curve = _CURVES.get(str(point.get("crv")))
    if curve is None or curve.name != key.curve.name:
        return None
    x, y = (int.from_bytes(_member(point, name, what), "big") for name in "xy")
    other = ec.EllipticCurvePublicNumbers(x, y, curve).public_key()  # checks that it is on it
    parties = [_data(fields.text(header, name, what) or "", what) for name in ("apu", "apv")]
    agreed = _derive(key.exchange(ec.ECDH(), other), algorithm, *parties)
    return keywrap.aes_key_unwrap(agreed, wrapped)


def _derive(shared: bytes, algorithm: str, producer: bytes, consumer: bytes) -> bytes:
    """RFC 7518, section 4.6.2."""
    bits = _WRAPPED_BITS[algorithm]
    parts = (algorithm.encode(), producer, consumer)
    told = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    info = told + bits.to_bytes(4, "big")
    return ConcatKDFHash(hashes.SHA256(), bits // 8, info).derive(shared)


def _oaep(algorithm: str) -> padding.OAEP:
    digest = _OAEP[algorithm]
    return padding.OAEP(padding.MGF1(digest), digest, None)


def _member(value: dict[str, Any], name: str, what: str) -> bytes:
    text = fields.text(value, name, what)
    if text is None:
        raise MalformedError(f"{what} lacks {name}")
    return _data(text, what)


def _data(text: str, what: str) -> bytes:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (NotBase64, ValueError):
        raise MalformedError(f"{what} is not base64") from None


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
