"""Simple signatures in a storage.

All signatures of a manifest are concatenated in one item of the image. The record of the image
contains their sizes.

https://github.com/containers/image/blob/v5.36.2/storage/storage_image.go
"""

from __future__ import annotations

import json
from itertools import accumulate
from typing import TYPE_CHECKING

from bundler.errors import MalformedError
from bundler.oci.json.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bundler.oci.digest import Digest
    from bundler.transports.containers_storage.metadata import ImageRecord
    from bundler.transports.containers_storage.storage import Storage


def encode(manifest: Digest, signatures: Sequence[bytes]) -> tuple[dict[str, bytes], str]:
    """Return the items with the signatures of ``manifest``, and the record's ``metadata``.

    ``metadata`` contains the sizes of the signatures.
    """
    sizes = [len(signature) for signature in signatures]
    joined = b"".join(signatures)
    items = {f"signature-{manifest.hex}": joined}
    metadata: dict[str, object] = {"signatures-sizes": {manifest.text: sizes}}
    if sizes:
        items = {"signatures": joined} | items
        metadata = {"signature-sizes": sizes} | metadata
    return items, json.dumps(metadata, separators=(",", ":"))


def read(storage: Storage, image: ImageRecord, manifest: Digest) -> list[bytes]:
    """Return the signatures of one manifest of ``image``.

    Raises:
        MalformedError: the signatures do not match their recorded sizes.
    """
    subject = f"{storage.subject}: image {image.id}: signatures"
    key = f"signature-{manifest.hex}"
    if key not in image.items:
        return []
    text = image.table.optional_text("metadata") or "{}"
    table = Table.parse(text.encode(), subject).table("signatures-sizes")
    sizes = table.value.get(manifest.text) or []
    joined = storage.read_item(image, key)
    if not isinstance(sizes, list) or not all(isinstance(size, int) for size in sizes):
        raise MalformedError(f"{subject}: invalid recorded sizes (expected numbers)")
    if min(sizes, default=0) < 0 or sum(sizes) != len(joined):
        raise MalformedError(
            f"{subject}: wrong size (expected {sum(sizes)} bytes, got {len(joined)})"
        )
    ends = list(accumulate(sizes))
    return [joined[end - size : end] for size, end in zip(sizes, ends, strict=True)]
