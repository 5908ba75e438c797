"""PEM blocks with any label, as Go reads them: other programs accept no more and no less.

https://www.rfc-editor.org/rfc/rfc7468
https://pkg.go.dev/encoding/pem#Decode
"""

from __future__ import annotations

import base64
import re

_BLOCK = re.compile(
    rb"^-----BEGIN ([^-\r\n]*)-----[ \t\r]*\n"
    rb"([A-Za-z0-9+/=\s]*?)"
    rb"^-----END \1-----[ \t\r]*(?:\n|\Z)",
    re.MULTILINE,
)


def split_blocks(pem: bytes) -> list[bytes]:
    """Return the content of all blocks; text before a block is skipped.

    Raises:
        ValueError: there is text after the last block, or a block is malformed.
    """
    found = []
    rest = pem.strip()
    while rest:
        block, rest = _decode_first(rest)
        found.append(block)
    return found


def decode_block(pem: bytes) -> bytes:
    """Return the content of a single block.

    Raises:
        ValueError: there is anything else.
    """
    block, rest = _decode_first(pem)
    if rest:
        raise ValueError("bytes after the PEM block")
    return block


def _decode_first(pem: bytes) -> tuple[bytes, bytes]:
    match = _BLOCK.search(pem)
    if match is None:
        raise ValueError("not a PEM block")
    content = base64.b64decode(b"".join(match[2].split()), validate=True)
    return content, pem[match.end() :]
