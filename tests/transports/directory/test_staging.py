"""Parts stay in a hidden directory until the commit."""

from __future__ import annotations

import errno
import os
from contextlib import closing

import pytest

from bundler.errors import UnsupportedError
from bundler.transports.directory.tree import DirectoryTreeDestination, DirectoryTreeSource
from tests.contracts import contents
from tests.contracts.destination import assert_whole
from tests.transports.directory.trees import images, inodes, paths, publish, times


def test_commit_removes_the_staging_directory(tmp_path, shared_store):
    publish(tmp_path / "t", shared_store)
    assert [path.name for path in (tmp_path / "t").iterdir()] == ["images"]


def test_medium_without_hard_links_is_refused_before_the_first_blob(
    tmp_path, shared_store, no_links
):
    with pytest.raises(UnsupportedError) as raised:
        publish(tmp_path / "t", shared_store)
    assert "--duplicate-blobs" in raised.value.hint
    assert not (tmp_path / "t").exists()


def test_shared_blobs_are_copied_if_permitted(tmp_path, shared_store, no_links):
    publish(tmp_path / "linked", shared_store, may_copy=True)
    assert len(inodes(tmp_path / "linked")) == len(paths(tmp_path / "linked")) - 3
    before = times(tmp_path / "linked/images")
    with closing(DirectoryTreeDestination(tmp_path / "linked", may_copy=True)) as destination:
        destination.commit(images(shared_store))
    assert {
        path: path.stat().st_mtime_ns for path in (tmp_path / "linked/images").rglob("*")
    } == before


def test_rerun_resumes_an_uncommitted_run(tmp_path, shared_store):
    with closing(DirectoryTreeDestination(tmp_path / "t")) as destination:
        contents.push_all(destination, shared_store)
    with closing(DirectoryTreeDestination(tmp_path / "t")) as destination:
        assert all(
            destination.has(contents.node(shared_store, digest)) for digest in shared_store.blobs
        )
        destination.commit(images(shared_store))
    assert_whole(lambda: DirectoryTreeSource(tmp_path / "t"), shared_store)


@pytest.mark.parametrize("links_before", range(9))
@pytest.mark.parametrize("copies", [False, True], ids=["links", "copies"])
def test_rerun_completes_an_interrupted_commit(
    tmp_path, shared_store, monkeypatch, links_before, copies
):
    with monkeypatch.context() as patch:
        _cut_after(patch, links_before, copies=copies)
        with pytest.raises(KeyboardInterrupt):
            publish(tmp_path / "t", shared_store, may_copy=True)
    with closing(DirectoryTreeDestination(tmp_path / "t")) as destination:
        missing = [
            d for d in shared_store.blobs if not destination.has(contents.node(shared_store, d))
        ]
        assert missing == []
        destination.commit(images(shared_store))
    assert_whole(lambda: DirectoryTreeSource(tmp_path / "t"), shared_store)
    assert not any(".airbundle" in name for name in paths(tmp_path / "t"))


def _cut_after(patch, count, *, copies):
    """Interrupt the commit after ``links_before`` links, or copies if links are refused."""
    real, left = (
        os.link,
        [count + (not copies)],
    )  # the first link only tests whether hard links are supported

    def link(*arguments, **named):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        if copies:
            raise OSError(errno.EPERM, "Operation not permitted")
        real(*arguments, **named)

    patch.setattr(os, "link", link)
