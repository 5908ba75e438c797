"""Estimates count the bytes that an interrupted export has stored."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bundler import events
from bundler.bundle.format.writing.directory_holdings import DirectoryHoldings
from bundler.bundle.format.writing.store import open_for_writing
from bundler.cancel import Cancellation
from bundler.copy.blob_transfer import find_stored_size, push_blob
from bundler.errors import RegistryError
from bundler.ports import Node
from tests.fakes.damage import flip_bit
from tests.fakes.memory import Fault, MemoryStore

if TYPE_CHECKING:
    from pathlib import Path

STORED = 2 * 1024 * 1024


@pytest.mark.parametrize("bundle_format", ["oci", "dir"])
def test_stored_part_is_counted_without_opening_the_destination(tmp_path, bundle_format):
    store, data = MemoryStore(), os.urandom(STORED + 1000)
    node = Node("layer", "application/x", store.add_blob(data), len(data))
    store.faults.append(Fault("read", after=STORED, error=RegistryError("gone", temporary=False)))
    bundle = tmp_path / "bundle"
    destination = open_for_writing(bundle, bundle_format)
    with closing(destination), pytest.raises(RegistryError):
        push_blob(node, store.source(), destination, Cancellation(), events.discard)
    holdings = DirectoryHoldings(bundle, bundle_format)
    assert find_stored_size([node], holdings) == STORED
    assert not holdings.has(node)
    assert find_stored_size([node], DirectoryHoldings(tmp_path / "other", bundle_format)) == 0


def test_blob_in_parts_is_continued_where_it_was_cut(tmp_path: Path):
    """A part is full at the first cut, and the second one is not."""
    store, data, limit = MemoryStore(), os.urandom(5 * 1024 * 1024 + 7), 2 * 1024 * 1024
    node = Node("layer", "application/x", store.add_blob(data), len(data))
    bundle, seen = tmp_path / "bundle", list[events.Event]()
    for after in (limit, 1024 * 1024 + 4096):
        fault = RegistryError("gone", temporary=False)
        store.faults.append(Fault("read", after=after, error=fault))
        with closing(open_for_writing(bundle, "oci", unsealed=True, largest=limit)) as destination:
            with pytest.raises(RegistryError):
                push_blob(node, store.source(), destination, Cancellation(), seen.append)
            assert not destination.has(node)
    stored = find_stored_size([node], DirectoryHoldings(bundle, "oci"))
    assert stored == limit + 1024 * 1024 + 4096
    with closing(open_for_writing(bundle, "oci", unsealed=True, largest=limit)) as destination:
        assert push_blob(node, store.source(), destination, Cancellation(), seen.append) == stored
        assert destination.has(node)
    blobs = sorted((bundle / "blobs/sha256").iterdir())
    assert [blob.name[-4:] for blob in blobs] == [".000", ".001", ".002"]
    assert b"".join(blob.read_bytes() for blob in blobs) == data


def test_damaged_beginning_of_a_blob_in_parts_is_not_kept(tmp_path: Path):
    store, data, limit = MemoryStore(), os.urandom(3 * 1024 * 1024), 2 * 1024 * 1024
    node = Node("layer", "application/x", store.add_blob(data), len(data))
    bundle = tmp_path / "bundle"
    store.faults.append(Fault("read", after=limit, error=RegistryError("gone", temporary=False)))
    with (
        closing(open_for_writing(bundle, "oci", unsealed=True, largest=limit)) as destination,
        pytest.raises(RegistryError),
    ):
        push_blob(node, store.source(), destination, Cancellation(), events.discard)
    [part] = (bundle / "blobs/sha256").iterdir()
    flip_bit(part)
    with closing(open_for_writing(bundle, "oci", unsealed=True, largest=limit)) as destination:
        assert push_blob(node, store.source(), destination, Cancellation(), events.discard) == 0
    blobs = sorted((bundle / "blobs/sha256").iterdir())
    assert b"".join(blob.read_bytes() for blob in blobs) == data
