"""The document of one import or audit, which names its objects by their digests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bundler.errors import DamagedEvidenceError, MalformedError
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bundler.bundle.records.evidence.objects import ObjectStore
    from bundler.oci.digest import Digest

TYPE = "airbundle/evidence/v1"


def read_document(store: ObjectStore, digest: Digest) -> Table:
    """Read the document with this digest.

    Raises:
        MissingEvidenceError: there is no such object.
        DamagedEvidenceError: its content has another digest, or is no document.
        MediumError: it cannot be read.
    """
    table = parse_object(store.read(digest), digest)
    if table.value.get("_type") != TYPE:
        raise DamagedEvidenceError(
            f"evidence {digest}: not a document of a version that is known (expected {TYPE!r})",
            (digest.text,),
        )
    return table


def parse_object(raw: bytes, digest: Digest) -> Table:
    """Parse an object that was written here, as its digest proves.

    Raises:
        DamagedEvidenceError: it is not a JSON object.
    """
    try:
        return Table.of(json.loads(raw), f"evidence {digest}")
    except (MalformedError, RecursionError, ValueError):
        raise DamagedEvidenceError(
            f"evidence {digest}: not a JSON object", (digest.text,)
        ) from None


def list_objects(document: Table) -> Iterator[Digest]:
    """Yield the digest of each object that a document names; some may be repeated.

    Raises:
        MalformedError: a member has another type than expected.
    """
    for name in ("inventory", "verdict"):
        if name in document:
            yield document.digest(name)
    for signature in document.tables("signatures"):
        yield signature.digest("digest")
    for image in document.tables("images"):
        if "contents" in image:
            yield image.digest("contents")
        for item in (*image.tables("platforms"), *image.tables("claims")):
            for name in ("packages", "document"):
                if name in item:
                    yield item.digest(name)
