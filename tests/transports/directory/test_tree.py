"""Trees of ``dir:`` images keep to the contracts, and hold each blob once."""

from __future__ import annotations

import errno
import gzip
import os
from contextlib import closing

import pytest

from bundler.errors import (
    ConflictError,
    LockedError,
    MalformedError,
    MissingFileError,
    NotFoundError,
    UnsupportedError,
)
from bundler.oci.digest import Digest
from bundler.ports import OpenOptions, Publication
from bundler.transports.directory.transport import DirectorySource
from bundler.transports.directory.tree import DirectoryTreeDestination, DirectoryTreeSource
from tests.contracts import contents
from tests.contracts.destination import DestinationContract, assert_whole
from tests.contracts.source import SourceContract
from tests.fakes.memory import MemoryStore
from tests.transports.handwritten import write_tree

COPIES = OpenOptions(settings=None, duplicate_blobs=True)


class ByDigest:
    """An image is called by the digest of its root."""

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
    """The same on a medium that has no hard links, where copies were asked for."""

    @pytest.fixture(autouse=True)
    def _no_links(self, no_links):
        """As on FAT."""

    @pytest.fixture
    def opened(self, tmp_path):
        return lambda: DirectoryTreeDestination(tmp_path / "new" / "tree", COPIES)


@pytest.fixture
def no_links(monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)


@pytest.fixture
def store():
    """Two images with a shared layer, and an index of both."""
    store = MemoryStore()
    roots = [store.add_image(name, layers=[b"shared" * 100, name.encode()]) for name in ("a", "b")]
    store.add_index("all", manifests=roots)
    return store


def images(store, where="images"):
    return [Publication(root, (f"{where}/{root.digest.hex}",)) for root in store.names.values()]


def publish(path, store, options=None):
    with closing(DirectoryTreeDestination(path, options)) as destination:
        contents.push_all(destination, store)
        destination.commit(images(store))


def paths(path):
    return {str(one.relative_to(path)) for one in path.rglob("*") if one.is_file()}


def times(path):
    return {one: one.stat().st_mtime_ns for one in path.rglob("*")}


def inodes(path):
    return {one.stat().st_ino for one in path.rglob("*") if one.is_file() and one.name != "version"}


def test_every_image_is_complete(tmp_path, store):
    publish(tmp_path / "t", store)
    for root in store.names.values():
        with closing(DirectorySource(tmp_path / "t/images" / root.digest.hex)) as source:
            assert source.resolve().digest == root.digest
            parts = paths(tmp_path / "t/images" / root.digest.hex)
            assert "version" in parts
    own = store.names["a"].digest.hex
    assert not any(
        "manifest.json" in name and own in name for name in paths(tmp_path / "t/images" / own)
    )


def test_shared_blob_is_stored_once(tmp_path, store):
    publish(tmp_path / "t", store)
    assert len(inodes(tmp_path / "t")) == len(store.blobs)


def test_commit_removes_the_staging_directory(tmp_path, store):
    publish(tmp_path / "t", store)
    assert [one.name for one in (tmp_path / "t").iterdir()] == ["images"]


def test_medium_without_hard_links_is_refused_before_the_first_blob(tmp_path, store, no_links):
    with pytest.raises(UnsupportedError) as raised:
        publish(tmp_path / "t", store)
    assert "--duplicate-blobs" in raised.value.hint
    assert not (tmp_path / "t").exists()


def test_shared_blobs_are_copied_if_permitted(tmp_path, store, no_links):
    publish(tmp_path / "linked", store, COPIES)
    assert len(inodes(tmp_path / "linked")) == len(paths(tmp_path / "linked")) - 3
    before = times(tmp_path / "linked/images")
    with closing(DirectoryTreeDestination(tmp_path / "linked", COPIES)) as destination:
        destination.commit(images(store))
    assert {
        one: one.stat().st_mtime_ns for one in (tmp_path / "linked/images").rglob("*")
    } == before


