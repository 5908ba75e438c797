"""Estimates count the bytes that an interrupted export has stored."""

from __future__ import annotations

import os
from contextlib import closing

import pytest

from bundler import events
from bundler.bundle.format.writing.directory_holdings import DirectoryHoldings
from bundler.bundle.format.writing.store import open_for_writing
from bundler.cancel import Cancellation
from bundler.copy.blob_transfer import find_stored_size, push_blob
from bundler.errors import RegistryError
from bundler.ports import Node
from tests.fakes.memory import Fault, MemoryStore

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
