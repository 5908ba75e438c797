"""Images for the tests of several transports."""

from __future__ import annotations

import pytest

from tests.fakes.memory import MemoryStore
from tests.transports.handwritten import layout_files, pack, write_layout


@pytest.fixture
def store():
    """A store with the image ``app``, which has two layers."""
    store = MemoryStore()
    store.add_image("app", layers=[b"one" * 5000, b"two"])
    return store


@pytest.fixture
def layout(tmp_path, store):
    """The path of a layout with the image ``app``."""
    return write_layout(tmp_path / "layout", store)


@pytest.fixture
def archive(tmp_path, store):
    path = tmp_path / "a.tar"
    path.write_bytes(pack(layout_files(store)))
    return path
