"""Layers that want to be elsewhere: nothing outside a layer's own directory is ever touched."""

from __future__ import annotations

import gzip
import os
import stat
import tarfile
from contextlib import closing, suppress

import pytest

from bundler.content.archives import tar_stream
from bundler.errors import BundlerError, LimitError, MalformedError, UnsupportedError
from bundler.oci.digest import Digest
from tests.fakes.memory import MemoryStore
from tests.fakes.tars import directory, hard_link, member, pack, symlink
from tests.transports.containers_storage.test_transport import UNPACKING, Place


@pytest.fixture(params=UNPACKING)
def place(request, tmp_path):
    return Place(tmp_path, request.param)


@pytest.fixture
def outside(tmp_path):
    """A file that no layer may touch, by its absolute name and mode."""
    path = tmp_path / "outside"
    path.mkdir()
    (path / "secret").write_text("untouched")
    (path / "secret").chmod(0o600)
    yield path
    assert (path / "secret").read_text() == "untouched"
    assert stat.S_IMODE((path / "secret").stat().st_mode) == 0o600
    assert [one.name for one in path.iterdir()] == ["secret"]


def refuse(place, *members, error=MalformedError):
    with pytest.raises(error):
        place.add(pack(*members))
    assert not (place.root / f"{place.driver}-images/images.json").exists()
    assert not list(place.root.glob(".airbundle-*"))


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "..", "/../evil", "a/../../../x"])
def test_a_name_that_leads_out_is_refused(place, name):
    refuse(place, member(name, b"x"))


def test_an_absolute_name_is_below_the_layer(place):
    tar = pack(member("/etc/passwd", b"layer"))
    place.add(tar)
    assert (place.tree(Digest.of(tar)) / "etc/passwd").read_text() == "layer"


@pytest.mark.parametrize("kind", ["absolute", "relative"])
def test_a_file_behind_a_link_lands_below_the_layer(place, outside, kind):
    target = str(outside) if kind == "absolute" else "../" * 20 + str(outside)[1:]
    tar = pack(symlink("way", target), directory("dir"), member("dir/x", b"1"))
    below = pack(symlink("way", target))
    through = pack(member("way/secret", b"changed"), member("way/new", b"new"))
    place.add(tar, below, through)
    for layer in place.root.rglob("secret"):
        assert layer.read_text() == "changed"


def test_a_file_behind_a_link_of_its_own_layer_lands_below_it(place, outside):
    tar = pack(
        directory(str(outside)[1:]), symlink("way", str(outside)), member("way/secret", b"changed")
    )
    place.add(tar)
    inner = place.tree(Digest.of(tar)) / str(outside)[1:] / "secret"
    assert inner.read_text() == "changed"


def test_a_link_that_is_replaced_is_not_written_through(place, outside):
    place.add(pack(symlink("x", str(outside / "secret"))), pack(member("x", b"changed")))


def test_a_hard_link_to_a_file_outside_is_refused(place, outside):
    refuse(place, hard_link("x", str(outside / "secret")))
    refuse(place, hard_link("x", "../" * 20 + str(outside / "secret")[1:]))


def test_a_hard_link_through_a_link_stays_below_the_layer(place, outside):
    refuse(place, symlink("way", str(outside)), hard_link("x", "way/secret", mode=0o777))


def test_a_hard_link_to_a_link_changes_nothing_behind_it(place, outside):
    place.add(
        pack(symlink("way", str(outside / "secret")), hard_link("x", "way", mode=0o777, uid=0))
    )


@pytest.mark.parametrize(
    "name", [".wh...", ".wh..", ".wh.", "a/.wh...", "../.wh.x", "a/../../.wh.x"]
)
def test_a_removal_of_something_outside_is_refused(place, name):
    refuse(place, directory("a"), member(name))


@pytest.mark.parametrize("name", ["way/.wh.secret", "way/.wh..wh..opq"])
def test_a_removal_behind_a_link_removes_nothing_outside(place, outside, name):
    with suppress(BundlerError):
        place.add(pack(symlink("way", str(outside))), pack(member(name)))


def test_a_directory_that_becomes_a_link_keeps_its_time_to_itself(place, outside):
    before = outside.stat().st_mtime_ns
    tar = pack(directory("d", mtime=5), member("d/x", b"1"))
    place.add(tar, pack(symlink("d", str(outside)), directory("e")))
    assert outside.stat().st_mtime_ns == before


def test_a_link_in_a_circle_is_given_up(place):
    refuse(place, symlink("a", "b"), symlink("b", "a"), member("a/x", b"1"), error=BundlerError)


def test_links_that_multiply_are_given_up(place):
    chain = [symlink(f"l{n}", f"l{n + 1}/l{n + 1}") for n in range(50)]
    refuse(place, *chain, member("l0/x", b"1"), error=BundlerError)


def test_one_name_twice_is_refused(place):
    refuse(place, member("a", b"1"), member("./a", b"2"))


