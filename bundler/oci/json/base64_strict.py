"""Strict base64: a character outside the alphabet is an error.

https://www.rfc-editor.org/rfc/rfc4648.html
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

from bundler.errors import BundlerError, MalformedError

if TYPE_CHECKING:
    from collections.abc import Callable

_URL_ALPHABET = re.compile(r"[A-Za-z0-9_-]*={0,2}")


def encode(data: bytes | bytearray) -> str:
    """Encode in base64 with padding (RFC 4648, section 4)."""
    return base64.b64encode(data).decode("ascii")


def encode_url(data: bytes) -> str:
    """Encode in base64url, without padding (RFC 4648, section 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def decode(
    text: str | bytes, subject: str, *, error: Callable[[str], BundlerError] = MalformedError
) -> bytes:
    """Decode base64 with padding (RFC 4648, section 4).

    Raises:
        error: the text is not base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise error(f"{subject}: not base64") from None


def decode_url(
    text: str, subject: str, *, error: Callable[[str], BundlerError] = MalformedError
) -> bytes:
    """Decode base64url, with or without padding (RFC 4648, section 5).

    Raises:
        error: the text is not base64url.
    """
    stripped = text.rstrip("=")
    try:
        if _URL_ALPHABET.fullmatch(text):
            return base64.urlsafe_b64decode(stripped + "=" * (-len(stripped) % 4))
    except ValueError:
        pass
    raise error(f"{subject}: not base64url")
