"""A container engine in this process, with an image."""

from __future__ import annotations

import pytest

from tests.fakes.engine import FakeEngine
from tests.fakes.memory import MemoryStore
from tests.transports.docker_daemon.opening import create_options
from tests.transports.handwritten import docker_archive_files


@pytest.fixture
def engine():
    with FakeEngine() as running:
        yield running


@pytest.fixture
def options(engine, tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return create_options(engine.host, scratch=scratch)


@pytest.fixture
def store(engine):
    store = MemoryStore()
    root = store.add_image("app", layers=[b"one" * 9000, b"two"])
    engine.add(docker_archive_files(store, root), "app:latest")
    return store
