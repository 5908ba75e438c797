"""Contract of every source; the tests of a transport inherit it and create the source."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bundler.errors import NotFoundError
from bundler.oci import manifest
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.ports import KnowsNames, ListsTags, Node
from bundler.transports.shared.reachability import find_reachable
from tests.contracts import contents
from tests.contracts.exclusions import Contract
from tests.fakes.memory import MemoryStore

if TYPE_CHECKING:
    from bundler.ports import Source

_NOTHING = Descriptor("application/x", Digest.of(b"nobody"), 6)


class SourceContract(Contract):
    """Base of test classes, which define the fixture ``filled``."""

    new_store = MemoryStore
    """Store in which the images are created."""
    keeps_manifests = True
    """Whether the manifests of the source are those of the store."""
    many_images = True
    """Whether a source can contain several images."""

    def name(self, name: str, root: Descriptor) -> str | None:
        """Return the name that ``resolve`` expects for the image ``name`` of the store."""
        return name

    @pytest.fixture
    def filled(self, tmp_path):
        """A function that returns an open source of the images in a store."""
        raise NotImplementedError

    @pytest.fixture
    def image(self, filled):
        store = self.new_store()
        root = store.add_image("app", layers=[bytes(range(256)) * 9000, b""])
        source = filled(store)
        yield store, root, source
        source.close()

    def test_is_hashed_by_identity(self, image):
        """The engine keys its tasks by source."""
        _, _, source = image
        assert {source: "found"}.get(source) == "found"

    def test_resolve_returns_the_root_of_a_name(self, image):
        _, root, source = image
        found = source.resolve(self.name("app", root))
        if self.keeps_manifests:
            assert (found.media_type, found.digest, found.size) == (
                root.media_type,
                root.digest,
                root.size,
            )
        assert read(source, Node.of(found, "manifest"))

    def test_content_matches_descriptors(self, image):
        _, root, source = image
        found = source.resolve(self.name("app", root))
        graph = find_reachable([found], source)
        parts = [Node.of(item, "manifest") for item in graph.manifests.values()]
        parts += [Node.of(item, "layer") for item in graph.blobs.values()]
        assert len(parts) == 4
        for part in parts:
            data = read(source, part)
            assert (Digest.of(data), len(data)) == (part.digest, part.size)

    def test_resolve_reports_an_unknown_name(self, image):
        _, _, source = image
        with pytest.raises(NotFoundError):
            source.resolve(self.name("nobody", _NOTHING))

    def test_open_reports_an_unknown_blob(self, image):
        _, root, source = image
        source.resolve(self.name("app", root))
        nowhere = Node("layer", "application/x", Digest.of(b"nowhere"), 7)
        with pytest.raises(NotFoundError), source.open(nowhere):
            pass

    def test_open_starts_at_any_offset(self, image):
        _, root, source = image
        found = source.resolve(self.name("app", root))
        raw = read(source, Node.of(found, "manifest"))
        layer = Node.of(manifest.parse(raw, found.media_type).layers[0], "layer")
        whole = read(source, layer)
        for offset in (0, 1, 1000, len(whole) - 1, len(whole)):
            with source.open(layer, offset) as stream:
                assert contents.read_rest(stream) == whole[offset:]

    def test_readinto_fills_small_buffers_and_ends_with_zero(self, image):
        _, root, source = image
        found = source.resolve(self.name("app", root))
        target = Node.of(found, "manifest")
        whole = read(source, target)
        buffer = memoryview(bytearray(7))
        data = b""
        with source.open(target) as stream:
            while count := stream.readinto(buffer):
                data += buffer[:count]
            assert stream.readinto(buffer) == 0
            assert stream.read(10) == b""
        assert data == whole

    def test_streams_of_one_blob_are_independent(self, image):
        _, root, source = image
        found = source.resolve(self.name("app", root))
        target = Node.of(found, "manifest")
        whole = read(source, target)
        with source.open(target) as first, source.open(target) as second:
            assert first.read(5) == second.read(5) == whole[:5]
            assert read(source, target) == whole

    def test_threads_can_read_in_parallel(self, image):
        _, root, source = image
        found = source.resolve(self.name("app", root))
        graph = find_reachable([found], source)
        parts = [Node.of(item, "layer") for item in graph.blobs.values()] * 8
        with ThreadPoolExecutor(8) as pool:
            read_back = pool.map(lambda part: read(source, part), parts)
            for part, data in zip(parts, read_back, strict=True):
                assert Digest.of(data) == part.digest

    def test_open_needs_no_resolve(self, filled):
        store = self.new_store()
        root = store.add_image("app", layers=[b"x" * 2000], compress=False)
        with closing(filled(store)) as first:
            found = first.resolve(self.name("app", root))
        with closing(filled(store)) as second:
            raw = read(second, Node.of(found, "manifest"))
        assert Digest.of(raw) == found.digest

    def test_open_returns_manifests_of_all_kinds_unchanged(self, filled):
        if not self.keeps_manifests:
            pytest.skip("does not keep manifests")
        store, root = contents.create_mixed_index()
        with closing(filled(store)) as source:
            assert source.resolve(self.name("all", root)).digest == root.digest
            for digest, data in store.blobs.items():
                assert read(source, contents.node(store, digest)) == data

    def test_resolve_without_name_needs_a_single_image(self, filled):
        if not self.many_images:
            pytest.skip("contains one image")
        store = self.new_store()
        store.add_image("a", layers=[b"a"])
        if self.name("a", store.names["a"]) == "a":
            with closing(filled(store)) as source:
                assert source.resolve().size
        store.add_image("b", layers=[b"b"])
        with closing(filled(store)) as source, pytest.raises(NotFoundError):
            source.resolve()

    def test_tags_lists_all_names(self, filled):
        if not self.many_images:
            pytest.skip("contains one image")
        store = self.new_store()
        roots = {name: store.add_image(name, layers=[name.encode()]) for name in ("b", "a")}
        with closing(filled(store)) as source:
            assert isinstance(source, ListsTags)
            assert sorted(source.tags()) == sorted(
                self.listed(name, root) for name, root in roots.items()
            )

    def test_known_names_are_those_that_resolve(self, filled):
        store = self.new_store()
        root = store.add_image("a", layers=[b"a"])
        with closing(filled(store)) as source:
            if not isinstance(source, KnowsNames):
                pytest.skip("looks names up")
            assert list(source.names) == [self.listed("a", root)]
            assert source.resolve(self.listed("a", root)).digest == root.digest

    def listed(self, name: str, root: Descriptor) -> str | None:
        """Return the name that ``tags`` lists for the image ``name`` of the store."""
        return self.name(name, root)


def read(source: Source, node: Node) -> bytes:
    with source.open(node) as stream:
        return contents.read_rest(stream)
