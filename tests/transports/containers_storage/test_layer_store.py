"""Incomplete layers, and the IDs of layers."""

from __future__ import annotations

from contextlib import closing

from bundler.oci.digest import Digest
from bundler.transports.containers_storage import layer_store
from tests.transports.containers_storage.sample_storage import NAME


def test_incomplete_layers_are_removed_when_a_destination_opens(storage):
    root, _ = storage.add_image()
    records = storage.read_records("layers")
    incomplete = {"id": "d" * 64, "parent": records[0]["id"], "flags": {"incomplete": True}}
    storage.write_records("layers", [*records, incomplete])
    with closing(storage.destination()):
        assert storage.read_records("layers") == records
    with closing(storage.source()) as source:
        assert source.resolve_original(NAME).digest == root.digest


def test_record_of_a_layer_describes_tar_and_blob(storage):
    root, _ = storage.add_image()
    (record,) = storage.read_records("layers")
    assert record["id"] == Digest(record["diff-digest"]).hex
    assert "parent" not in record
    assert "flags" not in record
    assert record["compression"] == 2
    assert record["compressed-diff-digest"] != record["diff-digest"]
    assert record["diff-size"] > record["compressed-size"]
    assert root.digest.text != record["compressed-diff-digest"]


def test_chain_id_depends_on_all_layers_below():
    """The chain ID is computed as in the image specification, but written without an algorithm."""
    first, second = Digest.of(b"1"), Digest.of(b"2")
    base = layer_store.compute_chain_id(None, first)
    assert base == first.hex
    assert (
        layer_store.compute_chain_id(base, second)
        == Digest.of(f"{first.hex}+{second.hex}".encode()).hex
    )
