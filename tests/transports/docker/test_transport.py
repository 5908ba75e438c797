"""docker: against a registry that fails on demand; tests/interop has the real ones."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO

import pytest

from bundler.config.paths import ConfigPathOverrides
from bundler.config.registry_access import Credentials, RegistryOverride
from bundler.config.settings import Settings
from bundler.content.streams.verified import VerifiedReader
from bundler.errors import (
    ConfigError,
    ConflictError,
    DigestConflictError,
    DigestMismatchError,
    InvalidReferenceError,
    NotFoundError,
)
from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.ports import MountsBlobs, Node, OpenOptions, Publication, RegistryRepository
from bundler.transports.docker import session_pool
from bundler.transports.docker.transport import TRANSPORT, DockerDestination, DockerSource
from tests.fakes import images
from tests.fakes.registry import FakeRegistry

LARGE = bytes(range(256)) * (5 * 4096)  # above what one PUT takes


@pytest.fixture
def registry():
    with FakeRegistry() as running:
        yield running


def options(*registries, **more):
    plain = {one.host: RegistryOverride(plain_http=True) for one in registries}
    return OpenOptions(Settings(), overrides=plain, **more)


def source(registry, name, **more) -> DockerSource:
    return TRANSPORT.source(TRANSPORT.parse(f"//{registry.host}/{name}"), options(registry, **more))


def destination(registry, name, **more) -> DockerDestination:
    reference = TRANSPORT.parse(f"//{registry.host}/{name}")
    return TRANSPORT.destination(reference, options(registry, **more))


def content(data: bytes) -> VerifiedReader:
    return VerifiedReader(BytesIO(data), "test", digest=Digest.of(data), size=len(data))


def layer(data: bytes) -> Node:
    return Node("layer", images.OCI["tar"], Digest.of(data), len(data))


def root_of(image: images.Image) -> Descriptor:
    return Descriptor(image.root.media_type, Digest(image.digest), len(image.root.data))


def push(target: DockerDestination, image: images.Image) -> None:
    for blob in image.all_blobs():
        target.push(layer(blob.data), content(blob.data))
    for manifest in image.manifests():
        node = Node("manifest", manifest.media_type, Digest(manifest.digest), len(manifest.data))
        target.push(node, content(manifest.data))


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
    with pytest.raises(InvalidReferenceError, match="slashes"):
        TRANSPORT.parse("example.com/app:1")


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
    """What a power cut left of a blob is pushed again."""
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
        with pytest.raises(NotFoundError, match="library/app:9"):
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
        with pytest.raises(ConflictError, match="the tag has moved") as caught:
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


class TestMirrors:
    @pytest.fixture
    def mirror(self):
        with FakeRegistry() as running:
            yield running

    @pytest.fixture
    def configured(self, registry, mirror, tmp_path):
        """The registry under its own name, and its mirror, as registries.conf has them."""
        file = tmp_path / "registries.conf"
        file.write_text(
            f"""
            [[registry]]
            location = "{registry.host}"
            insecure = true
            [[registry.mirror]]
            location = "{mirror.host}/copies"
            insecure = true
            """
        )
        settings = Settings.load(
            {}, tmp_path, 1000, ConfigPathOverrides(registries_conf=file, run=tmp_path)
        )
        told = []
        return OpenOptions(settings, emit=told.append), told

    def open(self, registry, options, text="library/app:1"):
        return TRANSPORT.source(TRANSPORT.parse(f"//{registry.host}/{text}"), options)

    def test_mirror_is_queried_first(self, registry, mirror, configured):
        options, told = configured
        digest = mirror.add_image("copies/library/app", "1", [b"layer"])
        origin = self.open(registry, options)
        assert origin.served_by is None
        assert origin.resolve().digest.text == digest
        with origin.open(layer(b"layer")) as stream:
            assert stream.read(9) == b"layer"
        assert origin.served_by == f"{mirror.host}/copies/library/app"
        assert registry.requests == []
        assert [event.text for event in told] == [
            f"{registry.host}/library/app: read from mirror {mirror.host}/copies/library/app"
        ]
        assert (origin.mount_scope, origin.repository) == (registry.host, "library/app")
        origin.close()

    def test_registry_serves_content_that_the_mirror_lacks(self, registry, mirror, configured):
        options, _ = configured
        mirror.add_blob("copies/library/app", b"layer")
        digest = registry.add_image("library/app", "1", [b"layer", b"another"])
        origin = self.open(registry, options)
        assert origin.resolve().digest.text == digest
        assert origin.served_by is None
        for data in (b"layer", b"another"):
            with origin.open(layer(data)) as stream:
                assert stream.read(9) == data
        assert mirror.count("GET", "/blobs/") == 2
        assert registry.count("GET", "/blobs/") == 1
        origin.close()

    def test_failing_mirror_is_left_out(self, registry, mirror, configured):
        options, told = configured
        registry.add_image("library/app", "1", [b"layer"])
        mirror.fail(path="copies", status=403, times=None)
        origin = self.open(registry, options)
        origin.resolve()
        asked = len(mirror.requests)
        with origin.open(layer(b"layer")):
            pass
        assert len(mirror.requests) == asked
        assert "is left out" in told[0].text
        origin.close()

    def test_content_that_no_endpoint_has_is_reported(self, registry, mirror, configured):
        origin = self.open(registry, configured[0])
        with pytest.raises(NotFoundError, match=f"{registry.host}/library/app:1"):
            origin.resolve()
        origin.close()

    def test_tags_are_listed_by_the_registry(self, registry, mirror, configured):
        registry.add_image("library/app", "real")
        mirror.add_image("copies/library/app", "stale")
        origin = self.open(registry, configured[0])
        assert origin.tags() == ["real"]
        origin.close()

    def test_credentials_are_not_sent_to_mirrors(self, registry, mirror, configured):
        registry.auth = mirror.auth = "basic"
        registry.add_image("library/app", "1")
        user = RegistryOverride(credentials=Credentials("user", "password"), plain_http=True)
        options = replace(configured[0], overrides={registry.host: user})
        origin = self.open(registry, options)
        origin.resolve()
        assert mirror.requests
        assert all("authorization" not in request.headers for request in mirror.requests)
        origin.close()

    def test_push_goes_to_the_registry(self, registry, mirror, configured):
        target = TRANSPORT.destination(TRANSPORT.parse(f"//{registry.host}/app"), configured[0])
        push(target, images.image())
        target.close()
        assert mirror.requests == []


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
        """Nothing of it is pushed in this run; its manifest is read back, and compared."""
        image = images.image()
        first = destination(registry, "a/app")
        push(first, image)
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
        one, other = images.image(), images.image(platform="linux/arm64")
        target = destination(registry, "a/app")
        push(target, one)
        push(target, other)
        with pytest.raises(ConflictError, match="two images"):
            target.commit([Publication(root_of(each), ("1",)) for each in (one, other)])
        assert registry.repositories["a/app"].tags == {}
        target.close()

    def test_commit_reports_an_immutable_tag(self, registry):
        registry.immutable_tags = True
        target = destination(registry, "a/app")
        for platform in ("linux/amd64", "linux/arm64"):
            push(target, images.image(platform=platform))
        one, other = images.image(), images.image(platform="linux/arm64")
        target.commit([Publication(root_of(one), ("1",))])
        with pytest.raises(ConflictError, match="immutable"):
            target.commit([Publication(root_of(other), ("1",))])
        target.close()


class TestReferrers:
    @pytest.fixture(params=[True, False], ids=["api", "fallback tag"])
    def registry(self, request):
        with FakeRegistry(referrers=request.param) as running:
            yield running

    def test_referrer_is_listed_under_the_fallback_tag(self, registry):
        image = images.image()
        notes = [
            images.artifact("application/x.note", text, subject=image, annotations={"n": "1"})
            for text in (b"one", b"two")
        ]
        target = destination(registry, "a/app")
        for one in (image, *notes):
            push(target, one)
        target.commit([Publication(root_of(one), ()) for one in (image, *notes)])
        target.close()

        origin = source(registry, "a/app")
        found = origin.referrers(Digest(image.digest))
        assert {item.digest.text for item in found} == {one.digest for one in notes}
        assert {item.artifact_type for item in found} == {"application/x.note"}
        assert all(item.annotations == {"n": "1"} for item in found)
        origin.close()
        tags = registry.repositories["a/app"].tags
        assert list(tags) == ([] if registry.referrers else [f"sha256-{image.digest[7:]}"])

    def test_referrer_is_listed_once(self, registry):
        image = images.image()
        note = images.artifact("application/x.note", b"one", subject=image)
        for _ in range(3):
            target = destination(registry, "a/app")
            push(target, image)
            push(target, note)
            target.commit([Publication(root_of(note), ())])
            target.close()
        origin = source(registry, "a/app")
        assert len(origin.referrers(Digest(image.digest))) == 1
        origin.close()

    def test_rerun_lists_a_referrer_of_an_interrupted_run(self, registry):
        image = images.image()
        note = images.artifact("application/x.note", b"one", subject=image)
        stopped = destination(registry, "a/app")
        push(stopped, image)
        push(stopped, note)
        stopped.close()
        target = destination(registry, "a/app")
        target.commit([Publication(root_of(note), ())])
        target.close()
        origin = source(registry, "a/app")
        assert len(origin.referrers(Digest(image.digest))) == 1
        origin.close()


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


def test_repositories_of_a_registry_share_one_session(registry):
    """One token service, one set of limits; it goes when the last one is closed."""
    before = len(session_pool._sessions)
    registry.auth = "basic"
    user = RegistryOverride(credentials=Credentials("user", "password"), plain_http=True)
    shared = OpenOptions(Settings(), overrides={registry.host: user})
    opened = [
        TRANSPORT.source(TRANSPORT.parse(f"//{registry.host}/{name}:1"), shared)
        for name in ("a/a", "b/b", "c/c")
    ]
    for name, origin in zip(("a/a", "b/b", "c/c"), opened, strict=True):
        registry.add_image(name, "1")
        origin.resolve()
        origin.close()
    assert sum("authorization" not in request.headers for request in registry.requests) == 1
    assert len(session_pool._sessions) == before


def test_blocked_registry_opens_no_session(registry, tmp_path):
    before = len(session_pool._sessions)
    file = tmp_path / "registries.conf"
    file.write_text(f'[[registry]]\nlocation = "{registry.host}"\nblocked = true\n')
    blocked = OpenOptions(
        Settings.load({}, tmp_path, 1000, ConfigPathOverrides(registries_conf=file, run=tmp_path))
    )
    reference = TRANSPORT.parse(f"//{registry.host}/app:1")
    for open_it in (TRANSPORT.source, TRANSPORT.destination):
        with pytest.raises(ConfigError, match="blocked"):
            open_it(reference, blocked)
    assert len(session_pool._sessions) == before
