"""The contracts, with the transport in memory, and the faults of its test double."""

from __future__ import annotations

from typing import ClassVar

import pytest

from bundler.errors import MediumError, NotFoundError
from bundler.ports import Node
from bundler.transports.memory import transport
from tests.contracts.destination import DestinationContract
from tests.contracts.source import SourceContract
from tests.fakes.memory import Fault, MemoryStore


class TestSource(SourceContract):
    @pytest.fixture
    def filled(self):
        return transport.MemorySource


class TestDestination(DestinationContract):
    excluded: ClassVar = {"test_commit_refuses_one_name_for_two_images": "names are not checked"}

    @pytest.fixture
    def store(self):
        return transport.MemoryStore()

    @pytest.fixture
    def opened(self, store):
        return store.destination

    @pytest.fixture
    def source(self, store):
        return store.source


def test_fault_affects_only_the_nth_read():
    store = MemoryStore(Fault("read", nth=2, after=3))
    root = store.add_image("app")
    target = Node.of(root, "manifest")
    with store.source().open(target) as stream:
        whole = stream.read()
    with store.source().open(target) as stream:
        assert stream.read(10) == whole[:3]
        with pytest.raises(MediumError):
            stream.read(10)
    with store.source().open(target) as stream:
        assert stream.read() == whole


@pytest.mark.parametrize(("effect", "size"), [("short", 2), ("wrong", 5), ("long", 6)])
def test_fault_changes_the_content(effect, size):
    store = MemoryStore(Fault("open", effect, after=2))
    target = Node("layer", "application/x", store.add_blob(b"bytes"), 5)
    with store.source().open(target) as stream:
        data = stream.read()
    assert (len(data), data) != (5, b"bytes")
    assert len(data) == size


def test_referrers_are_found_by_their_subject():
    store = MemoryStore()
    image = store.add_image("app")
    artifact = store.add_artifact(subject=image)
    assert [item.digest for item in store.source().referrers(image.digest)] == [artifact.digest]
    assert store.source().referrers(artifact.digest) == []


def test_resolve_without_name_needs_an_image():
    with pytest.raises(NotFoundError):
        MemoryStore().source().resolve()
