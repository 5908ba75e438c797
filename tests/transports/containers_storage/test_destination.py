"""Writing images: reuse of stored content, refused images, nothing left after an error."""

from __future__ import annotations

import gzip
import json
from contextlib import closing
from dataclasses import replace

import pytest

from bundler.content.streams import VerifiedReader
from bundler.errors import (
    ConflictError,
    DigestMismatchError,
    MalformedError,
    NotFoundError,
    UnsupportedError,
)
from bundler.oci.digest import Digest
from bundler.ports import Node
from tests.contracts import contents
from tests.contracts.contents import push_all
from tests.fakes.memory import MemoryStore
from tests.fakes.tars import TarStore, member, pack
from tests.transports.containers_storage.sample_storage import NAME, OPTIONS


def test_second_run_finds_all_content_and_pushes_nothing(storage):
    store = TarStore()
    root = store.add_image(layers=[b"1", b"2"])
    storage.copy(store, root, NAME)
    with closing(storage.destination()) as destination:
        assert all(destination.has(contents.node(store, digest)) for digest in store.blobs)
        contents.publish(destination, root, "example.com/other:1")
    (record,) = storage.read_records("images")
    assert record["names"] == ["example.com/other:1", NAME]
    assert len(storage.read_records("layers")) == 2


def test_layer_that_is_stored_on_another_parent_is_reused(storage):
    shared = pack(member("shared", b"s"))
    storage.add_tars(pack(member("a", b"1")), shared)
    store = MemoryStore()
    root = store.add_image(layers=[pack(member("b", b"2")), shared])
    with closing(storage.destination()) as destination:
        for digest in store.blobs:
            if not destination.has(contents.node(store, digest)):
                contents.push(destination, store, digest)
        contents.publish(destination, root, "example.com/other:1")
    assert len(storage.read_records("layers")) == 4
    tree = storage.tree(Digest.of(pack(member("b", b"2"))), Digest.of(shared))
    assert (tree / "shared").is_file()


def test_blob_without_a_known_digest_is_pushed(storage):
    with closing(storage.destination()) as destination:
        reader = VerifiedReader(contents.Chunks(b"content"), "test", digest=None, size=None)
        assert destination.push(Node("layer", "x/y"), reader).digest == Digest.of(b"content")


def test_blobs_are_spooled_to_the_scratch_directory(storage, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    store = TarStore()
    root = store.add_image()
    with closing(storage.destination(replace(OPTIONS, scratch=scratch))) as destination:
        push_all(destination, store)
        spooled = {path.name for path in scratch.rglob("*") if path.is_file()}
        assert spooled == {digest.hex for digest in store.blobs}
        contents.publish(destination, root, NAME)
    assert list(scratch.iterdir()) == []


def test_layer_that_does_not_match_the_config_is_refused_and_removed(storage):
    store = MemoryStore()
    root = store.add_image(layers=[pack(member("a", b"1"))])
    parsed = json.loads(store.blobs[root.digest])
    other = store.add_blob(gzip.compress(pack(member("a", b"2")), mtime=0))
    parsed["layers"][0] |= {"digest": other.text, "size": len(store.blobs[other])}
    raw = json.dumps(parsed).encode()
    bad = type(root)(root.media_type, store.add_blob(raw), len(raw))
    with closing(storage.destination()) as destination:
        push_all(destination, store)
        with pytest.raises(DigestMismatchError):
            contents.publish(destination, bad, NAME)
    assert not (storage.record_directory("layers") / "layers.json").exists()
    assert not list(storage.tree(Digest.of(b"")).parent.parent.glob("*/diff"))


def test_wrong_number_of_layers_is_refused(storage):
    store = TarStore()
    root = store.add_image(layers=[b"1", b"2"])
    parsed = json.loads(store.blobs[root.digest])
    parsed["layers"].pop()
    raw = json.dumps(parsed).encode()
    bad = type(root)(root.media_type, store.add_blob(raw), len(raw))
    with closing(storage.destination()) as destination:
        push_all(destination, store)
        with pytest.raises(MalformedError):
            contents.publish(destination, bad, NAME)
    assert not (storage.record_directory("images") / "images.json").exists()


def test_layer_that_was_not_pushed_is_reported(storage):
    store = TarStore()
    root = store.add_image(layers=[b"1"])
    layers = {layer["digest"] for layer in json.loads(store.blobs[root.digest])["layers"]}
    with closing(storage.destination()) as destination:
        for digest in store.blobs:
            if digest.text not in layers:
                contents.push(destination, store, digest)
        with pytest.raises(NotFoundError):
            contents.publish(destination, root, NAME)
    assert not (storage.record_directory("images") / "images.json").exists()


def test_artifact_is_refused(storage):
    store = MemoryStore()
    root = store.add_artifact()
    with closing(storage.destination()) as destination:
        push_all(destination, store)
        with pytest.raises(UnsupportedError):
            contents.publish(destination, root, NAME)
    assert not (storage.record_directory("images") / "images.json").exists()


@pytest.mark.parametrize("suffix", [f"@{Digest.of(b'')}", ":1@abc"])
def test_name_with_another_digest_or_an_incomplete_id_is_refused(storage, suffix):
    store = TarStore()
    root = store.add_image()
    with closing(storage.destination()) as destination:
        push_all(destination, store)
        with pytest.raises(ConflictError):
            contents.publish(destination, root, f"example.com/app{suffix}")
    assert not (storage.record_directory("layers") / "layers.json").exists()
