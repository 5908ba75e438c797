"""The digest under which registries know a manifest.

For one of Docker's schema 1 that is signed it is the digest of what was signed. The signatures
say how long that is, and how it ended before they were put in.

https://github.com/distribution/distribution/blob/v2.8.3/docs/spec/manifest-v2-1.md
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from bundler.errors import BundlerError, MalformedError
from bundler.oci import media_types
from bundler.oci.digest import Digest
from bundler.oci.json import fields, strict

_KNOWN = media_types.IMAGE_MANIFESTS | media_types.INDEXES
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*={0,2}")
_MAX_SIGNATURES = 100


def manifest_digest(raw: bytes, *, subject: str) -> Digest:
    """The sha256 digest of the manifest ``raw``; any other content counts as it is.

    Raises:
        LimitError: larger or deeper than a manifest may be.
        MalformedError: signatures of schema 1 that cannot be taken out.
    """
    try:
        value = strict.load_object(raw, subject=subject)
    except MalformedError:
        if b"signatures" in raw:  # other parsers may find some where ours refuses to look
            raise
        return Digest.of(raw)
    signed = value.get("schemaVersion") == 1 and value.get("signatures") is not None
    if not signed or value.get("mediaType") in _KNOWN:
        return Digest.of(raw)
    return Digest.of(_payload(raw, fields.objects(value, "signatures", subject), subject))


def has_digest(raw: bytes, digest: Digest) -> bool:
    """Whether ``digest`` is that of ``raw``, or the one under which registries know it."""
    if digest.matches(raw):
        return True
    try:
        return manifest_digest(raw, subject="manifest") == digest
    except BundlerError:
        return False


def _payload(raw: bytes, signatures: list[dict[str, Any]], subject: str) -> bytes:
    """What the signatures sign; they have to agree."""
    if not 0 < len(signatures) <= _MAX_SIGNATURES:
        raise MalformedError(f"{subject}: {len(signatures)} signatures of schema 1")
    formats = {_format(signature, subject) for signature in signatures}
    if len(formats) > 1:
        raise MalformedError(f"{subject}: its signatures do not agree on what is signed")
    length, tail = formats.pop()
    if length > len(raw):
        raise MalformedError(
            f"{subject}: its signatures sign {length:,} bytes, it has {len(raw):,}"
        )
    return raw[:length] + tail


def _format(signature: dict[str, Any], subject: str) -> tuple[int, bytes]:
    """How much of the document is signed, and what follows that in place of the signatures."""
    protected = _decoded(fields.text(signature, "protected", subject) or "", subject)
    value = strict.load_object(protected, subject=f"{subject}: protected header of a signature")
    length = fields.integer(value, "formatLength", subject)
    return length, _decoded(fields.text(value, "formatTail", subject) or "", subject)


def _decoded(text: str, subject: str) -> bytes:
    if _BASE64URL.fullmatch(text) is None:
        raise MalformedError(f"{subject}: a signature that is not in base64url")
    stripped = text.rstrip("=")
    try:
        return base64.urlsafe_b64decode(stripped + "=" * (-len(stripped) % 4))
    except binascii.Error:
        raise MalformedError(f"{subject}: a signature that is not in base64url") from None
