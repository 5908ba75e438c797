"""Signatures are stored with their manifest."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from bundler.errors import MalformedError
from bundler.oci.digest import Digest
from bundler.signature_ports import HasSignatures, StoresSignatures
from tests.contracts.contents import publish, push_all
from tests.fakes.tars import TarStore
from tests.transports.containers_storage.sample_storage import NAME


@pytest.fixture
def signed(storage):
    """The manifest of an image that has two signatures."""
    store = TarStore()
    root = store.add_image(compress=False)
    with closing(storage.destination()) as destination:
        assert isinstance(destination, StoresSignatures)
        push_all(destination, store)
        destination.push_signatures(root.digest, [b"one", b"another"])
        publish(destination, root, NAME)
    return root.digest


def test_signatures_are_stored_with_their_manifest(storage, signed):
    with closing(storage.source()) as source:
        assert isinstance(source, HasSignatures)
        assert source.signatures(signed) == [b"one", b"another"]
        assert source.signatures(Digest.of(b"")) == []


@pytest.mark.parametrize("sizes", [[3], [3, 8], [-1, 11], ["3", 7], 10, None])
def test_signatures_that_do_not_match_their_sizes_are_refused(storage, signed, sizes):
    (record,) = storage.read_records("images")
    record["metadata"] = json.dumps({"signatures-sizes": {signed.text: sizes}})
    storage.write_records("images", [record])
    with closing(storage.source()) as source, pytest.raises(MalformedError):
        source.signatures(signed)
