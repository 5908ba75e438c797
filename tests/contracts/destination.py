"""Contract of every destination; the tests of a transport inherit it and open the destination."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bundler.content.streams import VerifiedReader
from bundler.errors import (
    ConflictError,
    DigestMismatchError,
    MediumError,
    NotFoundError,
    SizeMismatchError,
)
from bundler.oci.digest import Digest
from bundler.ports import Node, Publication, ReadableDestination
from tests.contracts import contents
from tests.contracts.contents import publish, push, push_all
from tests.contracts.exclusions import Contract
from tests.fakes.memory import MemoryStore

if TYPE_CHECKING:
    from bundler.oci.descriptor import Descriptor


class DestinationContract(Contract):
    """Base of test classes, which define the fixtures ``opened`` and ``source``."""

    new_store = MemoryStore
    """Store in which the images are created."""
    many_images = True
    """Whether several images can be committed, by names."""
    accepts_sha512 = True
    """Whether digests may be sha512."""
    keeps_manifests = True
    """Whether manifests can be read back unchanged."""
    accepts_compressed = True
    """Whether layers may be compressed."""
    replaces_all = False
    """Whether each run replaces all content, so that no run finds that of an earlier one."""

    def name(self, name: str, root: Descriptor) -> str | None:
        """Return the name of the image ``root`` for ``commit`` and ``resolve``; None: no name."""
        return name

    @pytest.fixture
    def opened(self, tmp_path):
        """A function that opens the same destination on each call."""
        raise NotImplementedError

    @pytest.fixture
    def source(self, tmp_path):
        """A function that opens the written images as a source."""
        raise NotImplementedError

    @pytest.fixture
    def destination(self, opened):
        with closing(opened()) as destination:
            yield destination

    def publish(self, destination, root, name="app"):
        called = self.name(name, root)
        publish(destination, root, *([] if called is None else [called]))

    def test_is_hashed_by_identity(self, destination):
        """A plan keys its tasks by destination."""
        assert {destination: "found"}.get(destination) == "found"
        assert destination != object()

    def test_has_reports_only_pushed_content(self, destination):
        store = self.new_store()
        digest = store.add_blob(b"some bytes")
        target = contents.node(store, digest)
        assert not destination.has(target)
        push(destination, store, digest)
        assert destination.has(target)
        assert not destination.has(Node("layer", "application/x", Digest.of(b"others"), 6))

    def test_has_compares_sizes(self, destination):
        store = self.new_store()
        digest = store.add_blob(b"some bytes")
        push(destination, store, digest)
        assert not destination.has(Node("layer", "application/x", digest, 11))

    def test_push_accepts_an_empty_blob(self, destination):
        store = self.new_store()
        target = push(destination, store, store.add_blob(b""))
        assert destination.has(target)

    def test_push_accepts_sha512(self, opened, source):
        if not self.accepts_sha512:
            pytest.skip("accepts sha256 only")
        store = self.new_store()
        root = store.add_image(layers=[b"x" * 3000], algorithm="sha512")
        manifest = store.add_index(manifests=[root])
        with closing(opened()) as destination:
            push_all(destination, store)
            self.publish(destination, manifest)
        with closing(source()) as reading:
            for digest, data in store.blobs.items():
                with reading.open(contents.node(store, digest)) as stream:
                    assert contents.read_rest(stream) == data

    def test_push_of_wrong_bytes_stores_nothing(self, destination):
        target = Node("layer", "application/x", Digest.of(b"right"), 5)
        with pytest.raises(DigestMismatchError):
            destination.push(target, contents.content(b"wrong", target))
        assert not destination.has(target)

    def test_push_of_too_few_bytes_stores_nothing(self, destination):
        target = Node("layer", "application/x", Digest.of(b"x" * 5000), 5000)
        with pytest.raises(SizeMismatchError):
            destination.push(target, contents.content(b"x" * 4999, target))
        assert not destination.has(target)

    def test_interrupted_push_stores_nothing_and_can_be_repeated(self, destination):
        store = self.new_store()
        data = b"y" * 100_000
        target = contents.node(store, store.add_blob(data))
        broken = VerifiedReader(
            contents.Broken(data, step=4096), "test", digest=target.digest, size=target.size
        )
        with pytest.raises(MediumError):
            destination.push(target, broken)
        assert not destination.has(target)
        push(destination, store, target.digest)
        assert destination.has(target)

    def test_push_computes_an_unknown_digest(self, destination):
        reader = VerifiedReader(contents.Chunks(b"made"), "test", digest=None, size=None)
        stored = destination.push(Node("layer", "application/x"), reader)
        assert (stored.digest, stored.size) == (Digest.of(b"made"), 4)
        assert destination.has(Node("layer", "application/x", stored.digest, 4))

    def test_push_of_present_content_changes_nothing(self, destination):
        store = self.new_store()
        digest = store.add_blob(b"twice")
        push(destination, store, digest)
        push(destination, store, digest)
        assert destination.has(contents.node(store, digest))

    def test_pushes_run_in_parallel(self, destination):
        """Two pushes that wait for each other complete."""
        if destination.capabilities.writers == 1:
            pytest.skip("accepts one blob at a time")
        barrier = threading.Barrier(2, timeout=20)
        store = self.new_store()
        digests = [store.add_blob(b"a" * 5000), store.add_blob(b"b" * 5000)]

        def together(digest):
            target = contents.node(store, digest)
            reader = VerifiedReader(
                contents.Chunks(store.blobs[digest], step=4000),
                "test",
                digest=digest,
                size=target.size,
                observe=lambda count: barrier.wait() if count == 4000 else None,
            )
            return destination.push(target, reader)

        with ThreadPoolExecutor(2) as pool:
            assert {stored.digest for stored in pool.map(together, digests)} == set(digests)

    def test_threads_can_push_the_same_blob(self, destination):
        if destination.capabilities.writers == 1:
            pytest.skip("accepts one blob at a time")
        store = self.new_store()
        digest = store.add_blob(b"z" * 50_000)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: push(destination, store, digest), range(16)))
        assert destination.has(contents.node(store, digest))

    def test_only_commit_changes_names(self, opened, source):
        if not self.keeps_manifests:
            pytest.skip("does not keep manifests")
        store = self.new_store()
        first = store.add_image(layers=[b"first"])
        with closing(opened()) as destination:
            push_all(destination, store)
            self.publish(destination, first)
        later = self.new_store()
        later.add_image(layers=[b"second"])
        with closing(opened()) as destination:
            push_all(destination, later)
            assert self.resolved(source, "app", first) == first.digest
        assert self.resolved(source, "app", first) == first.digest

    def test_no_name_exists_before_the_first_commit(self, opened, source):
        store = self.new_store()
        root = store.add_image(layers=[b"x"], compress=self.accepts_compressed)
        with closing(opened()) as destination:
            push_all(destination, store)
        with pytest.raises(NotFoundError):
            self.resolved(source, "app", root)

    def test_commit_moves_a_name_to_another_image(self, opened, source):
        if not self.keeps_manifests:
            pytest.skip("does not keep manifests")
        for layer in (b"former", b"latter"):
            store = self.new_store()
            root = store.add_image(layers=[layer])
            with closing(opened()) as destination:
                push_all(destination, store)
                self.publish(destination, root)
            assert self.resolved(source, "app", root) == root.digest
            assert_whole(source, store)

    def test_source_returns_the_pushed_bytes(self, opened, source):
        if not self.keeps_manifests:
            pytest.skip("does not keep manifests")
        store, root = contents.create_mixed_index()
        with closing(opened()) as destination:
            push_all(destination, store)
            self.publish(destination, root)
        assert self.resolved(source, "app", root) == root.digest
        assert_whole(source, store)

    def test_second_run_finds_all_content(self, opened, source):
        if self.replaces_all:
            pytest.skip("replaces all content")
        store, root = contents.create_mixed_index()
        for _ in range(2):
            with closing(opened()) as destination:
                push_all(destination, store)
                self.publish(destination, root)
        with closing(opened()) as destination:
            assert all(destination.has(contents.node(store, digest)) for digest in store.blobs)
            self.publish(destination, root)
        assert_whole(source, store)

    def test_run_finds_blobs_of_an_interrupted_run(self, opened):
        if self.replaces_all:
            pytest.skip("replaces all content")
        store, _ = contents.create_mixed_index()
        with closing(opened()) as destination:
            push_all(destination, store)
        with closing(opened()) as destination:
            nodes = [contents.node(store, digest) for digest in store.blobs]
            assert all(destination.has(node) for node in nodes if node.kind != "manifest")

    def test_pushed_content_can_be_read_back(self, opened):
        store, root = contents.create_mixed_index()
        with closing(opened()) as destination:
            if not isinstance(destination, ReadableDestination):
                pytest.skip("the destination cannot be read")
            for step in ("pushed", "published"):
                if step == "pushed":
                    push_all(destination, store)
                else:
                    self.publish(destination, root)
                for digest, data in store.blobs.items():
                    with destination.open(contents.node(store, digest), 1) as stream:
                        assert contents.read_rest(stream) == data[1:]

    def test_images_can_share_blobs(self, opened, source):
        if not self.many_images or not self.keeps_manifests:
            pytest.skip("contains one image, or does not keep manifests")
        store = self.new_store()
        roots = {
            name: store.add_image(layers=[b"shared", name.encode()]) for name in ("a", "b", "c")
        }
        with closing(opened()) as destination:
            push_all(destination, store)
            destination.commit(
                [Publication(root, (self.name(name, root),)) for name, root in roots.items()]
            )
        for name, root in roots.items():
            assert self.resolved(source, name, root) == root.digest
        assert_whole(source, store)

    def test_commit_keeps_other_names(self, opened, source):
        if not self.many_images or self.replaces_all:
            pytest.skip("contains one image, or replaces all content")
        roots = {}
        for name in ("a", "b"):
            store = self.new_store()
            roots[name] = store.add_image(layers=[name.encode()])
            with closing(opened()) as destination:
                push_all(destination, store)
                self.publish(destination, roots[name], name)
        for name, root in roots.items():
            assert self.resolved(source, name, root) == root.digest

    def test_commit_refuses_one_name_for_two_images(self, opened):
        if not self.many_images:
            pytest.skip("contains one image")
        store = self.new_store()
        first, second = (
            store.add_image(layers=[data], compress=self.accepts_compressed)
            for data in (b"1", b"2")
        )
        with closing(opened()) as destination:
            push_all(destination, store)
            name = self.name("app", first)
            with pytest.raises(ConflictError):
                destination.commit([Publication(first, (name,)), Publication(second, (name,))])

    def resolved(self, source, name, root):
        with closing(source()) as reading:
            return reading.resolve(self.name(name, root)).digest


def assert_whole(source, store):
    with closing(source()) as reading:
        for digest, data in store.blobs.items():
            with reading.open(contents.node(store, digest)) as stream:
                assert contents.read_rest(stream) == data
