"""Listings of layers as bytes."""

from __future__ import annotations

import hashlib
import json
import zlib

import pytest

from bundler.bundle.audit.layers.listing_encoding import decode_listing, encode_listing
from bundler.bundle.audit.layers.scan import LayerListing, Member
from bundler.errors import MalformedError
from bundler.oci.digest import Digest

LAYER, DIFF_ID = Digest.of(b"layer"), Digest.of(b"tar")
LISTING = LayerListing(
    LAYER,
    DIFF_ID,
    (
        Member("etc/\udcff\x1b", "file", 0o4755, 1, 2, 3, -4, "", 0),
        Member("link", "symbolic link", 0o777, 0, 0, 0, 5, "../etc", 1),
    ),
)


def test_listing_survives():
    assert decode_listing(encode_listing(LISTING), LAYER) == LISTING


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"[",
        b"[" * 100_000,
        json.dumps([Digest.of(b"other").text, DIFF_ID.text, []]).encode(),
        json.dumps([LAYER.text, "sha256:x", []]).encode(),
        json.dumps([LAYER.text, DIFF_ID.text, [["a", "file", 1, 1, 1, 1, 1]]]).encode(),
        json.dumps([LAYER.text, DIFF_ID.text, [["a", "door", 1, 1, 1, 1, 1, ""]]]).encode(),
        json.dumps([LAYER.text, DIFF_ID.text, [["a", "file", "1", 1, 1, 1, 1, ""]]]).encode(),
    ],
)
def test_other_bytes_are_refused(value: bytes):
    body = zlib.compress(value)
    for data in (value, hashlib.sha256(body).digest() + body):
        with pytest.raises(MalformedError):
            decode_listing(data, LAYER)
