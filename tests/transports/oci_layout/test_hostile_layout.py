"""Links and special files in place of blobs are not followed or read."""

from __future__ import annotations

import os
import stat
from contextlib import closing

import pytest

from bundler.errors import MalformedError, NotRegularFileError
from bundler.transports.oci_layout.transport import LayoutDestination, LayoutSource
from tests.contracts import contents
from tests.fakes.memory import MemoryStore
from tests.transports.handwritten import write_layout
from tests.transports.oci_layout.publishing import publish


def blob(layout, store):
    digest = next(iter(store.blobs))
    return layout / "blobs" / "sha256" / digest.hex, contents.node(store, digest)


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.symlink_to("/etc/hostname"),
        lambda path: path.symlink_to(path.with_name("nothing")),
        os.mkfifo,
        lambda path: path.mkdir(),
        lambda path: os.mknod(path, 0o600 | stat.S_IFSOCK),
    ],
    ids=["symlink", "dangling", "pipe", "directory", "socket"],
)
def test_special_file_in_place_of_a_blob_is_refused(layout, store, make):
    path, target = blob(layout, store)
    path.unlink()
    make(path)
    with (
        closing(LayoutSource(layout)) as source,
        pytest.raises(NotRegularFileError) as raised,
    ):
        source.open(target)
    assert raised.value.path == str(path)
    with closing(LayoutDestination(layout)) as destination:
        assert not destination.has(target)


def test_link_in_place_of_a_blob_directory_is_not_followed(layout, store, tmp_path):
    _, target = blob(layout, store)
    (layout / "blobs/sha256").rename(tmp_path / "elsewhere")
    (layout / "blobs/sha256").symlink_to(tmp_path / "elsewhere")
    before = sorted((tmp_path / "elsewhere").iterdir())
    with closing(LayoutSource(layout)) as source, pytest.raises(MalformedError):
        source.open(target)
    other = MemoryStore()
    digest = other.add_blob(b"to be written elsewhere")
    with pytest.raises(MalformedError), closing(LayoutDestination(layout)) as destination:
        contents.push(destination, other, digest)
    assert sorted((tmp_path / "elsewhere").iterdir()) == before


def test_link_at_the_path_of_a_blob_is_replaced(tmp_path, store):
    path = write_layout(tmp_path / "l", store)
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    name, _ = blob(path, store)
    name.unlink()
    name.symlink_to(victim)
    publish(path, store, "app")
    assert victim.read_text() == "untouched"
    assert not name.is_symlink()


def test_links_inside_a_layout_are_followed_on_request(layout, store, tmp_path):
    path, target = blob(layout, store)
    path.rename(tmp_path / "blob")
    path.symlink_to(tmp_path / "blob")
    (layout / "blobs").rename(tmp_path / "elsewhere")
    (layout / "blobs").symlink_to("../elsewhere")
    with closing(LayoutSource(layout, follow_links=True)) as source, source.open(target) as opened:
        assert opened.read() == (tmp_path / "blob").read_bytes()


def test_pipe_behind_a_link_is_refused(layout, store, tmp_path):
    path, target = blob(layout, store)
    path.unlink()
    os.mkfifo(tmp_path / "pipe")
    path.symlink_to(tmp_path / "pipe")
    with (
        closing(LayoutSource(layout, follow_links=True)) as source,
        pytest.raises(NotRegularFileError),
    ):
        source.open(target)