def test_rerun_resumes_an_uncommitted_run(tmp_path, store):
    with closing(DirectoryTreeDestination(tmp_path / "t")) as destination:
        contents.push_all(destination, store)
    with closing(DirectoryTreeDestination(tmp_path / "t")) as destination:
        assert all(destination.has(contents.node(store, digest)) for digest in store.blobs)
        destination.commit(images(store))
    assert_whole(lambda: DirectoryTreeSource(tmp_path / "t"), store)


@pytest.mark.parametrize("links_before", range(9))
@pytest.mark.parametrize("copies", [False, True], ids=["links", "copies"])
def test_rerun_completes_an_interrupted_commit(tmp_path, store, monkeypatch, links_before, copies):
    with monkeypatch.context() as patch:
        _cut_after(patch, links_before, copies=copies)
        with pytest.raises(KeyboardInterrupt):
            publish(tmp_path / "t", store, COPIES)
    with closing(DirectoryTreeDestination(tmp_path / "t")) as destination:
        missing = [d for d in store.blobs if not destination.has(contents.node(store, d))]
        assert missing == []
        destination.commit(images(store))
    assert_whole(lambda: DirectoryTreeSource(tmp_path / "t"), store)
    assert not any(".airbundle" in name for name in paths(tmp_path / "t"))


def _cut_after(patch, count, *, copies):
    """Let ``count`` links be made (or refused, which makes copies), and stop at the next."""
    real, left = os.link, [count + (not copies)]  # the first link only tries whether there are any

    def link(*arguments, **named):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        if copies:
            raise OSError(errno.EPERM, "Operation not permitted")
        real(*arguments, **named)

    patch.setattr(os, "link", link)


def test_blob_pushed_again_replaces_every_damaged_copy(tmp_path, store):
    publish(tmp_path / "t", store)
    shared = Digest.of(gzip.compress(b"shared" * 100, mtime=0))
    damaged = list((tmp_path / "t").rglob(shared.hex))
    assert len(damaged) == 3
    damaged[0].write_bytes(b"\0" * len(store.blobs[shared]))
    publish(tmp_path / "t", store)
    assert {one.read_bytes() for one in damaged} == {store.blobs[shared]}
    assert len(inodes(tmp_path / "t")) == len(store.blobs)


@pytest.mark.parametrize(
    "name",
    ["../x", "/x", "images/../../x", "images//x", "", "con", "images/aux.txt", "a:b", "x.", ".git"],
)
def test_unsafe_or_unportable_name_is_refused(tmp_path, store, name):
    with closing(DirectoryTreeDestination(tmp_path / "t")) as destination:
        contents.push_all(destination, store)
        with pytest.raises(MalformedError):
            destination.commit([Publication(store.names["a"], (name,))])
    with closing(DirectoryTreeSource(tmp_path / "t")) as source, pytest.raises(MalformedError):
        source.resolve(name)


def test_names_that_differ_only_by_case_conflict(tmp_path, store):
    with closing(DirectoryTreeDestination(tmp_path / "t")) as destination:
        contents.push_all(destination, store)
        with pytest.raises(ConflictError):
            destination.commit(
                [
                    Publication(store.names["a"], ("images/X",)),
                    Publication(store.names["b"], ("images/x",)),
                ]
            )


def test_link_to_an_image_is_not_followed(tmp_path, store):
    write_tree(tmp_path / "elsewhere", store)
    (tmp_path / "t").mkdir()
    (tmp_path / "t/images").symlink_to(tmp_path / "elsewhere/images")
    with closing(DirectoryTreeSource(tmp_path / "t")) as source:
        assert source.tags() == []
        with pytest.raises(MalformedError):
            source.resolve(f"images/{store.names['a'].digest.hex}")


def test_second_writer_is_refused(tmp_path):
    with closing(DirectoryTreeDestination(tmp_path)), pytest.raises(LockedError):
        DirectoryTreeDestination(tmp_path)


def test_unused_destination_leaves_no_files(tmp_path):
    DirectoryTreeDestination(tmp_path / "a" / "b").close()
    assert list(tmp_path.iterdir()) == []
