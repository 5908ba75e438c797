"""Paths that stay below the root of a tree, and the removal of trees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bundler.errors import MalformedError
from bundler.transports.containers_storage.drivers.rooted_tree import RootedTree, remove_tree


@pytest.fixture
def root(tmp_path):
    path = tmp_path / "tree"
    path.mkdir()
    return path


@pytest.fixture
def outside(tmp_path):
    """A directory beside the tree with a file in it."""
    path = tmp_path / "outside"
    (path / "inner").mkdir(parents=True)
    (path / "inner" / "file").write_text("x")
    return path


@pytest.mark.parametrize("target", ["/etc", "../../../etc", "a/../../etc", "etc"])
def test_link_in_a_path_stays_below_the_root(root, target):
    (root / "etc").mkdir()
    (root / "a").mkdir()
    (root / "link").symlink_to(target)
    with RootedTree.open(root) as tree:
        found = os.fstat(tree.open_directory(("link",)))
    assert os.path.samestat(found, (root / "etc").stat())


def test_missing_directories_are_created_only_on_request(root):
    with RootedTree.open(root) as tree:
        with pytest.raises(FileNotFoundError):
            tree.open_directory(("a", "b"))
        tree.open_directory(("a", "b"), create=True)
    assert (root / "a/b").is_dir()


def test_directory_behind_a_replaced_link_is_opened_again(root):
    (root / "first").mkdir()
    (root / "second").mkdir()
    (root / "link").symlink_to("first")
    with RootedTree.open(root) as tree:
        tree.open_directory(("link",))
        tree.remove(("link",))
        (root / "link").symlink_to("second")
        found = os.fstat(tree.open_directory(("link",)))
    assert os.path.samestat(found, (root / "second").stat())


def test_many_directories_need_few_descriptors(root):
    names = [f"d{number}" for number in range(200)]
    with RootedTree.open(root) as tree:
        for name in names:
            tree.open_directory((name,), create=True)
        links = (path.readlink() for path in Path("/proc/self/fd").iterdir() if path.exists())
        opened = [link for link in links if link.is_relative_to(root)]
    assert len(opened) < 40


def test_remove_tree_removes_nothing_behind_links(tmp_path, root, outside):
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "link").symlink_to(outside)
    (root / "a" / "b" / "file").write_text("x")
    remove_tree(root)
    remove_tree(tmp_path / "missing")
    assert not root.exists()
    assert (outside / "inner" / "file").exists()


def test_remove_of_a_link_keeps_its_target(root, outside):
    (root / "link").symlink_to(outside)
    with RootedTree.open(root) as tree:
        tree.remove(("link",))
        tree.remove(("missing", "file"))
    assert not (root / "link").is_symlink()
    assert (outside / "inner" / "file").exists()


def test_only_regular_files_are_opened(root, outside):
    (root / "file").write_text("content")
    (root / "link").symlink_to(outside / "inner" / "file")
    (root / "directory").mkdir()
    os.mkfifo(root / "pipe")
    with RootedTree.open(root) as tree:
        with tree.open_file("./file") as file:
            assert file.read() == b"content"
        for name in ("link", "directory", "pipe", "missing", "."):
            with pytest.raises(MalformedError):
                tree.open_file(name)
