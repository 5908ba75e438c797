"""The names of a storage's files, and trees that go without taking anything along."""

from __future__ import annotations

import os

import pytest

from bundler.transports.containers_storage import metadata
from bundler.transports.containers_storage.drivers.rooted_tree import remove_tree


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("manifest", "manifest"),
        ("signatures", "signatures"),
        ("sha256:ab", "=c2hhMjU2OmFi"),
        ("../../etc", "=Li4vLi4vZXRj"),
    ],
)
def test_items_lie_in_files_that_are_called_as_others_do(key, name):
    assert metadata.encode_item_key(key) == name


def test_a_tree_that_is_removed_takes_nothing_else_with_it(tmp_path):
    outside = tmp_path / "outside"
    (outside / "inner").mkdir(parents=True)
    (outside / "inner" / "file").write_text("x")
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "link").symlink_to(outside)
    (tree / "a" / "b" / "file").write_text("x")
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        remove_tree("tree", fd)
        remove_tree("nothing", fd)
    finally:
        os.close(fd)
    assert not tree.exists()
    assert (outside / "inner" / "file").exists()
