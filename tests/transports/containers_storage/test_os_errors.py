"""Errors about missing permissions for a storage state the next step."""

from __future__ import annotations

import errno

import pytest

from bundler.errors import MediumError
from bundler.transports.containers_storage.drivers.rooted_tree import RootedTree
from tests.transports.containers_storage.sample_storage import NAME, without_rights


@pytest.mark.parametrize("kind", ["root", "images", "layers"])
def test_storage_of_another_user_is_refused_with_the_next_step(storage, tmp_path, kind):
    storage.add_image()
    closed = storage.root if kind == "root" else storage.record_directory(kind)
    tmp_path.chmod(0o755)
    closed.chmod(0)
    try:
        for open_storage in (lambda: storage.source().resolve(NAME), storage.destination):
            with without_rights(), pytest.raises(MediumError) as caught:
                open_storage()
            assert caught.value.os_error.errno == errno.EACCES
            assert "podman unshare" in caught.value.hint
    finally:
        closed.chmod(0o700)


def test_unreadable_file_of_a_layer_is_not_reported_as_damaged(tmp_path):
    """Files of a rootless storage belong to subordinate user IDs."""
    (tmp_path / "file").write_text("content")
    (tmp_path / "file").chmod(0)
    with RootedTree.open(tmp_path) as tree:
        with without_rights(), pytest.raises(MediumError) as caught:
            tree.open_file("file")
        assert "podman unshare" in caught.value.hint
