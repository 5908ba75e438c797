"""The contracts, with layouts that share a directory of blobs."""

from __future__ import annotations

from contextlib import closing

import pytest

from bundler.errors import MissingFileError, NotFoundError
from bundler.ports import Publication
from bundler.transports.oci_layout.transport import LayoutDestination, LayoutSource
from tests.contracts import contents
from tests.contracts.destination import DestinationContract, assert_whole
from tests.contracts.source import SourceContract
from tests.fakes.memory import MemoryStore


def write(path, shared, store):
    with closing(LayoutDestination(path, shared)) as opened:
        contents.push_all(opened, store)
        opened.commit([Publication(root, (name,)) for name, root in store.names.items()])


class TestSource(SourceContract):
    @pytest.fixture
    def filled(self, tmp_path):
        def fill(store):
            write(tmp_path / "layout", tmp_path / "shared", store)
            return LayoutSource(tmp_path / "layout", tmp_path / "shared")

        return fill


class TestDestination(DestinationContract):
    @pytest.fixture
    def opened(self, tmp_path):
        return lambda: LayoutDestination(tmp_path / "layout", tmp_path / "new" / "shared")

    @pytest.fixture
    def source(self, tmp_path):
        return lambda: LayoutSource(tmp_path / "layout", tmp_path / "new" / "shared")


@pytest.fixture
def layouts(tmp_path):
    """Two layouts with one image each: the stores of their images, by name."""
    stores = {}
    for name in ("a", "b"):
        stores[name] = MemoryStore()
        stores[name].add_image(name, layers=[b"base", name.encode()])
        write(tmp_path / name, tmp_path / "shared", stores[name])
    return stores


def blobs(directory):
    return {path.name for path in directory.rglob("*") if path.is_file()}


def test_blobs_are_stored_in_the_shared_directory(tmp_path, layouts):
    expected = {digest.hex for store in layouts.values() for digest in store.blobs}
    assert blobs(tmp_path / "shared") == expected
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"index.json", "oci-layout"}
    with closing(LayoutDestination(tmp_path / "a", tmp_path / "shared")) as opened:
        assert all(opened.has(contents.node(layouts["b"], digest)) for digest in layouts["b"].blobs)


def test_delete_keeps_shared_blobs(tmp_path, layouts):
    before = blobs(tmp_path / "shared")
    for name in ("a", "b"):
        with closing(LayoutDestination(tmp_path / name, tmp_path / "shared")) as opened:
            opened.delete(name)
    assert blobs(tmp_path / "shared") == before
    for name in ("a", "b"):
        with (
            closing(LayoutSource(tmp_path / name, tmp_path / "shared")) as source,
            pytest.raises(NotFoundError),
        ):
            source.resolve(name)


def test_temporary_files_in_the_shared_directory_stay(tmp_path, layouts):
    part = tmp_path / "shared" / "sha256" / ".airbundle-other.part"
    part.write_bytes(b"half")
    LayoutDestination(tmp_path / "c", tmp_path / "shared").close()
    assert part.exists()


def test_two_layouts_can_be_written_at_once(tmp_path):
    store = MemoryStore()
    store.add_image("app", layers=[b"x" * 5000])
    shared = tmp_path / "shared"
    with (
        closing(LayoutDestination(tmp_path / "a", shared)) as first,
        closing(LayoutDestination(tmp_path / "b", shared)) as second,
    ):
        for opened in (first, second):
            contents.push_all(opened, store)
            opened.commit([Publication(store.names["app"], ("app",))])
    for name in ("a", "b"):
        assert_whole(lambda name=name: LayoutSource(tmp_path / name, shared), store)


def test_missing_directory_is_reported(tmp_path, layouts):
    with pytest.raises(MissingFileError) as raised:
        LayoutSource(tmp_path / "a", tmp_path / "elsewhere")
    assert raised.value.path == str(tmp_path / "elsewhere")


def test_unused_new_directories_are_removed(tmp_path):
    LayoutDestination(tmp_path / "l", tmp_path / "s" / "hared").close()
    assert list(tmp_path.iterdir()) == []
