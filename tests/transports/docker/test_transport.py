"""docker: with a registry that fails on demand; tests/interop uses real registries."""

from __future__ import annotations

import pytest

from bundler.errors import (
    ConflictError,
    DigestConflictError,
    DigestMismatchError,
    InvalidReferenceError,
    NotFoundError,
    RefusedRequestError,
    UntaggedManifestError,
)
from bundler.events import WarningIssued
from bundler.oci.digest import Digest
from bundler.ports import MountsBlobs, Node, Publication, RegistryRepository
from bundler.transports.docker.options import DockerOptions
from bundler.transports.docker.transport import TRANSPORT
from tests.fakes import images
from tests.transports.docker.repositories import content, destination, layer, push, root_of, source

LARGE = bytes(range(256)) * (5 * 4096)  # larger than the limit of a single PUT


@pytest.mark.parametrize("invalid", ["sha256:" + 64 * "a", "-ot-beta", "../x"])
def test_invalid_tags_are_omitted_with_one_warning(registry, invalid):
    body = b'{"tags":["1","%s","2"]}' % invalid.encode()
    registry.fail("GET", "tags/list", status=200, body=body, times=2)
    events = []
    assert source(registry, "a/app", emit=events.append).tags() == ["1", "2"]
    assert [type(event) for event in events] == [WarningIssued]
    assert invalid in events[0].text
    everything = source(registry, "a/app", transport_options=(DockerOptions(invalid_tags=True),))
    assert everything.tags() == ["1", invalid, "2"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("//docker.io/library/app", "latest"),
        ("//docker.io/library/app:1", "1"),
        ("//example.com:5000/app@sha256:" + 64 * "a", "sha256:" + 64 * "a"),
        ("//example.com/a/b:1@sha256:" + 64 * "b", "1@sha256:" + 64 * "b"),
    ],
)
def test_reference_round_trips(text, name):
    reference = TRANSPORT.parse(text)
    assert str(reference) == f"docker:{text}"
    assert reference.name == name


def test_reference_needs_slashes():
    with pytest.raises(InvalidReferenceError) as raised:
        TRANSPORT.parse("example.com/app:1")
    assert raised.value.hint == "write docker://example.com/app:1"


def test_pushed_index_can_be_read_back(registry):
    image = images.multi_platform("app", "linux/amd64", "linux/arm64")
    target = destination(registry, "a/app")
    push(target, image)
    assert registry.repositories["a/app"].tags == {}
    target.commit([Publication(root_of(image), ("1", "latest"))])
    target.close()
    assert registry.repositories["a/app"].tags == {"1": image.digest, "latest": image.digest}

    origin = source(registry, "a/app:1")
    assert origin.resolve() == root_of(image)
    assert origin.resolve(image.digest).digest.text == image.digest
    assert origin.tags() == ["1", "latest"]
    for blob in image.all_blobs():
        with origin.open(layer(blob.data)) as stream:
            assert stream.read(len(blob.data)) == blob.data
    origin.close()


@pytest.mark.parametrize("data", [b"", b"small", LARGE])
def test_push_accepts_blobs_of_any_size(registry, data):
    target = destination(registry, "app")
    assert target.push(layer(data), content(data)).digest == Digest.of(data)
    target.close()


def test_blob_of_another_size_is_pushed_again(registry):
    """A power cut can truncate a blob in a registry."""
    registry.repository("a/app").blobs[str(Digest.of(b"whole"))] = b"who"
    target = destination(registry, "a/app")
    assert not target.has(layer(b"whole"))
    target.push(layer(b"whole"), content(b"whole"))
    assert target.has(layer(b"whole"))
    target.close()


class TestResolve:
    def test_absent_tag_is_not_found(self, registry):
        registry.repository("library/app")
        origin = source(registry, "library/app:9")
        with pytest.raises(NotFoundError):
            origin.resolve()
        origin.close()

    def test_tag_that_points_to_its_digest_resolves(self, registry):
        digest = registry.add_image("library/app", "1")
        origin = source(registry, f"library/app:1@{digest}")
        assert origin.resolve().digest.text == digest
        origin.close()

    def test_moved_tag_is_a_conflict(self, registry):
        before = registry.add_image("library/app", "1", [b"old"])
        after = registry.add_image("library/app", "1", [b"new"])
        origin = source(registry, f"library/app:1@{before}")
        with pytest.raises(ConflictError) as caught:
            origin.resolve()
        assert before in str(caught.value)
        assert after in str(caught.value)
        origin.close()

    def test_resolve_compares_the_digest(self, registry):
        digest = registry.add_image("library/app", "1")
        registry.fail("GET", wrong_bytes=True)
        origin = source(registry, f"library/app@{digest}")
        with pytest.raises(DigestMismatchError):
            origin.resolve()
        origin.close()

    def test_manifest_is_fetched_once(self, registry):
        registry.add_image("library/app", "1")
        origin = source(registry, "library/app:1")
        root = origin.resolve()
        with origin.open(Node.of(root, "manifest")) as stream:
            assert Digest.of(stream.read()) == root.digest
        assert registry.count("GET", "manifests") == 1
        origin.close()


