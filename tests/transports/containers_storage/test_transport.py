"""``containers-storage:`` fulfils the contracts of sources and destinations."""

from __future__ import annotations

import os
from contextlib import closing
from typing import ClassVar

import pytest

from bundler.errors import NotFoundError, UnsupportedError
from bundler.ports import Deletes, DeletesTags, KeepsOriginalManifests, SynthesizesManifests
from tests.contracts.destination import DestinationContract
from tests.contracts.signatures import SignatureContract
from tests.contracts.source import SourceContract
from tests.fakes.tars import TarStore
from tests.transports.containers_storage.sample_storage import SampleStorage


class TestSource(SourceContract):
    new_store = TarStore
    keeps_manifests = False

    def name(self, name, root):
        return f"example.com/{name}:1"

    @pytest.fixture
    def filled(self, storage):
        def fill(store):
            for name, root in store.names.items():
                storage.copy(store, root, f"example.com/{name}:1")
            return storage.source()

        return fill


class TestDestination(DestinationContract):
    new_store = TarStore
    accepts_sha512 = False
    keeps_manifests = False
    replaces_all = True  # blobs that are not unpacked yet belong to one run

    def name(self, name, root):
        return f"example.com/{name}:1"

    @pytest.fixture
    def opened(self, storage):
        return storage.destination

    @pytest.fixture
    def source(self, storage):
        def open_source():
            with closing(storage.destination()):
                return storage.source()

        return open_source


class TestSignatures(SignatureContract):
    new_store = TarStore
    excluded: ClassVar = {"test_signatures_belong_to_one_manifest": "an index is not stored"}

    def name(self, root):
        return "example.com/app:1"

    def create_image(self, layer=b"layer"):
        store = TarStore()
        return store, store.add_image(compress=False)

    @pytest.fixture
    def opened(self, storage):
        return storage.destination

    @pytest.fixture
    def source(self, storage):
        return storage.source


def test_source_and_destination_implement_optional_protocols(storage):
    storage.add_image()
    assert isinstance(storage.source(), SynthesizesManifests)
    assert isinstance(storage.source(), KeepsOriginalManifests)
    with closing(storage.destination()) as destination:
        assert isinstance(destination, Deletes)
        assert isinstance(destination, DeletesTags)
        assert not destination.capabilities.indexes


def test_opening_a_source_creates_no_storage(tmp_path):
    storage = SampleStorage(tmp_path)
    with pytest.raises(NotFoundError):
        storage.source()
    assert not os.listdir(tmp_path)  # noqa: PTH208


def test_unsupported_driver_is_refused(tmp_path):
    with pytest.raises(UnsupportedError):
        SampleStorage(tmp_path, "zfs").destination()
    assert not (tmp_path / "root").exists()
