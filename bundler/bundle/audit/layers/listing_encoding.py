"""Encode the listing of a layer as bytes, to keep it.

The members are compressed JSON, which the SHA-256 of these bytes precedes. The form is private to
one version of the program on one machine.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from typing import Any, get_args

from bundler.bundle.audit.layers.scan import LayerListing, Member, MemberKind
from bundler.errors import MalformedError
from bundler.oci.digest import Digest

MAX_SIZE = 64 * 1024 * 1024
"""The maximum size of an encoded listing in bytes."""
_MAX_TEXT = 256 * 1024 * 1024
_CHECKSUM = 32
_KINDS = frozenset(get_args(MemberKind))
_FORM = (str, str, int, int, int, int, int, str)


def encode_listing(listing: LayerListing) -> bytes:
    """Encode the listing of a layer."""
    members = [
        (item.path, item.kind, item.mode, item.uid, item.gid, item.size, item.mtime, item.target)
        for item in listing.members
    ]
    value = [listing.digest.text, listing.diff_id.text, members]
    body = zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 1)
    return hashlib.sha256(body).digest() + body


def decode_listing(data: bytes, layer: Digest) -> LayerListing:
    """Decode what ``encode_listing`` returned for the layer with this digest.

    Raises:
        MalformedError: it was changed, has another form, or is about another layer.
    """
    problem = f"layer {layer}: malformed listing"
    body = memoryview(data)[_CHECKSUM:]
    if hashlib.sha256(body).digest() != data[:_CHECKSUM]:
        raise MalformedError(problem)
    try:
        digest, diff_id, rows = json.loads(zlib.decompressobj().decompress(body, _MAX_TEXT))
        if digest != layer.text:
            raise MalformedError(problem)
        members = tuple(_create_member(row, position) for position, row in enumerate(rows))
        return LayerListing(layer, Digest(diff_id), members)
    except (ValueError, TypeError, RecursionError, zlib.error) as error:
        raise MalformedError(problem) from error


def _create_member(row: list[object], position: int) -> Member:
    if tuple(map(type, row)) != _FORM or row[1] not in _KINDS:
        raise ValueError(row)
    values: tuple[Any, ...] = (*row, position)
    return Member(*values)
