"""The digest by which registries identify a manifest.

The digest of a signed schema 1 manifest is the digest of its signed content, without the
signatures. Each signature records how many bytes of the document it covers (``formatLength``) and
the end of the signed content (``formatTail``), which follows those bytes.

https://github.com/distribution/distribution/blob/v2.8.3/docs/spec/manifest-v2-1.md
"""

from __future__ import annotations

from bundler.errors import BundlerError, MalformedError
from bundler.oci import media_types
from bundler.oci.digest import Digest
from bundler.oci.json.table import Table

_MAX_SIGNATURES = 100


def compute_manifest_digest(raw: bytes, *, subject: str) -> Digest:
    """Compute the sha256 digest of a manifest, or of any other content.

    Raises:
        LimitError: the content is larger or deeper than allowed for a manifest.
        MalformedError: the signatures of a schema 1 manifest cannot be removed.
    """
    try:
        table = Table.parse(raw, subject)
    except MalformedError:
        if b"signatures" in raw:  # a lenient parser might find signatures in it
            raise
        return Digest.of(raw)
    signed = table.value.get("schemaVersion") == 1 and "signatures" in table
    if not signed or table.value.get("mediaType") in media_types.BY_DIGEST:
        return Digest.of(raw)
    signatures = table.tables("signatures")
    if not 0 < len(signatures) <= _MAX_SIGNATURES:
        raise table.problem(
            f"{len(signatures)} signatures (expected 1 to {_MAX_SIGNATURES} in schema 1)"
        )
    formats: set[tuple[int, bytes]] = set()
    for signature in signatures:
        header = Table.parse(
            signature.base64url("protected"), f"{signature.subject}: protected header"
        )
        formats.add((header.integer("formatLength"), header.base64url("formatTail")))
    if len(formats) > 1:
        raise table.problem("the signatures do not agree on the signed content")
    length, tail = formats.pop()
    if length > len(raw):
        raise table.problem(f"formatLength exceeds the size ({length:,} of {len(raw):,} bytes)")
    return Digest.of(raw[:length] + tail)


def has_digest(raw: bytes, digest: Digest) -> bool:
    """Return whether ``digest`` is the digest of ``raw`` as a blob or as a manifest."""
    if digest.matches(raw):
        return True
    try:
        return compute_manifest_digest(raw, subject="manifest") == digest
    except BundlerError:
        return False