class TestCommit:
    def test_commit_accepts_an_image_without_a_tag(self, registry):
        image = images.image()
        target = destination(registry, "app")
        push(target, image)
        target.commit(
            [Publication(root_of(image), (image.digest,)), Publication(root_of(image), ())]
        )
        assert registry.repositories["app"].tags == {}
        target.close()

    def test_commit_refuses_another_digest_than_in_the_name(self, registry):
        image, other = images.image(), images.image(platform="linux/arm64")
        target = destination(registry, "a/app")
        push(target, image)
        for name in (other.digest, f"1@{other.digest}"):
            with pytest.raises(DigestConflictError) as raised:
                target.commit([Publication(root_of(image), (name,))])
            assert raised.value.expected == other.digest
            assert raised.value.got == image.digest
        target.commit([Publication(root_of(image), (f"1@{image.digest}",))])
        assert registry.repositories["a/app"].tags == {"1": image.digest}
        target.close()

    def test_commit_tags_an_image_that_was_not_pushed(self, registry):
        """No content is pushed in this run; the manifest is read back and compared."""
        image = images.image()
        first = destination(registry, "a/app")
        push(first, image)
        first.commit([Publication(root_of(image), ())])
        first.close()
        target = destination(registry, "a/app")
        node = Node("manifest", image.root.media_type, Digest(image.digest))
        assert target.has(node)
        registry.fail("GET", wrong_bytes=True)
        with pytest.raises(DigestMismatchError):
            target.commit([Publication(root_of(image), ("1",))])
        target.commit([Publication(root_of(image), ("1",))])
        assert target.resolve("1") == root_of(image)
        with pytest.raises(NotFoundError):
            target.resolve("2")
        target.close()

    def test_commit_refuses_one_tag_for_two_images(self, registry):
        first, other = images.image(), images.image(platform="linux/arm64")
        target = destination(registry, "a/app")
        push(target, first)
        push(target, other)
        with pytest.raises(ConflictError):
            target.commit([Publication(root_of(image), ("1",)) for image in (first, other)])
        assert registry.repositories["a/app"].tags == {}
        target.close()

    def test_commit_reports_an_immutable_tag(self, registry):
        registry.immutable_tags = True
        target = destination(registry, "a/app")
        for platform in ("linux/amd64", "linux/arm64"):
            push(target, images.image(platform=platform))
        first, other = images.image(), images.image(platform="linux/arm64")
        target.commit([Publication(root_of(first), ("1",))])
        with pytest.raises(ConflictError):
            target.commit([Publication(root_of(other), ("1",))])
        assert registry.repositories["a/app"].tags == {"1": first.digest}
        target.close()


def test_mount_within_a_registry(registry):
    origin = source(registry, "base/os:1")
    target = destination(registry, "a/app")
    digest = Digest(registry.add_blob("base/os", b"layer"))
    assert isinstance(target, MountsBlobs)
    assert isinstance(origin, RegistryRepository)
    assert origin.mount_scope == target.mount_scope
    assert target.mount(layer(b"layer"), origin.repository)
    assert str(digest) in registry.repositories["a/app"].blobs
    origin.close()
    target.close()


class TestManifestRequests:
    """The PUT requests of manifests, and their references."""

    def puts(self, registry):
        return [item.path.rpartition("/")[2] for item in registry.find_requests("PUT", "manifests")]

    def test_single_image_is_put_once_by_its_tag(self, registry):
        image = images.image()
        target = destination(registry, "app")
        push(target, image)
        assert target.has(Node.of(root_of(image), "manifest"))
        target.commit([Publication(root_of(image), ("1",))])
        target.close()
        assert self.puts(registry) == ["1"]
        assert image.digest in registry.repositories["app"].manifests

    def test_children_are_put_by_digest_before_their_index(self, registry):
        image = images.multi_platform("app", "linux/amd64", "linux/arm64")
        target = destination(registry, "app")
        push(target, image)
        target.commit([Publication(root_of(image), ("1", "2"))])
        target.close()
        children = [item.digest for item in image.manifests()[:-1]]
        assert sorted(self.puts(registry)[:2]) == sorted(children)
        assert sorted(self.puts(registry)[2:]) == ["1", "2"]

    def test_registry_that_refuses_digests_receives_a_tag(self, registry):
        registry.fail("PUT", "/manifests/sha256:", status=405, times=None)
        image = images.image()
        target = destination(registry, "app")
        push(target, image)
        target.commit([Publication(root_of(image), ("1",))])
        target.close()
        assert registry.repositories["app"].tags == {"1": image.digest}

    @pytest.mark.parametrize(
        "refusal",
        [(405, ""), (501, ""), (400, "TAG_INVALID"), (400, "NAME_INVALID"), (404, "UNSUPPORTED")],
    )
    def test_registry_that_refuses_digests_cannot_store_an_index(self, registry, refusal):
        status, code = refusal
        body = b'{"errors":[{"code":"%s"}]}' % code.encode()
        registry.fail("PUT", "/manifests/sha256:", times=None, status=status, body=body)
        image = images.multi_platform("app", "linux/amd64", "linux/arm64")
        target = destination(registry, "app")
        with pytest.raises(UntaggedManifestError) as raised:
            push(target, image)
        target.close()
        assert raised.value.manifest in {item.digest for item in image.manifests()}
        assert raised.value.exchange.status == status

    def test_missing_child_is_named_as_missing_content(self, registry):
        image = images.multi_platform("app", "linux/amd64", "linux/arm64")
        target = destination(registry, "app")
        root = root_of(image)
        target.push(
            Node("manifest", root.media_type, root.digest, root.size), content(image.root.data)
        )
        with pytest.raises(RefusedRequestError) as caught:
            target.commit([Publication(root_of(image), ("1",))])
        target.close()
        assert caught.value.status == 404
        assert "lacks content" in caught.value.message
