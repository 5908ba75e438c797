"""Private keys encrypted with a passphrase, in the PEM format of cosign and Skopeo.

The PEM contains JSON: the parameters and the salt of scrypt, the nonce, and the PKCS #8 key in a
NaCl secretbox (XSalsa20-Poly1305). Its label contains SIGSTORE, or COSIGN in files of old versions
of cosign.

https://github.com/sigstore/cosign/blob/main/pkg/cosign/keys.go
https://github.com/theupdateframework/go-tuf/blob/v0.5.2/encrypted/encrypted.go
"""

from __future__ import annotations

import os
import re
import textwrap
from typing import Literal, NamedTuple

from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from bundler.errors import ConfigError, UnsupportedError
from bundler.oci.json import strict
from bundler.oci.json.base64_strict import decode, encode
from bundler.oci.json.table import Table
from bundler.trust.private_keys.derivation_cost import check_scrypt

Label = Literal["SIGSTORE", "COSIGN"]
"""The word in the label of the PEM; programs before 2023 accept only ``COSIGN``."""

_PEM = re.compile(
    rb"-----BEGIN ENCRYPTED (SIGSTORE|COSIGN) PRIVATE KEY-----\s"
    rb"([A-Za-z0-9+/=\s]+)"
    rb"-----END ENCRYPTED \1 PRIVATE KEY-----"
)

# The scrypt parameters that cosign writes.
_N, _R, _P = 65536, 8, 1

_SALT_SIZE = 32
_NONCE_SIZE = 24
_KEY_SIZE = 32


def is_encrypted(pem: bytes) -> bool:
    """Return whether ``pem`` contains a key in this format."""
    return _PEM.search(pem) is not None


def encrypt(der: bytes, passphrase: bytes, label: Label = "SIGSTORE") -> bytes:
    """Encrypt a PKCS #8 key in DER; return the PEM."""
    from nacl.secret import SecretBox  # noqa: PLC0415 - only encrypted keys need PyNaCl

    salt, nonce = os.urandom(_SALT_SIZE), os.urandom(_NONCE_SIZE)
    box = SecretBox(_derive(passphrase, salt, n=_N, r=_R, p=_P))
    document = {
        "kdf": {"name": "scrypt", "params": {"N": _N, "r": _R, "p": _P}, "salt": encode(salt)},
        "cipher": {"name": "nacl/secretbox", "nonce": encode(nonce)},
        "ciphertext": encode(box.encrypt(der, nonce).ciphertext),
    }
    body = textwrap.fill(encode(strict.dumps(document)), 64)
    name = f"ENCRYPTED {label} PRIVATE KEY"
    return f"-----BEGIN {name}-----\n{body}\n-----END {name}-----\n".encode()


def decrypt(pem: bytes, passphrase: bytes, subject: str) -> bytes:
    """Decrypt a key; return the PKCS #8 key in DER. ``subject`` is the file, for messages.

    Raises:
        ValueError: the passphrase is wrong, or the ciphertext is damaged.
        ConfigError, MalformedError, LimitError, UnsupportedError: as for ``parse``.
    """
    from nacl.exceptions import CryptoError  # noqa: PLC0415 - only encrypted keys need PyNaCl
    from nacl.secret import SecretBox  # noqa: PLC0415 - see above

    parsed = parse(pem, subject)
    n, r, p = parsed.cost
    key = _derive(passphrase, parsed.salt, n=n, r=r, p=p)
    try:
        return SecretBox(key).decrypt(parsed.ciphertext, parsed.nonce)
    except CryptoError:
        raise ValueError("wrong passphrase or damaged secretbox") from None


class EncryptedKey(NamedTuple):
    """The content of a file in this format."""

    cost: tuple[int, int, int]
    """The parameters N, r and p of scrypt."""
    salt: bytes
    nonce: bytes
    ciphertext: bytes


def parse(pem: bytes, subject: str) -> EncryptedKey:
    """Parse and check a key without decrypting it. ``subject`` is the file, for messages.

    Raises:
        ConfigError: ``pem`` is not in this format.
        MalformedError: the document is not JSON in base64, or a member is invalid.
        LimitError: the key derivation would need too much memory or time.
        UnsupportedError: the key derivation or the cipher is not supported.
    """
    match = _PEM.search(pem)
    if match is None:
        raise ConfigError(f"{subject}: not an encrypted SIGSTORE or COSIGN private key")
    document = Table.parse(decode(b"".join(match[2].split()), subject), subject)
    kdf, cipher = document.table("kdf"), document.table("cipher")
    names = (kdf.optional_text("name"), cipher.optional_text("name"))
    if names != ("scrypt", "nacl/secretbox"):
        raise UnsupportedError(
            f"{subject}: unsupported encryption (expected scrypt and nacl/secretbox)"
        )
    params = kdf.table("params")
    n, r, p = (params.integer(name) for name in ("N", "r", "p"))
    check_scrypt(n, r, p, subject)
    nonce = cipher.base64("nonce")
    if len(nonce) != _NONCE_SIZE:
        raise ConfigError(
            f"{subject}: wrong nonce size (expected {_NONCE_SIZE} bytes, got {len(nonce)})"
        )
    return EncryptedKey((n, r, p), kdf.base64("salt"), nonce, document.base64("ciphertext"))


def _derive(passphrase: bytes, salt: bytes, *, n: int, r: int, p: int) -> bytes:
    return Scrypt(salt=salt, length=_KEY_SIZE, n=n, r=r, p=p).derive(passphrase)
