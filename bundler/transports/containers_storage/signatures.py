"""Signatures in a storage: those of a manifest one behind the other, their sizes told elsewhere.

https://github.com/containers/image/blob/v5.36.2/storage/storage_image.go
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bundler.errors import MalformedError
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.oci.digest import Digest
    from bundler.transports.containers_storage.metadata import ImageRecord
    from bundler.transports.containers_storage.storage import Storage

_LATEST = "signatures"


def items(of: Digest, signatures: Sequence[bytes]) -> dict[str, bytes]:
    """The items in which the signatures of the manifest ``of`` are kept."""
    joined = b"".join(signatures)
    latest = {_LATEST: joined} if joined else {}
    return {**latest, _key(of): joined}


def metadata(of: Digest, signatures: Sequence[bytes]) -> str:
    """What an image's record says of the signatures of its latest manifest."""
    sizes = [len(one) for one in signatures]
    latest = {"signature-sizes": sizes} if sizes else {}
    return json.dumps({**latest, "signatures-sizes": {of.text: sizes}}, separators=(",", ":"))


def read(storage: Storage, image: ImageRecord, of: Digest) -> list[bytes]:
    """The signatures of one manifest of ``image``.

    Raises:
        MalformedError: they are not as long as is told.
    """
    what = f"{storage.what}: image {image.id}: signatures"
    key = _key(of)
    if key not in image.items:
        return []
    text = Table(image.value, what).optional_text("metadata") or "{}"
    sizes = Table.parse(text.encode(), what).table("signatures-sizes").value.get(of.text) or []
    joined = storage.item(image, key)
    if not isinstance(sizes, list) or not all(isinstance(size, int) for size in sizes):
        raise MalformedError(f"{what}: their sizes are no numbers")
    if min(sizes, default=0) < 0 or sum(sizes) != len(joined):
        raise MalformedError(f"{what}: {sum(sizes)} bytes were told, and {len(joined)} are there")
    found = []
    for size in sizes:
        found.append(joined[:size])
        joined = joined[size:]
    return found


def _key(of: Digest) -> str:
    return f"signature-{of.hex}"
