"""The driver of a storage."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from bundler import transports
from bundler.config.settings import Settings
from bundler.config.storage_conf import StorageConfig, StorageConfPaths
from bundler.errors import UnsupportedError, UsageError
from bundler.ports import OpenOptions
from bundler.transports.containers_storage.drivers.select_driver import select_driver
from bundler.transports.containers_storage.transport import TRANSPORT
from tests.transports.containers_storage.sample_storage import NAME, SampleStorage


@pytest.mark.parametrize(
    ("name", "used", "expected"),
    [
        (None, [], "overlay"),
        ("", ["vfs"], "vfs"),
        (None, ["vfs"], "vfs"),
        ("overlay", ["vfs"], "overlay"),
        ("overlay2", [], "overlay"),
        ("vfs", ["vfs", "overlay"], "vfs"),
    ],
)
def test_driver_defaults_to_the_driver_in_use_then_overlay(tmp_path, name, used, expected):
    for driver in used:
        (tmp_path / driver).mkdir()
    assert select_driver(name, tmp_path, {}).name == expected


@pytest.mark.parametrize(("name", "used"), [("zfs", []), (None, ["btrfs"]), ("../x", [])])
def test_unsupported_driver_is_refused(tmp_path, name, used):
    for driver in used:
        (tmp_path / driver).mkdir()
    with pytest.raises(UnsupportedError):
        select_driver(name, tmp_path, {})


def test_driver_in_use_is_used_and_several_are_ambiguous(tmp_path):
    SampleStorage(tmp_path, "vfs").add_image()
    configured = StorageConfig(Path("/x"), tmp_path)
    options = OpenOptions(
        load_settings=lambda: Settings(locate_storage=lambda: StorageConfPaths(configured))
    )
    reference = transports.parse(f"containers-storage:[{tmp_path}/root]{NAME}")
    with closing(TRANSPORT.source(reference, options)) as source:
        assert source.tags() == [NAME]
    (tmp_path / "root/overlay").mkdir()
    with pytest.raises(UsageError) as caught:
        TRANSPORT.source(reference, options)
    assert "[overlay@" in caught.value.hint


def test_mount_program_keeps_whiteouts_as_files(tmp_path):
    options = {"overlay.mount_program": "/usr/bin/fuse-overlayfs"}
    assert select_driver("overlay", tmp_path, options).keep_whiteouts
    assert not select_driver("overlay", tmp_path, {}).keep_whiteouts
