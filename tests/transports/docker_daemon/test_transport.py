"""The contracts, with ``docker-daemon:`` and an engine in this process."""

from __future__ import annotations

from contextlib import closing

import pytest

from bundler import transports
from bundler.errors import (
    ConflictError,
    IntegrityError,
    InvalidReferenceError,
    MalformedError,
    NotFoundError,
    UnsupportedError,
)
from bundler.oci import manifest
from bundler.oci.digest import Digest
from bundler.ports import Node, Publication
from bundler.transports.docker_daemon.transport import DaemonDestination
from tests.contracts import contents
from tests.contracts.destination import DestinationContract
from tests.contracts.source import SourceContract, read
from tests.fakes.memory import MemoryStore
from tests.transports.docker_daemon.opening import create_options, open_source, publish
from tests.transports.handwritten import docker_archive_files, unpack


class TestSource(SourceContract):
    keeps_manifests = False
    many_images = False

    def name(self, name, root):
        return f"docker.io/library/{name}:latest"

    @pytest.fixture
    def filled(self, engine, options):
        def fill(store):
            for name, root in store.names.items():
                engine.add(docker_archive_files(store, root), f"{name}:latest")
            return open_source("app", options)

        return fill


class TestDestination(DestinationContract):
    replaces_all = True
    keeps_manifests = False
    accepts_sha512 = False

    def name(self, name, root):
        return f"docker.io/library/{name}:latest"

    @pytest.fixture
    def opened(self, options):
        return lambda: DaemonDestination(options)

    @pytest.fixture
    def source(self, options):
        return lambda: open_source("app", options)


@pytest.mark.parametrize(
    ("text", "full"),
    [
        ("app", "docker-daemon:docker.io/library/app:latest"),
        ("h:5/app:1", "docker-daemon:h:5/app:1"),
        ("app@sha256:" + "0" * 64, "docker-daemon:docker.io/library/app@sha256:" + "0" * 64),
        ("sha256:" + "0" * 64, "docker-daemon:sha256:" + "0" * 64),
    ],
)
def test_name_is_normalized_like_docker(text, full):
    reference = transports.parse(f"docker-daemon:{text}")
    assert str(reference) == full
    assert transports.parse(full) == reference


@pytest.mark.parametrize("rest", ["", "UPPER", "sha256:abc", "sha256:" + "g" * 64, "0" * 64])
def test_invalid_reference_is_refused(rest):
    with pytest.raises(InvalidReferenceError):
        transports.parse(f"docker-daemon:{rest}")


@pytest.mark.parametrize("rest", ["sha256:" + "0" * 64, "app@sha256:" + "0" * 64])
def test_digest_in_a_destination_is_refused(options, rest):
    reference = transports.parse(f"docker-daemon:{rest}")
    with pytest.raises(UnsupportedError) as raised:
        transports.open_destination(reference, options)
    assert "NAME:TAG" in raised.value.hint


@pytest.mark.parametrize(
    ("text", "queried"),
    [
        ("app", "app:latest"),
        ("user/app:1", "user/app:1"),
        ("docker.io/library/a/b:1", "library/a/b:1"),
        ("localhost/app:1", "localhost/app:1"),
        ("sha256:" + "1" * 64, "sha256:" + "1" * 64),
    ],
)
def test_engine_is_queried_by_the_short_name(engine, options, text, queried):
    with closing(open_source(text, options)) as opened, pytest.raises(NotFoundError):
        opened.resolve()
    assert engine.requests == [f"GET /images/{queried}/get"]


def test_image_is_saved_once_and_leaves_no_file(engine, options, store):
    with closing(open_source("app", options)) as opened:
        root = opened.resolve()
        assert Digest.of(read(opened, Node.of(root, "manifest"))) == root.digest
        assert opened.resolve() == root
        assert list(options.scratch.iterdir()) == []
    assert len(engine.requests) == 1


def test_image_can_be_read_by_its_id(engine, options, store):
    identity = next(name for name in engine.images if name.startswith("sha256:"))
    with closing(open_source(identity, options)) as opened:
        parsed = manifest.parse(read(opened, Node.of(opened.resolve(), "manifest")), None)
        assert parsed.config.digest.text == identity


def test_response_that_is_not_an_archive_is_refused(engine, options):
    engine.images["app:latest"] = b"not an archive" * 100
    with closing(open_source("app", options)) as opened, pytest.raises(MalformedError):
        opened.resolve()


def test_loaded_image_keeps_config_and_layers(engine, options):
    store = MemoryStore()
    root = store.add_image("app", layers=[b"one" * 9000, b"two"])
    publish(options, store, "docker.io/library/app:1", "example.com/app:1")
    pushed = manifest.parse(store.blobs[root.digest], None)
    assert {"app:1", "example.com/app:1", pushed.config.digest.text} <= set(engine.images)
    with closing(open_source("app:1", options)) as opened:
        parsed = manifest.parse(read(opened, Node.of(opened.resolve(), "manifest")), None)
        assert parsed.config.digest == pushed.config.digest
        assert [read(opened, Node.of(layer, "layer")) for layer in parsed.layers] == [
            unpack(store.blobs[layer.digest]) for layer in pushed.layers
        ]
    assert list(options.scratch.iterdir()) == []


def test_nothing_is_loaded_before_commit(engine, options):
    store = MemoryStore()
    store.add_image("app", layers=[b"one"])
    with closing(DaemonDestination(options)) as destination:
        contents.push_all(destination, store)
    assert engine.requests == []


def test_image_with_an_absent_layer_is_refused(engine, options):
    store = MemoryStore()
    root = store.add_image("app", layers=[b"one"])
    with closing(DaemonDestination(options)) as destination:
        with pytest.raises(IntegrityError):
            contents.push(destination, store, root.digest)
        with pytest.raises(IntegrityError):
            destination.commit([Publication(root, ("app:1",))])
    assert engine.requests == []


def test_artifact_is_refused(engine, options):
    store = MemoryStore()
    store.add_artifact("app")
    with pytest.raises(UnsupportedError):
        publish(options, store, "app:1")
    assert engine.requests == []


def test_commit_refuses_one_name_for_two_images(engine, options):
    store = MemoryStore()
    roots = [store.add_image(layers=[data]) for data in (b"1", b"2")]
    with closing(DaemonDestination(options)) as destination:
        contents.push_all(destination, store)
        with pytest.raises(ConflictError):
            destination.commit([Publication(root, ("app:1",)) for root in roots])
    assert engine.requests == []


def test_default_directory_for_temporary_files(engine, store):
    with closing(open_source("app", create_options(engine.host))) as opened:
        assert opened.resolve()
