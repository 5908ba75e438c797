"""``docker-daemon:`` keeps to the contracts as far as an engine lets it, and tells of failures."""

from __future__ import annotations

import socket
import tempfile
import threading
from contextlib import closing

import pytest

from bundler import transports
from bundler.cancel import Cancellation
from bundler.config.settings import Settings
from bundler.errors import (
    CancelledError,
    ConflictError,
    EngineUnreachableError,
    IntegrityError,
    InvalidReferenceError,
    MalformedError,
    NotFoundError,
    RegistryError,
    UnsupportedError,
)
from bundler.oci import manifest
from bundler.oci.digest import Digest
from bundler.ports import Node, OpenOptions, Publication
from bundler.transports.docker_daemon.transport import DaemonDestination
from tests.contracts import contents
from tests.contracts.destination import DestinationContract
from tests.contracts.source import SourceContract, read
from tests.fakes.engine import FakeEngine
from tests.fakes.memory import MemoryStore
from tests.transports.handwritten import docker_archive_files, unpack


@pytest.fixture
def engine():
    with FakeEngine() as running:
        yield running


def test_engine_can_listen_on_a_port(tmp_path):
    store = MemoryStore()
    root = store.add_image("app", layers=[b"one" * 9000])
    with FakeEngine(tcp=True) as engine:
        options = OpenOptions(settings=None, daemon_host=engine.host, scratch=tmp_path)
        engine.add(docker_archive_files(store, root), "app:latest")
        with closing(source("app", options)) as opened:
            assert opened.resolve()


@pytest.fixture
def options(engine, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return OpenOptions(settings=None, daemon_host=engine.host, scratch=scratch)


def source(text, options):
    reference = transports.parse(f"docker-daemon:{text}")
    return transports.open_source(reference, options)


class TestSource(SourceContract):
    keeps_bytes = False
    many_images = False

    def name(self, name, root):
        return f"docker.io/library/{name}:latest"

    @pytest.fixture
    def filled(self, engine, options):
        def fill(store):
            for name, root in store.names.items():
                engine.add(docker_archive_files(store, root), f"{name}:latest")
            return source("app", options)

        return fill


class TestDestination(DestinationContract):
    begins_anew = True
    keeps_bytes = False
    takes_sha512 = False

    def name(self, name, root):
        return f"docker.io/library/{name}:latest"

    @pytest.fixture
    def opened(self, options):
        return lambda: DaemonDestination(options)

    @pytest.fixture
    def source(self, options):
        return lambda: source("app", options)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("app", "docker-daemon:docker.io/library/app:latest"),
        ("h:5/app:1", "docker-daemon:h:5/app:1"),
        ("app@sha256:" + "0" * 64, "docker-daemon:docker.io/library/app@sha256:" + "0" * 64),
        ("sha256:" + "0" * 64, "docker-daemon:sha256:" + "0" * 64),
    ],
)
def test_name_is_normalized_like_docker(text, whole):
    reference = transports.parse(f"docker-daemon:{text}")
    assert str(reference) == whole
    assert transports.parse(whole) == reference


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
    ("text", "asked"),
    [
        ("app", "app:latest"),
        ("user/app:1", "user/app:1"),
        ("docker.io/library/a/b:1", "library/a/b:1"),
        ("localhost/app:1", "localhost/app:1"),
        ("sha256:" + "1" * 64, "sha256:" + "1" * 64),
    ],
)
def test_engine_is_queried_by_the_short_name(engine, options, text, asked):
    with closing(source(text, options)) as opened, pytest.raises(NotFoundError, match=asked):
        opened.resolve()
    assert engine.requests == [f"GET /images/{asked}/get"]


@pytest.fixture
def store(engine):
    store = MemoryStore()
    root = store.add_image("app", layers=[b"one" * 9000, b"two"])
    engine.add(docker_archive_files(store, root), "app:latest")
    return store


def test_image_is_saved_once_and_leaves_no_file(engine, options, store):
    with closing(source("app", options)) as opened:
        root = opened.resolve()
        assert Digest.of(read(opened, Node.of(root, "manifest"))) == root.digest
        assert opened.resolve() == root
        assert list(options.scratch.iterdir()) == []
    assert len(engine.requests) == 1


def test_image_can_be_read_by_its_id(engine, options, store):
    identity = next(name for name in engine.images if name.startswith("sha256:"))
    with closing(source(identity, options)) as opened:
        parsed = manifest.parse(read(opened, Node.of(opened.resolve(), "manifest")), None)
        assert parsed.config.digest.text == identity


def test_missing_socket_is_reported(tmp_path):
    options = OpenOptions(
        settings=None, daemon_host=f"unix://{tmp_path}/none.sock", scratch=tmp_path
    )
    with closing(source("app", options)) as opened, pytest.raises(EngineUnreachableError) as raised:
        opened.resolve()
    assert raised.value.host == f"unix://{tmp_path}/none.sock"
    assert isinstance(raised.value.os_error, FileNotFoundError)
    assert "systemctl start docker" in raised.value.hint
    assert raised.value.exit_status == 6


