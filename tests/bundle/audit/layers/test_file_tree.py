"""The files of several layers together."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, strategies as st

from bundler.bundle.audit.layers import file_tree
from bundler.bundle.audit.layers.file_tree import FileTree
from bundler.bundle.audit.layers.scan import LayerListing, Member
from bundler.errors import BundlerError, LimitError, NotFoundError, UnsupportedError
from bundler.oci.digest import Digest
from tests.fakes import tars

if TYPE_CHECKING:
    from collections.abc import Callable

    from bundler.bundle.audit.listings.files import ImageFiles

    OpenFiles = Callable[..., ImageFiles]


def _list(files: ImageFiles) -> list[str]:
    return [file.path for file in files.read_tree()]


def test_upper_layer_replaces_a_file(open_files: OpenFiles):
    files = open_files(
        tars.layer(tars.member("etc/a", b"old")),
        tars.layer(tars.member("etc/a", b"new")),
    )
    output = io.BytesIO()
    files.read_file(files.find("/etc/a"), output.write)
    assert output.getvalue() == b"new"
    assert _list(files) == ["etc/a"]


def test_whiteout_removes_a_directory_of_a_lower_layer(open_files: OpenFiles):
    lower = tars.layer(tars.directory("a"), tars.member("a/b/c"), tars.member("d"))
    upper = tars.layer(tars.member(".wh.a"))
    assert _list(open_files(lower, upper)) == ["d"]


def test_whiteout_keeps_what_its_own_layer_adds(open_files: OpenFiles):
    lower = tars.layer(tars.member("a/old"))
    upper = tars.layer(tars.member("a/new"), tars.member(".wh.a"))
    assert _list(open_files(lower, upper)) == ["a/new"]


def test_opaque_directory_hides_all_lower_layers(open_files: OpenFiles):
    lower = tars.layer(tars.member("a/b/old"), tars.member("a/old"))
    upper = tars.layer(
        tars.directory("a/b"),
        tars.member("a/b/new"),
        tars.member("a/.wh..wh..opq"),
    )
    assert _list(open_files(lower, upper)) == ["a/b", "a/b/new"]


def test_whiteout_of_an_absent_file_has_no_effect(open_files: OpenFiles):
    upper = tars.layer(tars.member("x/.wh.a"), tars.member("y/.wh..wh..opq"), tars.member("b"))
    assert _list(open_files(upper)) == ["b"]


def test_file_that_replaces_a_directory_removes_its_content(open_files: OpenFiles):
    lower = tars.layer(tars.directory("a"), tars.member("a/b"))
    assert _list(open_files(lower, tars.layer(tars.member("a", b"now a file")))) == ["a"]


def test_links_are_followed_below_the_root(open_files: OpenFiles):
    files = open_files(
        tars.layer(
            tars.member("usr/lib/os-release", b"ID=test"),
            tars.symlink("lib", "usr/lib"),
            tars.symlink("etc/os-release", "../../../lib/os-release"),
            tars.symlink("var/etc", "/etc"),
        )
    )
    for path in ("etc/os-release", "/var/etc/os-release", "./usr/../lib/os-release"):
        assert files.find(path).path == "usr/lib/os-release"


def test_cycle_of_links_is_refused(open_files: OpenFiles):
    layer = tars.layer(tars.symlink("a", "b"), tars.symlink("b", "a"))
    with pytest.raises(LimitError):
        open_files(layer).find("a")


def test_hard_link_has_the_content_of_a_lower_layer(open_files: OpenFiles):
    files = open_files(
        tars.layer(tars.member("bin/busybox", b"program", mode=0o4755)),
        tars.layer(tars.hard_link("bin/sh", "bin/busybox")),
    )
    file, output = files.find("bin/sh"), io.BytesIO()
    files.read_file(file, output.write)
    assert (output.getvalue(), file.member.mode, file.path) == (b"program", 0o4755, "bin/sh")


def test_hard_link_without_target_is_refused(open_files: OpenFiles):
    with pytest.raises(NotFoundError):
        open_files(tars.layer(tars.hard_link("a", "absent"))).read_tree()


@pytest.mark.parametrize("path", ["absent", "dir/absent", "file/below"])
def test_absent_file_is_not_found(open_files: OpenFiles, path: str):
    files = open_files(tars.layer(tars.directory("dir"), tars.member("file")))
    with pytest.raises(NotFoundError):
        files.find(path)


def test_directory_cannot_be_read(open_files: OpenFiles):
    files = open_files(tars.layer(tars.directory("dir")))
    with pytest.raises(UnsupportedError):
        files.read_file(files.find("dir"), io.BytesIO().write)


def test_directories_of_paths_are_limited(open_files: OpenFiles, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(file_tree, "MAX_FILES", 50)
    files = open_files(tars.layer(tars.member("a/" * 60 + "b", b"")))
    with pytest.raises(LimitError):
        files.read_tree()


_NAMES = st.sampled_from(["a", "b", ".wh.a", ".wh..wh..opq", "..", ""])
_MEMBERS = st.builds(
    Member,
    path=st.lists(_NAMES, max_size=4).map("/".join),
    kind=st.sampled_from(["file", "directory", "symbolic link", "hard link"]),
    mode=st.just(0o644),
    uid=st.just(0),
    gid=st.just(0),
    size=st.just(0),
    mtime=st.just(0),
    target=st.lists(_NAMES, max_size=4).map("/".join),
    position=st.just(0),
)


@given(st.lists(st.lists(_MEMBERS, max_size=8), max_size=3))
def test_any_members_end_in_a_tree_or_an_error(layers: list[list[Member]]):
    tree, digest = FileTree(), Digest("sha256:" + "0" * 64)
    try:
        for members in layers:
            tree.add(LayerListing(digest, digest, tuple(members)))
        for file in tree:
            tree.find(file.path)
    except BundlerError:
        pass
