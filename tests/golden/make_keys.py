"""Make the keys in ``keys/``: python -m tests.golden.make_keys.

They are committed because an encrypted private key has different bytes each time it is written.
They are public and sign only the bundles of these tests.
"""

from __future__ import annotations

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from bundler.trust import keys
from tests.golden.session import KEYS

PASSPHRASE = b"golden"


def main() -> None:
    """Write three key pairs; the third private key is encrypted."""
    KEYS.mkdir(exist_ok=True)
    _write("first", ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32))), None)
    _write("second", ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33))), None)
    _write("third", ec.derive_private_key(1234567890, ec.SECP256R1()), PASSPHRASE)
    (KEYS / "passphrase").write_bytes(PASSPHRASE + b"\n")


def _write(
    name: str,
    key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey,
    passphrase: bytes | None,
) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    keys.write_key_pair(KEYS / name, keys.parse_private_key(pem, None, name), passphrase)


if __name__ == "__main__":
    main()
