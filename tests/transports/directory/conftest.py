"""Two images that share a layer, and a file system without hard links."""

from __future__ import annotations

import errno
import os

import pytest

from tests.fakes.memory import MemoryStore


@pytest.fixture
def no_links(monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)


@pytest.fixture
def shared_store():
    """Two images with a shared layer, and an index of both."""
    store = MemoryStore()
    roots = [store.add_image(name, layers=[b"shared" * 100, name.encode()]) for name in ("a", "b")]
    store.add_index("all", manifests=roots)
    return store
