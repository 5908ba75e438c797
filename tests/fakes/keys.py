"""Hostile key files: they demand a long key derivation, or contain very large numbers."""

from __future__ import annotations

import base64

PBKDF2, SCRYPT = "2a864886f70d01050c", "2b06010401da47040b"
PBE_SHA1_3DES, PBES1 = "2a864886f70d010c0103", "2a864886f70d010503"


def der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def integer(value: int) -> bytes:
    return der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def pkcs8_with_costs(scheme: str, *costs: int) -> bytes:
    """Create an encrypted PKCS #8 key that demands a key derivation."""
    salt = der(0x04, bytes(8))
    derivation = (der(0x06, bytes.fromhex(scheme)), der(0x30, salt, *map(integer, costs)))
    if scheme in (PBKDF2, SCRYPT):
        aes = der(0x06, bytes.fromhex("60864801650304012a"))
        cipher = der(0x30, aes, der(0x04, bytes(16)))
        pbes2 = der(0x06, bytes.fromhex("2a864886f70d01050d"))
        derivation = (pbes2, der(0x30, der(0x30, *derivation), cipher))
    key = der(0x30, der(0x30, *derivation), der(0x04, bytes(64)))
    return _to_pem("ENCRYPTED PRIVATE KEY", key)


def rsa_key(p: int, q: int) -> bytes:
    """Create a private RSA key with the factors ``p`` and ``q``."""
    e = 65537
    d = pow(e, -1, (p - 1) * (q - 1))
    numbers = (0, p * q, e, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))
    return _to_pem("RSA PRIVATE KEY", der(0x30, *map(integer, numbers)))


def _to_pem(label: str, data: bytes) -> bytes:
    body = base64.encodebytes(data).decode()
    return f"-----BEGIN {label}-----\n{body}-----END {label}-----\n".encode()
