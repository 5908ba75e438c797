"""Hostile and unusual layers do not change files outside the directory of the layer."""

from __future__ import annotations

import gzip
import os
import resource
import stat
import tarfile
from contextlib import closing, suppress
from pathlib import Path

import pytest

from bundler.content.archives import tar_stream
from bundler.errors import BundlerError, LimitError, MalformedError, UnsupportedError
from bundler.oci.digest import Digest
from bundler.transports.containers_storage.drivers.rooted_tree import remove_tree
from tests.fakes.memory import MemoryStore
from tests.fakes.tars import directory, hard_link, member, pack, symlink
from tests.transports.containers_storage.sample_storage import NAME


@pytest.fixture
def outside(tmp_path):
    """A directory beside the storage, with one file that no layer may change."""
    path = tmp_path / "outside"
    path.mkdir()
    (path / "secret").write_text("untouched")
    (path / "secret").chmod(0o600)
    return path


def assert_untouched(outside):
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_text() == "untouched"
    status = (outside / "secret").stat()
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_nlink == 1


def assert_refused(storage, *members, error=MalformedError):
    """Assert that a layer of these members raises ``error`` and leaves no files."""
    with pytest.raises(error):
        storage.add_tars(pack(*members))
    assert not (storage.record_directory("images") / "images.json").exists()
    assert not list(storage.root.rglob(".airbundle-*"))


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "..", "/../evil", "a/../../../x"])
def test_name_that_escapes_the_layer_is_refused(storage, name):
    assert_refused(storage, member(name, b"x"))


def test_absolute_name_is_below_the_layer(storage):
    tar = pack(member("/etc/passwd", b"layer"))
    storage.add_tars(tar)
    assert (storage.tree(Digest.of(tar)) / "etc/passwd").read_text() == "layer"


@pytest.mark.parametrize("kind", ["absolute", "relative"])
def test_file_behind_a_link_of_a_lower_layer_is_written_below_the_layer(storage, outside, kind):
    target = str(outside) if kind == "absolute" else "../" * 20 + str(outside)[1:]
    tar = pack(symlink("way", target), directory("dir"), member("dir/x", b"1"))
    below = pack(symlink("way", target))
    through = pack(member("way/secret", b"changed"), member("way/new", b"new"))
    storage.add_tars(tar, below, through)
    assert_untouched(outside)
    written = list(storage.root.rglob("secret"))
    assert written
    assert all(path.read_text() == "changed" for path in written)


def test_file_behind_a_link_of_its_own_layer_is_written_below_the_layer(storage, outside):
    tar = pack(
        directory(str(outside)[1:]), symlink("way", str(outside)), member("way/secret", b"changed")
    )
    storage.add_tars(tar)
    assert_untouched(outside)
    inner = storage.tree(Digest.of(tar)) / str(outside)[1:] / "secret"
    assert inner.read_text() == "changed"


def test_replaced_link_is_not_followed(storage, outside):
    below, above = pack(symlink("x", str(outside / "secret"))), pack(member("x", b"changed"))
    storage.add_tars(below, above)
    assert_untouched(outside)
    replaced = storage.tree(Digest.of(below), Digest.of(above)) / "x"
    assert not replaced.is_symlink()
    assert replaced.read_text() == "changed"


def test_hard_link_to_a_file_outside_is_refused(storage, outside):
    assert_refused(storage, hard_link("x", str(outside / "secret")))
    assert_refused(storage, hard_link("x", "../" * 20 + str(outside / "secret")[1:]))
    assert_untouched(outside)


def test_hard_link_through_a_link_is_resolved_below_the_layer(storage, outside):
    link = hard_link("x", "way/secret", mode=0o777)
    assert_refused(storage, symlink("way", str(outside)), link)
    assert_untouched(outside)


def test_hard_link_to_a_link_changes_nothing_behind_it(storage, outside):
    tar = pack(symlink("way", str(outside / "secret")), hard_link("x", "way", mode=0o777, uid=0))
    storage.add_tars(tar)
    assert_untouched(outside)
    assert (storage.tree(Digest.of(tar)) / "x").is_symlink()


@pytest.mark.parametrize(
    "name", [".wh...", ".wh..", ".wh.", "a/.wh...", "../.wh.x", "a/../../.wh.x"]
)
def test_whiteout_of_a_file_outside_is_refused(storage, name):
    assert_refused(storage, directory("a"), member(name))


@pytest.mark.parametrize("name", ["way/.wh.secret", "way/.wh..wh..opq"])
def test_whiteout_behind_a_link_removes_nothing_outside(storage, outside, name):
    with suppress(BundlerError):
        storage.add_tars(pack(symlink("way", str(outside))), pack(member(name)))
    assert_untouched(outside)


def test_time_of_a_directory_that_becomes_a_link_is_not_set_outside(storage, outside):
    before = outside.stat().st_mtime_ns
    tar = pack(directory("d", mtime=5), member("d/x", b"1"))
    storage.add_tars(tar, pack(symlink("d", str(outside)), directory("e")))
    assert outside.stat().st_mtime_ns == before
    assert_untouched(outside)


def test_cycle_of_links_is_refused(storage):
    members = symlink("a", "b"), symlink("b", "a"), member("a/x", b"1")
    assert_refused(storage, *members, error=BundlerError)


