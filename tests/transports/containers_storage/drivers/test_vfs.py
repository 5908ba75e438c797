"""Whiteouts in trees that are copies of their parents."""

from __future__ import annotations

from bundler.oci.digest import Digest
from tests.fakes.tars import directory, member, pack
from tests.transports.containers_storage.sample_storage import SampleStorage


def test_whiteouts_remove_only_files_of_lower_layers(tmp_path):
    """An opaque directory keeps the files of its own layer, before and after the whiteout."""
    storage = SampleStorage(tmp_path, "vfs")
    below = pack(directory("d"), member("d/old", b"1"), member("d/sub/old", b"1"), member("gone"))
    above = pack(
        directory("d"),
        member("d/sub/new", b"2"),
        member("d/.wh..wh..opq"),
        member("d/new", b"2"),
        member(".wh.gone"),
    )
    storage.add_tars(below, above)
    tree = storage.tree(Digest.of(below), Digest.of(above))
    assert sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*")) == [
        "d",
        "d/new",
        "d/sub",
        "d/sub/new",
    ]
    lower = storage.tree(Digest.of(below))
    assert (lower / "d/old").read_bytes() == b"1"
    assert (lower / "gone").exists()
