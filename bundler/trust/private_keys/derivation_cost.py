"""Limits on the cost of decrypting a private key (PKCS #8).

The file itself determines the parameters of the key derivation. They are therefore read, and
refused if they exceed the limits, before the passphrase is used. At the limits, a derivation takes
several seconds, and scrypt needs 1 GiB.

https://www.rfc-editor.org/rfc/rfc5958#section-3, https://www.rfc-editor.org/rfc/rfc8018#appendix-A
https://www.rfc-editor.org/rfc/rfc7914#section-7
"""

from __future__ import annotations

import re
from base64 import b64decode

from bundler.errors import LimitError
from bundler.trust import der

MAX_SCRYPT = (2**20, 8, 4)
"""The maximum of the parameters N, r and p of scrypt."""
MAX_ITERATIONS = 10_000_000
"""The maximum number of iterations of PBKDF2."""
MAX_OLD_ITERATIONS = 1_000_000
"""The maximum number of iterations of the older schemes (PBES1, PKCS #12), which are slower."""

_PEM = re.compile(
    rb"-----BEGIN ENCRYPTED PRIVATE KEY-----([^-]*)-----END ENCRYPTED PRIVATE KEY-----"
)
_PBES2 = bytes.fromhex("2a864886f70d01050d")
_SCRYPT = bytes.fromhex("2b06010401da47040b")
_INTEGER, _OCTETS, _IDENTIFIER, _SEQUENCE = 0x02, 0x04, 0x06, 0x30


def check_derivation_cost(data: bytes, subject: str) -> None:
    """Check the cost of decrypting the private keys in ``data``, in PEM or DER.

    Raises:
        LimitError: the key derivation would need too much memory or time.
        ValueError: ``data`` is not PEM or DER, or its PEM has headers.
    """
    if b"-----BEGIN" not in data:
        _check_key(data, subject)
    found = _PEM.findall(data)
    if data.count(b"ENCRYPTED PRIVATE KEY-") != 2 * len(found):
        raise ValueError("a key derivation is not visible")
    for encoded in found:
        _check_key(b64decode(encoded), subject)


def _check_key(key: bytes, subject: str) -> None:
    parts = der.parse_values(der.parse_values(key)[0].content)
    if [part.tag for part in parts] != [_SEQUENCE, _OCTETS]:
        return  # not an encrypted key
    scheme, parameters = der.parse_values(parts[0].content)[:2]
    limit = MAX_OLD_ITERATIONS
    if scheme == (_IDENTIFIER, _PBES2):
        derivation = der.parse_values(parameters.content)[0]
        scheme, parameters = der.parse_values(derivation.content)[:2]
        limit = MAX_ITERATIONS
    costs = [
        int.from_bytes(value.content, "big")
        for value in der.parse_values(parameters.content)
        if value.tag == _INTEGER
    ]
    if scheme == (_IDENTIFIER, _SCRYPT):
        n, r, p = costs[:3]
        check_scrypt(n, r, p, subject)
    elif costs[0] > limit:
        raise LimitError(
            f"{subject}: too many iterations of the key derivation "
            f"(expected at most {limit}, got {_format(costs[0])})",
            path=subject,
        )


def check_scrypt(n: int, r: int, p: int, subject: str) -> None:
    """Check the parameters of scrypt.

    Raises:
        LimitError: the key derivation would need too much memory or time.
    """
    if any(cost > limit for cost, limit in zip((n, r, p), MAX_SCRYPT, strict=True)):
        expected = "N={}, r={}, p={}".format(*MAX_SCRYPT)
        got = f"N={_format(n)}, r={_format(r)}, p={_format(p)}"
        raise LimitError(
            f"{subject}: scrypt parameters too large (expected at most {expected}, got {got})",
            path=subject,
        )


def _format(cost: int) -> str:
    return str(cost) if cost < 10**18 else "more than 10^18"
