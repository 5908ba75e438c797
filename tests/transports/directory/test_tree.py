"""The contracts, with trees of ``dir:`` images, which store each blob once."""

from __future__ import annotations

import gzip
from contextlib import closing

import pytest

from bundler.errors import LockedError, MissingFileError, NotFoundError
from bundler.oci.digest import Digest
from bundler.ports import Node
from bundler.transports.directory import tree
from bundler.transports.directory.transport import DirectorySource
from bundler.transports.directory.tree import DirectoryTreeDestination, DirectoryTreeSource
from tests.contracts import contents
from tests.contracts.destination import DestinationContract
from tests.contracts.source import SourceContract
from tests.fakes.memory import MemoryStore
from tests.transports.directory.trees import images, inodes, paths, publish
from tests.transports.handwritten import write_tree


class ByDigest:
    """The name of an image is the digest of its root."""

    def name(self, name, root):
        return f"images/{root.digest.hex}"


class TestSource(ByDigest, SourceContract):
    @pytest.fixture
    def filled(self, tmp_path):
        return lambda store: DirectoryTreeSource(write_tree(tmp_path / "tree", store))

    def test_resolve_reports_an_unknown_name(self, image):
        _, _, source = image
        with pytest.raises(MissingFileError) as raised:
            source.resolve("images/nobody")
        assert raised.value.path.endswith("images/nobody")


class TestDestination(ByDigest, DestinationContract):
    @pytest.fixture
    def opened(self, tmp_path):
        return lambda: DirectoryTreeDestination(tmp_path / "new" / "tree")

    @pytest.fixture
    def source(self, tmp_path):
        return lambda: DirectoryTreeSource(tmp_path / "new" / "tree")

    def test_only_commit_changes_names(self, opened, source):
        store = MemoryStore()
        root = store.add_image(layers=[b"first"])
        with closing(opened()) as destination:
            contents.push_all(destination, store)
            with closing(source()) as reading, pytest.raises(NotFoundError):
                reading.resolve(self.name("app", root))


class TestDestinationWithoutLinks(TestDestination):
    """The same on a medium without hard links, with copies permitted."""

    @pytest.fixture(autouse=True)
    def _no_links(self, no_links):
        """Refuse hard links, as FAT does."""

    @pytest.fixture
    def opened(self, tmp_path):
        return lambda: DirectoryTreeDestination(tmp_path / "new" / "tree", may_copy=True)


def test_every_image_is_complete(tmp_path, shared_store):
    publish(tmp_path / "t", shared_store)
    for root in shared_store.names.values():
        with closing(DirectorySource(tmp_path / "t/images" / root.digest.hex)) as source:
            assert source.resolve().digest == root.digest
            parts = paths(tmp_path / "t/images" / root.digest.hex)
            assert "version" in parts
    own = shared_store.names["a"].digest.hex
    assert not any(
        "manifest.json" in name and own in name for name in paths(tmp_path / "t/images" / own)
    )


def test_shared_blob_is_stored_once(tmp_path, shared_store):
    publish(tmp_path / "t", shared_store)
    assert len(inodes(tmp_path / "t")) == len(shared_store.blobs)


def test_blob_pushed_again_replaces_every_damaged_copy(tmp_path, shared_store):
    publish(tmp_path / "t", shared_store)
    shared = Digest.of(gzip.compress(b"shared" * 100, mtime=0))
    damaged = list((tmp_path / "t").rglob(shared.hex))
    assert len(damaged) == 3
    damaged[0].write_bytes(b"\0" * len(shared_store.blobs[shared]))
    publish(tmp_path / "t", shared_store)
    assert {path.read_bytes() for path in damaged} == {shared_store.blobs[shared]}
    assert len(inodes(tmp_path / "t")) == len(shared_store.blobs)


@pytest.mark.parametrize("may_copy", [False, True])
def test_damaged_copy_of_a_whole_blob_is_replaced(tmp_path, shared_store, monkeypatch, may_copy):
    """The tree was copied without its links, and only one copy is compared by the engine."""
    publish(tmp_path / "t", shared_store)
    shared = Digest.of(gzip.compress(b"shared" * 100, mtime=0))
    data = shared_store.blobs[shared]
    copies = list((tmp_path / "t").rglob(shared.hex))
    if may_copy:
        monkeypatch.setattr(tree, "replace_by_link", lambda *_: False)
    for damaged in copies:
        for path in copies:
            path.unlink()
            path.write_bytes(data)
        with closing(DirectoryTreeDestination(tmp_path / "t", may_copy=may_copy)) as destination:
            with destination.open(Node("layer", "", shared, len(data))) as file:
                if file.path == damaged:
                    continue
            damaged.write_bytes(b"\0" * len(data))
            destination.commit(images(shared_store))
        assert {path.read_bytes() for path in copies} == {data}


def test_second_writer_is_refused(tmp_path):
    with closing(DirectoryTreeDestination(tmp_path)), pytest.raises(LockedError):
        DirectoryTreeDestination(tmp_path)


def test_unused_destination_leaves_no_files(tmp_path):
    DirectoryTreeDestination(tmp_path / "a" / "b").close()
    assert list(tmp_path.iterdir()) == []
