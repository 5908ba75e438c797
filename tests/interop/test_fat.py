"""Bundles on a real FAT file system, mounted by fusefat."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from bundler.bundle.media.filesystem import MAX_FAT_FILE, inspect
from bundler.bundle.verifying.verify import verify
from bundler.content.files.safe_directory import Directory
from bundler.content.files.write_lock import RECORD, hold
from bundler.errors import LockedError
from tests.bundle.test_blob_parts import TRUST, Site, export, find_parts, site
from tests.interop.servers import program

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["site"]


@pytest.fixture
def stick(tmp_path: Path) -> Iterator[Path]:
    image, mounted = tmp_path / "fat.img", tmp_path / "stick"
    mounted.mkdir()
    with image.open("wb") as file:
        file.truncate(40 << 20)
    subprocess.run([program("mkfs.vfat"), image], check=True, capture_output=True)
    subprocess.run(
        [program("fusefat"), "-o", "rw+", image, mounted], check=True, capture_output=True
    )
    yield mounted
    subprocess.run([program("fusermount"), "-u", mounted], check=True)


@pytest.mark.kernel("fuse")
def test_bundle_in_parts_is_written_to_fat_and_read_back(site: Site, stick: Path):
    site.bundle = stick / "plant"
    assert inspect(stick).largest_file == MAX_FAT_FILE
    report = export(site, read_back=True)
    assert report.read_back is not None
    assert len(find_parts(site)) == 3
    assert verify(site.bundle, TRUST).whole
    assert not export(site).changed
    site.import_(f"oci:{site.path / 'target'}")


@pytest.mark.kernel("fuse")
def test_second_writer_on_fuse_is_refused_by_a_record(site: Site, stick: Path):
    site.bundle = stick / "plant"
    export(site)
    with Directory.open(site.bundle) as directory, hold(directory):
        assert RECORD in directory.list_names()
        with pytest.raises(LockedError, match=f"process {os.getpid()}"):
            export(site)
    assert not export(site).changed
    assert RECORD not in [path.name for path in site.bundle.iterdir()]
