"""Signatures in a bundle are read within limits, and only those that belong to the manifest."""

from __future__ import annotations

import json

import pytest

from bundler.bundle.format.inventory.inventory import BundledImage, BundledReferrer
from bundler.bundle.format.signatures import attached_signatures
from bundler.errors import DigestMismatchError, LimitError, MalformedError
from bundler.oci import signature as signatures
from bundler.oci.digest import Digest
from bundler.oci.reference import ImageReference
from tests.fakes.memory import MemoryStore

SUBJECT = Digest.of(b"image")
TAG = f"sha256-{SUBJECT.hex}.sig"


@pytest.fixture
def store():
    return MemoryStore()


def list_referrer(root, *, tag: str | None = TAG, subject: Digest = SUBJECT) -> BundledReferrer:
    return BundledReferrer(root.digest, root.media_type, root.size, subject, tag=tag)


def find_layer(store: MemoryStore, root) -> Digest:
    return Digest(json.loads(store.blobs[root.digest])["layers"][0]["digest"])


def find(*referrers: BundledReferrer):
    image = BundledImage(ImageReference("r.example", "app", "1"), SUBJECT, "x", 1)
    images = [
        BundledImage(image.reference, SUBJECT, "x", 1, referrers=referrers),
        BundledImage(image.reference, SUBJECT, "x", 1, referrers=referrers),
    ]
    return attached_signatures.find_all(images).get(SUBJECT, [])


def test_signatures_are_found_by_subject_and_tag(store):
    root = store.add_image(layers=[b"payload"])
    other = store.add_image(layers=[b"another"])
    wrong = (
        list_referrer(other, tag=None),
        list_referrer(other, tag=TAG.replace(".sig", ".att")),
        list_referrer(other, subject=Digest.of(b"another image")),
    )
    found = find(list_referrer(root), *wrong)
    assert [item.digest for item in found] == [root.digest]
    (raw,) = attached_signatures.read(store.source(), found)
    assert Digest.of(signatures.parse(raw).payload) == find_layer(store, root)


def test_number_and_size_of_signatures_are_limited(store, monkeypatch):
    many = store.add_image(layers=[b"%d" % number for number in range(129)])
    with pytest.raises(LimitError):
        attached_signatures.read(store.source(), [many])
    monkeypatch.setattr(attached_signatures, "MAX_SIGNATURE", 3)
    large = store.add_image(layers=[b"1234"])
    with pytest.raises(LimitError):
        attached_signatures.read(store.source(), [large])


def test_damaged_or_other_content_is_refused(store):
    root = store.add_image(layers=[b"payload"])
    layer = find_layer(store, root)
    store.blobs[layer] = store.blobs[layer][::-1]
    with pytest.raises(DigestMismatchError):
        attached_signatures.read(store.source(), [root])
    index = store.add_index(manifests=[root])
    with pytest.raises(MalformedError):
        attached_signatures.read(store.source(), [index])
