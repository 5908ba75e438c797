"""A private key sealed with a passphrase, in the PEM that cosign and skopeo write and read.

The body of the PEM is JSON: scrypt's parameters and salt, the nonce, and the PKCS #8 key in a
NaCl secretbox (XSalsa20-Poly1305). The label says SIGSTORE (today) or COSIGN (once).

https://github.com/sigstore/cosign/blob/main/pkg/cosign/keys.go
https://github.com/theupdateframework/go-tuf/blob/v0.5.2/encrypted/encrypted.go
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import textwrap
from typing import Any

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from bundler.errors import ConfigError, LimitError, MalformedError, UnsupportedError
from bundler.oci.json import fields, strict

_LABEL = "ENCRYPTED SIGSTORE PRIVATE KEY"
_PEM = re.compile(
    rb"-----BEGIN ENCRYPTED (SIGSTORE|COSIGN) PRIVATE KEY-----\s"
    rb"([A-Za-z0-9+/=\s]+)"
    rb"-----END ENCRYPTED \1 PRIVATE KEY-----"
)

# What cosign writes; what is read may differ up to the limits, which cost at most 1 GiB and
# some seconds, since a file's author chooses them.
_N, _R, _P = 65536, 8, 1
_MAX_N, _MAX_R, _MAX_P = 2**20, 8, 4

_SALT_SIZE = 32
_NONCE_SIZE = 24
_KEY_SIZE = 32


def is_encrypted(pem: bytes) -> bool:
    """Whether ``pem`` holds a key of this form."""
    return _PEM.search(pem) is not None


def encrypt(der: bytes, passphrase: bytes) -> bytes:
    """Encrypt a PKCS #8 key in DER; the PEM."""
    from nacl.secret import SecretBox  # noqa: PLC0415 - only encrypted keys need PyNaCl

    salt, nonce = os.urandom(_SALT_SIZE), os.urandom(_NONCE_SIZE)
    box = SecretBox(_derive(passphrase, salt, n=_N, r=_R, p=_P))
    document = {
        "kdf": {"name": "scrypt", "params": {"N": _N, "r": _R, "p": _P}, "salt": _base64(salt)},
        "cipher": {"name": "nacl/secretbox", "nonce": _base64(nonce)},
        "ciphertext": _base64(box.encrypt(der, nonce).ciphertext),
    }
    body = textwrap.fill(_base64(strict.dumps(document)), 64)
    return f"-----BEGIN {_LABEL}-----\n{body}\n-----END {_LABEL}-----\n".encode()


def decrypt(pem: bytes, passphrase: bytes, subject: str) -> bytes:
    """The PKCS #8 key in DER; ``what`` names the file in messages.

    Raises:
        ValueError: the passphrase is wrong, or the sealed bytes are damaged.
        ConfigError: not the documented form.
        LimitError: it asks for more memory or time than a key may cost.
        UnsupportedError: another key derivation or cipher.
    """
    from nacl.exceptions import CryptoError  # noqa: PLC0415 - only encrypted keys need PyNaCl
    from nacl.secret import SecretBox  # noqa: PLC0415 - see above

    document = _document(pem, subject)
    kdf = fields.obj(document, "kdf", subject) or {}
    cipher = fields.obj(document, "cipher", subject) or {}
    if kdf.get("name") != "scrypt" or cipher.get("name") != "nacl/secretbox":
        raise UnsupportedError(f"{subject}: sealed otherwise than with scrypt and nacl/secretbox")
    params = fields.obj(kdf, "params", subject) or {}
    n, r, p = (fields.integer(params, name, subject) for name in ("N", "r", "p"))
    if n > _MAX_N or r > _MAX_R or p > _MAX_P:
        raise LimitError(
            f"{subject}: scrypt with N={n}, r={r}, p={p}; "
            f"at most N={_MAX_N}, r={_MAX_R}, p={_MAX_P} are allowed"
        )
    nonce = _bytes(cipher, "nonce", subject)
    if len(nonce) != _NONCE_SIZE:
        raise ConfigError(f"{subject}: its nonce has {len(nonce)} bytes instead of {_NONCE_SIZE}")
    key = _derive(passphrase, _bytes(kdf, "salt", subject), n=n, r=r, p=p)
    try:
        return SecretBox(key).decrypt(_bytes(document, "ciphertext", subject), nonce)
    except CryptoError:
        raise ValueError("the secretbox does not open") from None


def _document(pem: bytes, what: str) -> dict[str, Any]:
    match = _PEM.search(pem)
    if match is None:
        raise ConfigError(f"{what}: not an encrypted SIGSTORE or COSIGN private key")
    try:
        body = base64.b64decode(b"".join(match[2].split()), validate=True)
        return strict.load_object(body, subject=what)
    except (binascii.Error, MalformedError):
        raise ConfigError(f"{what}: the body of the PEM is not base64 of JSON") from None


def _derive(passphrase: bytes, salt: bytes, *, n: int, r: int, p: int) -> bytes:
    return Scrypt(salt=salt, length=_KEY_SIZE, n=n, r=r, p=p).derive(passphrase)


def _bytes(value: dict[str, Any], key: str, what: str) -> bytes:
    text = fields.text(value, key, what)
    try:
        return base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        raise ConfigError(f"{what}: {key} is not base64") from None


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