def test_exponential_links_are_refused(storage):
    chain = [symlink(f"l{n}", f"l{n + 1}/l{n + 1}") for n in range(50)]
    assert_refused(storage, *chain, member("l0/x", b"1"), error=BundlerError)


def test_duplicate_name_is_refused(storage):
    assert_refused(storage, member("a", b"1"), member("./a", b"2"))


def test_file_below_a_file_is_refused(storage):
    assert_refused(storage, member("a", b"1"), member("a/b", b"2"))


def test_whiteout_with_content_is_refused(storage):
    assert_refused(storage, member(".wh.a", b"content"))


def test_hard_link_to_a_directory_is_refused(storage):
    assert_refused(storage, directory("d"), hard_link("x", "d"))


@pytest.fixture
def few_descriptors():
    """Permit only a few more open files than there are now."""
    former = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened + 100, former[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, former)


def test_deep_tree_needs_few_descriptors(storage, few_descriptors):
    deep = "/".join("d" * 300)
    below = pack(member(deep, b"deep"), member("d/other", b"1"))
    above = pack(directory("d"), member("d/.wh..wh..opq"), member("d/d/new", b"2"))
    storage.add_tars(below, above)
    tree = storage.tree(Digest.of(below), Digest.of(above))
    assert (tree / "d/d/new").exists()
    with pytest.raises(LimitError):
        storage.add_tars(pack(member("/".join("d" * 2049), b"too deep")))
    remove_tree(storage.root)
    assert not storage.root.exists()


def test_more_attributes_than_the_file_system_stores_are_a_limit(storage):
    attributes = {f"SCHILY.xattr.user.{number}": "x" * 1000 for number in range(2000)}
    assert_refused(storage, member("file", b"", pax_headers=attributes), error=LimitError)


def test_deep_tree_is_unpacked_and_removed(storage):
    tar = pack(member("/".join(["d"] * 700), b"deep"))
    storage.add_tars(tar)
    with closing(storage.destination()) as destination:
        destination.delete(NAME)
    assert storage.read_records("layers") == []
    assert not storage.tree(Digest.of(tar)).exists()


@pytest.mark.parametrize("end", [100, 511, 512, 700, 1023])
def test_truncated_tar_is_refused(storage, end):
    tar = pack(member("a", b"1" * 600))[:end]
    with pytest.raises(MalformedError):
        storage.add_tars(tar)
    assert not (storage.record_directory("layers") / "layers.json").exists()


def test_empty_tar_is_an_empty_layer(storage):
    storage.add_tars(b"")
    assert list(storage.tree(Digest.of(b"")).iterdir()) == []


def test_bytes_that_are_not_a_tar_are_refused(storage):
    with pytest.raises(MalformedError):
        storage.add_tars(b"no tar at all" * 100)


def test_sparse_member_is_refused(storage):
    assert_refused(storage, member("a", b"", kind=tarfile.GNUTYPE_SPARSE), error=UnsupportedError)


def test_too_many_members_are_refused(storage, monkeypatch):
    monkeypatch.setattr(tar_stream, "MAX_ENTRIES", 5)
    assert_refused(storage, *(member(f"f{n}") for n in range(6)), error=LimitError)


def test_decompression_bomb_is_refused(storage):
    """A layer must not expand to more than 200 times its size."""
    store = MemoryStore()
    tar = pack(member("zeros", bytes(100 * 1024 * 1024)))
    root = store.add_image(layers=[tar])
    assert len(gzip.compress(tar)) * 200 < len(tar)
    with pytest.raises(LimitError):
        storage.copy(store, root, NAME)
    assert not list(storage.root.rglob("zeros"))


@pytest.mark.kernel("trusted attributes")
def test_layer_cannot_set_the_attributes_of_a_driver(storage):
    attributes = {
        "SCHILY.xattr.trusted.overlay.redirect": "/etc",
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.user.mine": "kept",
    }
    entry, data = directory("d")
    entry.pax_headers = attributes
    tar = pack((entry, data))
    storage.add_tars(tar)
    assert os.listxattr(storage.tree(Digest.of(tar)) / "d") == ["user.mine"]


@pytest.mark.kernel("owners", "devices")
def test_devices_owners_modes_and_times_are_preserved(storage):
    tar = pack(
        member("null", kind=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666),
        member("pipe", kind=tarfile.FIFOTYPE, uid=7, gid=8),
        member("suid", b"#!", mode=0o4755, uid=9, gid=10),
        symlink("link", "suid", uid=11, gid=12),
        directory("dir", mode=0o1777),
    )
    storage.add_tars(tar)
    tree = storage.tree(Digest.of(tar))
    status = {path.name: path.lstat() for path in tree.iterdir()}
    assert status["null"].st_rdev == os.makedev(1, 3)
    assert stat.S_ISFIFO(status["pipe"].st_mode)
    assert (status["pipe"].st_uid, status["pipe"].st_gid) == (7, 8)
    assert stat.S_IMODE(status["suid"].st_mode) == 0o4755
    assert (status["link"].st_uid, status["link"].st_gid) == (11, 12)
    assert stat.S_IMODE(status["dir"].st_mode) == 0o1777
    assert {stat_result.st_mtime for stat_result in status.values()} == {1_000_000_000}