def test_a_file_is_no_directory(place):
    refuse(place, member("a", b"1"), member("a/b", b"2"))


def test_a_removal_with_content_is_refused(place):
    refuse(place, member(".wh.a", b"content"))


def test_a_hard_link_to_a_directory_is_refused(place):
    refuse(place, directory("d"), hard_link("x", "d"))


def test_a_deep_tree_is_unpacked_and_removed(place):
    tar = pack(member("/".join(["d"] * 700), b"deep"))
    place.add(tar)
    with closing(place.destination()) as destination:
        destination.delete("example.com/app:1")
    assert place.records("layers") == []


@pytest.mark.parametrize("end", [0, 100, 511, 512, 700, 1023])
def test_a_tar_that_ends_early_is_refused(place, end):
    tar = pack(member("a", b"1" * 600))[:end]
    if end == 0:
        place.add(tar)
        return
    with pytest.raises(MalformedError):
        place.add(tar)


def test_bytes_that_are_no_tar_are_refused(place):
    with pytest.raises(MalformedError):
        place.add(b"no tar at all" * 100)


def test_a_sparse_member_is_refused(place):
    refuse(place, member("a", b"", kind=tarfile.GNUTYPE_SPARSE), error=UnsupportedError)


def test_too_many_members_are_refused(place, monkeypatch):
    monkeypatch.setattr(tar_stream, "MAX_ENTRIES", 5)
    refuse(place, *(member(f"f{n}") for n in range(6)), error=LimitError)


def test_a_bomb_is_refused(place):
    """More than 200 bytes for each one that came is no layer that anybody made."""
    store = MemoryStore()
    tar = pack(member("zeros", bytes(100 * 1024 * 1024)))
    root = store.add_image(layers=[tar])
    assert len(gzip.compress(tar)) * 200 < len(tar)
    with pytest.raises(LimitError):
        place.copy(store, root, "example.com/app:1")
    assert not list(place.root.rglob("zeros"))


@pytest.mark.kernel("trusted attributes")
def test_a_layer_cannot_speak_for_the_driver(place):
    marks = {
        "SCHILY.xattr.trusted.overlay.redirect": "/etc",
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.user.mine": "kept",
    }
    entry, data = directory("d")
    entry.pax_headers = marks
    tar = pack((entry, data))
    place.add(tar)
    found = place.tree(Digest.of(tar)) / "d"
    assert os.listxattr(found) == ["user.mine"]


@pytest.mark.kernel("owners", "devices")
def test_devices_owners_modes_and_times_are_kept(place):
    tar = pack(
        member("null", kind=tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666),
        member("pipe", kind=tarfile.FIFOTYPE, uid=7, gid=8),
        member("suid", b"#!", mode=0o4755, uid=9, gid=10),
        symlink("link", "suid", uid=11, gid=12),
        directory("dir", mode=0o1777),
    )
    place.add(tar)
    tree = place.tree(Digest.of(tar))
    facts = {path.name: path.lstat() for path in tree.iterdir()}
    assert facts["null"].st_rdev == os.makedev(1, 3)
    assert stat.S_ISFIFO(facts["pipe"].st_mode)
    assert (facts["pipe"].st_uid, facts["pipe"].st_gid) == (7, 8)
    assert stat.S_IMODE(facts["suid"].st_mode) == 0o4755
    assert (facts["link"].st_uid, facts["link"].st_gid) == (11, 12)
    assert stat.S_IMODE(facts["dir"].st_mode) == 0o1777
    assert {one.st_mtime for one in facts.values()} == {1_000_000_000}


@pytest.mark.kernel("owners")
def test_removals_take_only_what_is_below(tmp_path):
    """An opaque directory keeps what its own layer brought, wherever the mark stands."""
    place = Place(tmp_path, "vfs")
    below = pack(directory("d"), member("d/old", b"1"), member("d/sub/old", b"1"), member("gone"))
    above = pack(
        directory("d"),
        member("d/sub/new", b"2"),
        member("d/.wh..wh..opq"),
        member("d/new", b"2"),
        member(".wh.gone"),
    )
    place.add(below, above)
    tree = place.tree(Digest.of(below), Digest.of(above))
    assert sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*")) == [
        "d",
        "d/new",
        "d/sub",
        "d/sub/new",
    ]


@pytest.mark.kernel("trusted attributes")
def test_overlay_marks_what_is_removed(tmp_path):
    place = Place(tmp_path, "overlay")
    below = pack(directory("d"), member("d/old", b"1"), member("gone"))
    above = pack(directory("d"), member("d/.wh..wh..opq"), member(".wh.gone"))
    place.add(below, above)
    tree = place.tree(Digest.of(below), Digest.of(above))
    gone = (tree / "gone").lstat()
    assert stat.S_ISCHR(gone.st_mode)
    assert gone.st_rdev == 0
    assert os.getxattr(tree / "d", "trusted.overlay.opaque") == b"y"
