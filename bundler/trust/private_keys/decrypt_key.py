"""Load private keys, and decrypt them in a child process, which is killed if the run is cancelled.

A key derivation takes seconds in one call of C code, during which no Python thread may run. The
child reads the size of the passphrase, the passphrase and the key on standard input, and writes the
decrypted key (PKCS #8 in DER).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from bundler.content.run_program import run_program
from bundler.trust.private_keys import encrypted_key

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

    from bundler.cancel import Cancellation

MAX_RSA_BITS = 16384
"""The largest RSA keys that OpenSSL uses."""

_MAX_KEY = 1024 * 1024
_SIZE = 4  # bytes of the size of the passphrase
_STATUSES: dict[int, type[Exception]] = {10: ValueError, 11: TypeError, 12: UnsupportedAlgorithm}


def load_key(data: bytes, passphrase: bytes | None = None) -> PrivateKeyTypes:
    """Load a private key in PEM or DER, and check it.

    The factors of an RSA key are checked to be prime, which takes hours if they are very large.

    Raises:
        ValueError: the passphrase is wrong, or the key is damaged.
        TypeError: the key is encrypted and there is no passphrase, or the reverse.
        UnsupportedAlgorithm: the algorithm is not supported, or an RSA key is too large.
    """
    load = load_pem_private_key if b"-----BEGIN" in data else load_der_private_key
    key = load(data, passphrase, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, rsa.RSAPrivateKey):
        return key
    if key.key_size > MAX_RSA_BITS:
        raise UnsupportedAlgorithm(
            f"RSA key too large (expected at most {MAX_RSA_BITS:,} bits, got {key.key_size:,})"
        )
    return key.private_numbers().private_key()


def decrypt_key(data: bytes, passphrase: bytes, cancellation: Cancellation) -> bytes:
    """Decrypt a private key in PEM or DER; return it as PKCS #8 in DER.

    The caller has checked the cost of the key derivation.

    Raises:
        ValueError: the passphrase is wrong, or the key is damaged.
        TypeError: the key is not encrypted.
        UnsupportedAlgorithm: the algorithm is not supported.
        CancelledError: the run is cancelled.
    """
    result = run_program(
        [sys.executable, "-P", "-m", __name__],
        len(passphrase).to_bytes(_SIZE, "big") + passphrase + data,
        cancellation,
        max_output=_MAX_KEY,
    )
    if result.status != 0:
        raise _STATUSES.get(result.status, ValueError)("the key cannot be decrypted")
    return result.output


def main() -> None:
    """Decrypt the key on standard input."""
    size = int.from_bytes(sys.stdin.buffer.read(_SIZE), "big")
    passphrase, data = sys.stdin.buffer.read(size), sys.stdin.buffer.read()
    try:
        if encrypted_key.is_encrypted(data):
            key = load_key(encrypted_key.decrypt(data, passphrase, ""))
        else:
            key = load_key(data, passphrase)
        der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    except tuple(_STATUSES.values()) as error:
        sys.exit(next(number for number, kind in _STATUSES.items() if isinstance(error, kind)))
    sys.stdout.buffer.write(der)


if __name__ == "__main__":
    main()
