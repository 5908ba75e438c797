"""The digest by which registries identify a manifest.

For a signed manifest of Docker's schema 1 it is the digest of the signed content. The signatures
record how many bytes of the document are signed and what followed these bytes before the
signatures were inserted.

https://github.com/distribution/distribution/blob/v2.8.3/docs/spec/manifest-v2-1.md
"""

from __future__ import annotations

from bundler.errors import BundlerError, MalformedError
from bundler.oci import media_types
from bundler.oci.digest import Digest
from bundler.oci.json.table import Table

_SCHEMA2_OR_OCI = media_types.IMAGE_MANIFESTS | media_types.INDEXES
_MAX_SIGNATURES = 100


def manifest_digest(raw: bytes, *, subject: str) -> Digest:
    """Return the sha256 digest of a manifest; other content is hashed as it is.

    Raises:
        LimitError: larger or deeper than a manifest may be.
        MalformedError: the signatures of a schema 1 manifest cannot be removed.
    """
    try:
        table = Table.parse(raw, subject)
    except MalformedError:
        if b"signatures" in raw:  # a lenient parser might find signatures in it
            raise
        return Digest.of(raw)
    signed = table.value.get("schemaVersion") == 1 and "signatures" in table
    if not signed or table.value.get("mediaType") in _SCHEMA2_OR_OCI:
        return Digest.of(raw)
    signatures = table.tables("signatures")
    if not 0 < len(signatures) <= _MAX_SIGNATURES:
        raise table.problem(
            f"{len(signatures)} signatures (expected 1 to {_MAX_SIGNATURES} in schema 1)"
        )
    formats = set(map(_read_format, signatures))
    if len(formats) > 1:
        raise table.problem("the signatures do not agree on the signed content")
    length, tail = formats.pop()
    if length > len(raw):
        raise table.problem(f"the signatures sign {length:,} bytes, it has {len(raw):,}")
    return Digest.of(raw[:length] + tail)


def has_digest(raw: bytes, digest: Digest) -> bool:
    """Return whether ``digest`` is the digest of ``raw``, or its digest as a manifest."""
    if digest.matches(raw):
        return True
    try:
        return manifest_digest(raw, subject="manifest") == digest
    except BundlerError:
        return False


def _read_format(signature: Table) -> tuple[int, bytes]:
    """Read the number of signed bytes of the document, and the bytes that end the content."""
    header = Table.parse(signature.base64url("protected"), f"{signature.subject}: protected header")
    return header.integer("formatLength"), header.base64url("formatTail")
