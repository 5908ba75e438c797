"""Hosts of engines: sockets, ports, and invalid ones."""

from __future__ import annotations

import socket
import tempfile
from contextlib import closing

import pytest

from bundler.errors import EngineUnreachableError, InvalidReferenceError
from tests.fakes.engine import FakeEngine
from tests.fakes.memory import MemoryStore
from tests.transports.docker_daemon.opening import create_options, open_source
from tests.transports.handwritten import docker_archive_files


def test_engine_can_listen_on_a_port(tmp_path):
    store = MemoryStore()
    root = store.add_image("app", layers=[b"one" * 9000])
    with FakeEngine(tcp=True) as engine:
        options = create_options(engine.host, scratch=tmp_path)
        engine.add(docker_archive_files(store, root), "app:latest")
        with closing(open_source("app", options)) as opened:
            assert opened.resolve()


def test_missing_socket_is_reported(tmp_path):
    options = create_options(f"unix://{tmp_path}/none.sock", scratch=tmp_path)
    with (
        closing(open_source("app", options)) as opened,
        pytest.raises(EngineUnreachableError) as raised,
    ):
        opened.resolve()
    assert raised.value.host == f"unix://{tmp_path}/none.sock"
    assert isinstance(raised.value.os_error, FileNotFoundError)
    assert "systemctl start docker" in raised.value.hint
    assert raised.value.exit_status == 6


def test_socket_without_a_listener_is_reported():
    with tempfile.TemporaryDirectory() as home, socket.socket(socket.AF_UNIX) as stale:
        stale.bind(f"{home}/stale.sock")
        options = create_options(f"unix://{home}/stale.sock")
        with (
            closing(open_source("app", options)) as opened,
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
        open_source("app", create_options(host))
    assert raised.value.hint
    assert "secret" not in str(raised.value)
