"""Layers as overlayfs mounts them: short names, lower layers, whiteouts."""

from __future__ import annotations

import os
import stat

import pytest

from bundler.errors import MalformedError
from bundler.oci.digest import Digest
from bundler.transports.containers_storage.drivers.overlay import OverlayDriver
from tests.fakes.tars import directory, member, pack
from tests.transports.containers_storage.sample_storage import SampleStorage


@pytest.fixture
def driver(tmp_path):
    return OverlayDriver(tmp_path, keep_whiteouts=False)


def add_layer(driver, tmp_path, layer, parent=None):
    staging = tmp_path / "staging"
    staging.mkdir()
    (driver.stage(staging, parent) / "file").write_text(layer)
    driver.publish(staging, layer)


def test_short_names_link_to_the_layers_below(driver, tmp_path):
    add_layer(driver, tmp_path, "base")
    add_layer(driver, tmp_path, "middle", "base")
    add_layer(driver, tmp_path, "top", "middle")
    lower = (driver.home / "top/lower").read_text().split(":")
    files = [(driver.home / name / "file").read_text() for name in lower]
    assert files == ["middle", "base"]
    assert not (driver.home / "base/lower").exists()


def test_remove_deletes_the_layer_and_its_short_name(driver, tmp_path):
    add_layer(driver, tmp_path, "base")
    driver.remove("base")
    driver.remove("base")
    assert [path.name for path in driver.home.iterdir()] == ["l"]
    assert list((driver.home / "l").iterdir()) == []


@pytest.mark.parametrize("short", ["../../etc", "a/b", "", "é"])
def test_invalid_short_name_is_refused(driver, tmp_path, short):
    add_layer(driver, tmp_path, "base")
    (driver.home / "base/link").write_text(short)
    with pytest.raises(MalformedError):
        driver.remove("base")
    assert (driver.home / "base/diff/file").exists()


def test_parent_without_a_short_name_is_refused(driver, tmp_path):
    add_layer(driver, tmp_path, "base")
    (driver.home / "base/link").unlink()
    with pytest.raises(MalformedError):
        add_layer(driver, tmp_path, "top", "base")


@pytest.mark.kernel("trusted attributes")
def test_whiteouts_are_devices_and_attributes(tmp_path):
    storage = SampleStorage(tmp_path, "overlay")
    below = pack(directory("d"), member("d/old", b"1"), member("gone"))
    above = pack(directory("d"), member("d/.wh..wh..opq"), member(".wh.gone"))
    storage.add_tars(below, above)
    tree = storage.tree(Digest.of(below), Digest.of(above))
    gone = (tree / "gone").lstat()
    assert stat.S_ISCHR(gone.st_mode)
    assert gone.st_rdev == 0
    assert os.getxattr(tree / "d", "trusted.overlay.opaque") == b"y"
