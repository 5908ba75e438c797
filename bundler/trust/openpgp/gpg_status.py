"""The verdict on a signature from the status lines of gpg.

The exit status and the line VALIDSIG do not suffice: gpg prints VALIDSIG for a revoked subkey and
an expired key, ends with 0 for a message without signature, and prints the content of a message
with a bad signature.

https://github.com/gpg/gnupg/blob/gnupg-2.4.7/doc/DETAILS
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bundler.errors import InvalidSignatureError

if TYPE_CHECKING:
    from collections.abc import Sequence

_PREFIX = b"[GNUPG:] "
_FINGERPRINT = re.compile(r"[0-9A-F]{40}")
_VALIDSIG_FIELDS = 10
_BINARY_DOCUMENT = "00"  # the class of a signature of bytes (RFC 9580, section 5.2.1)

_ONCE = ("NEWSIG", "GOODSIG", "VALIDSIG", "PLAINTEXT")
_REASONS = {
    "BADSIG": "the signature does not match the content",
    "EXPSIG": "the signature has expired",
    "EXPKEYSIG": "the key of the signature has expired",
    "REVKEYSIG": "the key of the signature is revoked",
    "KEYREVOKED": "the key of the signature is revoked",
    "TRUST_NEVER": "the owner of the keyring marked the key as not trusted",
    "NO_PUBKEY": "the key of the signature is unknown",
    "ERRSIG": "the signature cannot be verified",
    "NODATA": "the message contains no signature",
    "UNEXPECTED": "the message is not a signed message",
    "ENC_TO": "the message is encrypted",
    "BEGIN_DECRYPTION": "the message is encrypted",
    "DECRYPTION_FAILED": "the message is encrypted",
    "BADARMOR": "the message is damaged",
    "ERROR": "gpg reports an error",
    "FAILURE": "gpg reports an error",
}
"""The lines that exclude a good signature, with the reason; the first of them is reported."""


@dataclass(frozen=True, slots=True)
class StatusLine:
    """A line that gpg wrote to its status pipe."""

    keyword: str
    arguments: tuple[str, ...]


def parse_status(raw: bytes) -> list[StatusLine]:
    """Parse the output of a status pipe; other lines are omitted."""
    lines = []
    for line in raw.split(b"\n"):
        if line.startswith(_PREFIX):
            words = line.removeprefix(_PREFIX).decode("utf-8", "replace").split(" ")
            lines.append(StatusLine(words[0], tuple(words[1:])))
    return lines


def split_by_file(lines: Sequence[StatusLine], number: int) -> list[list[StatusLine]]:
    """Return the lines about each of ``number`` files, in their order.

    Raises:
        InvalidSignatureError: there are lines about something else, or about fewer or more files.
    """
    parts: list[list[StatusLine]] = []
    is_open = False
    for line in lines:
        if is_open == (line.keyword == "FILE_START"):
            raise _reject("gpg reports something else than files", None)
        if line.keyword == "FILE_START":
            parts.append([])
        elif line.keyword != "FILE_DONE":
            parts[-1].append(line)
        is_open = line.keyword != "FILE_DONE"
    if is_open or len(parts) != number:
        raise _reject(f"gpg reports {len(parts)} messages (expected {number})", None)
    return parts


def find_signer(lines: Sequence[StatusLine], exit_status: int) -> tuple[str, str]:
    """Return the fingerprints of the signing key and its primary key, if the signature is good.

    Raises:
        InvalidSignatureError: the message does not have exactly one good signature.
    """
    counts = Counter(line.keyword for line in lines)
    key_id = find_key_id(lines)
    if counts["NEWSIG"] > 1:
        raise _reject(f"the message has {counts['NEWSIG']} signatures (expected 1)", key_id)
    for keyword, reason in _REASONS.items():
        if counts[keyword]:
            raise _reject(reason, key_id)
    if exit_status != 0 or any(counts[keyword] != 1 for keyword in _ONCE):
        raise _reject("the message does not consist of one content and one signature", key_id)
    good, valid = (
        next(line.arguments for line in lines if line.keyword == keyword)
        for keyword in ("GOODSIG", "VALIDSIG")
    )
    if len(valid) < _VALIDSIG_FIELDS or not good:
        raise _reject("gpg does not report the key", key_id)
    signing_key, signature_class, primary_key = valid[0], valid[8], valid[9]
    if signature_class != _BINARY_DOCUMENT:
        raise _reject(f"wrong class of signature (expected 00, got {signature_class[:2]})", key_id)
    if not (_FINGERPRINT.fullmatch(signing_key) and _FINGERPRINT.fullmatch(primary_key)):
        raise _reject("unsupported version of the key", key_id)
    if not signing_key.endswith(good[0][-16:]):
        raise _reject("gpg reports two keys", key_id)
    return signing_key, primary_key


def find_key_id(lines: Sequence[StatusLine]) -> str | None:
    """Return the ID of the signing key that the message states, unverified; None if none."""
    for line in lines:
        if line.keyword in ("ERRSIG", "BADSIG", "GOODSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG"):
            key_id = line.arguments[0] if line.arguments else ""
            return key_id if key_id.isalnum() and key_id.isascii() else None
    return None


def _reject(reason: str, key_id: str | None) -> InvalidSignatureError:
    by = f" (key {key_id})" if key_id else ""
    return InvalidSignatureError(f"Invalid GPG signature: {reason}{by}", key_id=key_id)
