"""``airbundle files``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes import bundles, images, tars

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

NAME = bundles.REFERENCES[0]
LAYERS = (
    tars.layer(tars.member("bin/su", b"su", mode=0o4755), tars.member("etc/old")),
    tars.layer(tars.member("etc/.wh.old"), tars.symlink("bin/sh", "su")),
)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return bundles.write(tmp_path / "b", {NAME: images.image(*LAYERS)})


def test_files_of_all_layers_are_listed_together(run_airbundle: RunAirbundle, bundle: Path):
    result = run_airbundle("files", bundle, "nginx:1.27")
    lines = [(line[:12], *line[13:].split(maxsplit=3)) for line in result.stdout.splitlines()]
    assert result.status == 0
    assert [(line[0], line[-1][6:]) for line in lines] == [
        ("  lrwxr-xr-x", "bin/sh -> su"),
        ("! -rwsr-xr-x", "bin/su"),
    ]


def test_json_contains_modes_as_octal_numbers(run_airbundle: RunAirbundle, bundle: Path):
    result = run_airbundle("files", bundle, "--json")
    listed = json.loads(result.stdout)["files"]
    assert [(item["path"], item["type"], item["mode"]) for item in listed] == [
        ("bin/sh", "symbolic link", "0755"),
        ("bin/su", "file", "4755"),
    ]


def test_members_of_each_layer_include_whiteouts(run_airbundle: RunAirbundle, bundle: Path):
    listed = json.loads(run_airbundle("files", bundle, "--all-layers", "--json").stdout)["files"]
    assert [(item["layer"], item["path"]) for item in listed] == [
        (1, "bin/su"),
        (1, "etc/old"),
        (2, "etc/.wh.old"),
        (2, "bin/sh"),
    ]


def test_image_of_a_layout_is_read(run_airbundle: RunAirbundle, tmp_path: Path):
    images.write_layout(tmp_path / "layout", {"app:1": images.image(*LAYERS)})
    result = run_airbundle("files", "oci:layout", "--layer", "1")
    assert result.stdout.splitlines()[1].endswith(" bin/su")


def test_hostile_name_is_escaped(run_airbundle: RunAirbundle, tmp_path: Path):
    layer = tars.layer(tars.member("a\x1b[31m"))
    images.write_layout(tmp_path / "layout", {"app:1": images.image(layer)})
    assert "\x1b" not in run_airbundle("files", "oci:layout").stdout


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("b", "absent:1"), 9),
        (("b", "nginx:1.27", "--platform", "linux/arm64"), 9),
        (("absent",), 9),
        (("b", "--layer", "3"), 2),
        (("b", "--layer", "1", "--all-layers"), 2),
        (("docker://",), 2),
    ],
)
def test_wrong_arguments_are_refused(
    run_airbundle: RunAirbundle, bundle: Path, arguments: tuple[str, ...], status: int
):
    assert bundle.is_dir()
    result = run_airbundle("files", *arguments)
    assert (result.status, result.stdout) == (status, "")


def test_image_of_several_platforms_is_selected(run_airbundle: RunAirbundle, tmp_path: Path):
    bundles.write(tmp_path / "b", bundles.sample())
    for platform in ("linux/amd64", "linux/arm64"):
        result = run_airbundle("files", "b", "app:v2.1", "--platform", platform)
        assert result.status == 0
    assert run_airbundle("files", "b", "app:v2.1", "--platform", "linux/s390x").status == 9


def test_marked_files_are_selected(run_airbundle: RunAirbundle, tmp_path: Path):
    layer = tars.layer(
        tars.member("bin/su", mode=0o4755),
        tars.member("bin/wall", mode=0o2755),
        tars.member("etc/open", mode=0o666),
        tars.directory("tmp", mode=0o1777),
        tars.directory("srv", mode=0o777),
        tars.symlink("link", "etc/open"),
        tars.member("etc/usual"),
    )
    images.write_layout(tmp_path / "layout", {"app:1": images.image(layer)})
    result = run_airbundle("files", "oci:layout", "--marked", "--json")
    assert {item["path"]: item["marks"] for item in json.loads(result.stdout)["files"]} == {
        "bin/su": ["set-user-ID"],
        "bin/wall": ["set-group-ID"],
        "etc/open": ["world-writable"],
        "srv": ["world-writable"],
    }


def test_absence_of_marked_files_is_stated(run_airbundle: RunAirbundle, tmp_path: Path):
    layer = tars.layer(tars.member("etc/usual"))
    images.write_layout(tmp_path / "layout", {"app:1": images.image(layer)})
    result = run_airbundle("files", "oci:layout", "--marked")
    assert (result.status, result.stdout) == (0, "")
    assert "no file has set-user-ID or set-group-ID, or is world-writable" in result.stderr
    assert not run_airbundle("files", "oci:layout", "--marked", "--quiet").stderr
