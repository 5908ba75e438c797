"""Unpacking a small hostile layer takes little memory, regardless of the names in it."""

from __future__ import annotations

import gzip
import tarfile

import pytest

from bundler.errors import LimitError
from bundler.transports.containers_storage.drivers import apply_diff, path_set
from tests import peak_memory
from tests.fakes.tars import member, pack
from tests.peak_memory import MIB

UNPACK = """
import sys
from pathlib import Path

from bundler.content.archives.tar_split import GzipLines, SplitWriter
from bundler.content.compression.decompress import DecompressingReader
from bundler.content.files.safe_directory import RegularFile
from bundler.transports.containers_storage.drivers.apply_diff import DiffApplier
from bundler.transports.containers_storage.drivers.rooted_tree import RootedTree
from bundler.transports.containers_storage.drivers.vfs import VfsDriver

layer, home = map(Path, sys.argv[1:])
(home / "tree").mkdir(parents=True)
with (
    RegularFile.open(layer) as file,
    RootedTree.open(home / "tree") as tree,
    (home / "split").open("wb") as split,
    (home / "scratch").open("w+b") as scratch,
):
    writer = SplitWriter(GzipLines(split))
    stream = DecompressingReader(file, "gzip", "layer")
    DiffApplier(tree, writer, scratch, VfsDriver(home), "layer").apply(stream)
    writer.close()
"""


COPY = """
import sys
from pathlib import Path

from bundler.transports.containers_storage.drivers.vfs import VfsDriver

home = Path(sys.argv[1])
(home / "staging").mkdir()
VfsDriver(home).stage(home / "staging", "parent")
"""


def measure(tmp_path, *members):
    layer = tmp_path / "layer.tar.gz"
    layer.write_bytes(gzip.compress(pack(*members, format=tarfile.GNU_FORMAT)))
    assert layer.stat().st_size < MIB
    return peak_memory.measure(UNPACK, layer, tmp_path / "storage")


def test_many_whiteouts_take_little_memory(tmp_path):
    """Whiteouts create no file, so that only memory limits their number."""
    names = (f"{'a/' * 900}.wh.{number}" for number in range(10_000))
    assert measure(tmp_path, *map(member, names)) < 64 * MIB


def test_copying_many_hard_links_takes_little_memory(tmp_path):
    directory = tmp_path.joinpath("vfs/dir/parent", *["x" * 250] * 14)
    directory.mkdir(parents=True)
    for number in range(6000):
        (directory / f"{number}").touch()
        (directory / f"{number} link").hardlink_to(directory / f"{number}")
    assert peak_memory.measure(COPY, tmp_path) < 30 * MIB


def test_number_of_paths_is_limited(storage, monkeypatch):
    monkeypatch.setattr(path_set, "MAX_PATHS", 50)
    storage.add_tars(pack(member("a/" * 40 + "x")))
    with pytest.raises(LimitError):
        storage.add_tars(pack(member("a/" * 60 + "x")), name="example.com/app:2")


def test_number_of_owners_is_limited(storage, monkeypatch):
    monkeypatch.setattr(apply_diff, "_MAX_OWNERS", 2)
    with pytest.raises(LimitError):
        storage.add_tars(pack(*(member(f"{uid}", uid=uid) for uid in range(3))))