def test_socket_without_a_listener_is_reported():
    with tempfile.TemporaryDirectory() as home, socket.socket(socket.AF_UNIX) as stale:
        stale.bind(f"{home}/stale.sock")
        options = OpenOptions(settings=None, daemon_host=f"unix://{home}/stale.sock")
        with (
            closing(source("app", options)) as opened,
            pytest.raises(EngineUnreachableError) as raised,
        ):
            opened.resolve()
    assert isinstance(raised.value.os_error, ConnectionRefusedError)


@pytest.mark.parametrize(
    "host",
    [
        "unix://relative",
        "/var/run/docker.sock",
        "http://",
        "http://user:secret@h",
        "http://h:99999",
        "tcp://h:1/path",
        "ftp://h",
    ],
)
def test_invalid_host_is_refused(host):
    with pytest.raises(InvalidReferenceError) as raised:
        source("app", OpenOptions(settings=Settings(), daemon_host=host))
    assert raised.value.hint
    assert "secret" not in str(raised.value)


def test_message_of_the_engine_is_printed_on_one_line(engine, options, store):
    engine.status, engine.message = 500, "disk \x1b[31mon\nfire"
    with closing(source("app", options)) as opened, pytest.raises(RegistryError) as raised:
        opened.resolve()
    assert raised.value.status == 500
    assert raised.value.message.endswith("(disk  [31mon fire)")


@pytest.mark.parametrize("cut", [0, 1000, 20_000])
def test_interrupted_response_is_a_temporary_error(engine, options, store, cut):
    engine.cut = cut
    with closing(source("app", options)) as opened, pytest.raises(RegistryError) as raised:
        opened.resolve()
    assert raised.value.temporary
    assert list(options.scratch.iterdir()) == []


def test_response_that_is_not_an_archive_is_refused(engine, options):
    engine.images["app:latest"] = b"not an archive" * 100
    with closing(source("app", options)) as opened, pytest.raises(MalformedError, match="app"):
        opened.resolve()


def test_waiting_for_an_engine_can_be_cancelled(engine, options, store):
    engine.silent = True
    stop = Cancellation()
    options = OpenOptions(settings=None, daemon_host=engine.host, cancellation=stop)
    timer = threading.Timer(0.2, stop.request)
    timer.start()
    with closing(source("app", options)) as opened, pytest.raises(CancelledError):
        opened.resolve()
    timer.join()


def publish(options, store, *names):
    with closing(DaemonDestination(options)) as destination:
        contents.push_all(destination, store)
        destination.commit([Publication(store.names["app"], names)])


def test_loaded_image_keeps_config_and_layers(engine, options):
    store = MemoryStore()
    root = store.add_image("app", layers=[b"one" * 9000, b"two"])
    publish(options, store, "docker.io/library/app:1", "example.com/app:1")
    pushed = manifest.parse(store.blobs[root.digest], None)
    assert {"app:1", "example.com/app:1", pushed.config.digest.text} <= set(engine.images)
    with closing(source("app:1", options)) as opened:
        parsed = manifest.parse(read(opened, Node.of(opened.resolve(), "manifest")), None)
        assert parsed.config.digest == pushed.config.digest
        assert [read(opened, Node.of(one, "layer")) for one in parsed.layers] == [
            unpack(store.blobs[one.digest]) for one in pushed.layers
        ]
    assert list(options.scratch.iterdir()) == []


def test_nothing_is_loaded_before_commit(engine, options):
    store = MemoryStore()
    store.add_image("app", layers=[b"one"])
    with closing(DaemonDestination(options)) as destination:
        contents.push_all(destination, store)
    assert engine.requests == []


def test_image_that_the_engine_rejects_is_reported(engine, options):
    engine.refuses = "no space\nleft"
    store = MemoryStore()
    store.add_image("app", layers=[b"one"])
    with pytest.raises(RegistryError, match="image: no space left"):
        publish(options, store, "app:1")


def test_image_that_the_engine_does_not_have_after_loading_is_reported(engine, options):
    engine.forgets = True
    store = MemoryStore()
    store.add_image("app", layers=[b"one"])
    with pytest.raises(RegistryError, match="does not have sha256:"):
        publish(options, store, "app:1")


def test_image_with_an_absent_layer_is_refused(engine, options):
    store = MemoryStore()
    root = store.add_image("app", layers=[b"one"])
    with closing(DaemonDestination(options)) as destination:
        with pytest.raises(IntegrityError, match="was not pushed"):
            contents.push(destination, store, root.digest)
        with pytest.raises(IntegrityError, match="was not pushed"):
            destination.commit([Publication(root, ("app:1",))])
    assert engine.requests == []


def test_artifact_is_refused(engine, options):
    store = MemoryStore()
    store.add_artifact("app")
    with pytest.raises(UnsupportedError, match="not a container image"):
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
    with closing(source("app", OpenOptions(settings=None, daemon_host=engine.host))) as opened:
        assert opened.resolve()
