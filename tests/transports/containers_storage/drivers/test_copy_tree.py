"""Copies of trees with all metadata."""

from __future__ import annotations

import os
import stat
from contextlib import closing

import pytest

from bundler.transports.containers_storage.drivers.copy_tree import copy_tree
from bundler.transports.containers_storage.drivers.rooted_tree import RootedTree


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "source"
    path.mkdir()
    return path


def copy(source):
    """Copy ``source`` beside it; return the copy."""
    target, links = source.parent / "target", source.parent / "links"
    target.mkdir()
    links.mkdir()
    fds = [os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in (source, target, links)]
    try:
        copy_tree(*fds)
    finally:
        for fd in fds:
            os.close(fd)
    return target


def test_contents_modes_times_and_attributes_are_preserved(source):
    (source / "d").mkdir(mode=0o750)
    (source / "d/file").write_bytes(b"1" * 100_000)
    (source / "d/file").chmod(0o4711)
    os.setxattr(source / "d/file", "user.mine", b"kept")
    (source / "d/link").symlink_to("../nowhere")
    os.mkfifo(source / "pipe", 0o640)
    for name in ("d/file", "d/link", "pipe", "d", "."):
        os.utime(source / name, ns=(10**18 + 1, 10**18 + 2), follow_symlinks=False)
    target = copy(source)
    assert (target / "d/file").read_bytes() == b"1" * 100_000
    assert os.getxattr(target / "d/file", "user.mine") == b"kept"
    assert str((target / "d/link").readlink()) == "../nowhere"
    for name in ("d/file", "d/link", "pipe", "d", "."):
        ours, theirs = (target / name).lstat(), (source / name).lstat()
        assert (ours.st_mode, ours.st_mtime_ns) == (theirs.st_mode, theirs.st_mtime_ns)


def test_hard_links_are_links_to_each_other_in_the_copy(source):
    (source / "a").mkdir()
    (source / "a/first").write_text("shared")
    (source / "second").hardlink_to(source / "a/first")
    target = copy(source)
    assert (target / "a/first").samefile(target / "second")
    assert (target / "second").stat().st_nlink == 2
    assert (source / "second").stat().st_nlink == 2


def test_all_links_of_a_file_are_copied(source):
    """No second name of the copy remains, which would count as a link."""
    (source / "0").write_text("shared")
    for number in range(1, 9):
        (source / f"{number}").hardlink_to(source / "0")
    target = copy(source)
    assert {path.stat().st_ino for path in target.iterdir()} == {(target / "0").stat().st_ino}
    assert (target / "0").stat().st_nlink == 9
    assert not list((source.parent / "links").iterdir())


def test_links_are_not_followed(source, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("x")
    (source / "link").symlink_to(outside)
    target = copy(source)
    assert (target / "link").is_symlink()
    assert not list(target.rglob("secret"))


@pytest.mark.kernel("owners", "devices")
def test_owners_and_devices_are_preserved(source):
    (source / "file").write_text("x")
    os.chown(source / "file", 5, 6)
    os.mknod(source / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    target = copy(source)
    status = (target / "file").stat()
    assert (status.st_uid, status.st_gid) == (5, 6)
    assert (target / "null").stat().st_rdev == os.makedev(1, 3)


def test_deep_tree_is_copied_and_removed(source):
    """The depth is larger than the recursion limit of Python."""
    fd = os.open(source, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    try:
        target = copy(source)
        depth, fd = 0, os.open(target, os.O_RDONLY)
        while "d" in os.listdir(fd):  # noqa: PTH208 - by descriptor
            below = os.open("d", os.O_RDONLY, dir_fd=fd)
            os.close(fd)
            depth, fd = depth + 1, below
        os.close(fd)
    finally:
        with closing(RootedTree.open(source.parent)) as parent:
            parent.remove(("source",))
            parent.remove(("target",))
    assert depth == 1500
    assert not source.exists()
    assert not target.exists()
