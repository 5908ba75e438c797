"""``airbundle find``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes import bundles, damage, images, tars

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

NGINX, APP = bundles.REFERENCES
LOWER = tars.layer(tars.member("lib/log4j-core-2.14.jar", b"x"), tars.member("etc/old"))
STATUS = b"Package: curl\nStatus: install ok installed\nVersion: 7.88.1\nArchitecture: amd64\n"
UPPER = tars.layer(
    tars.member("var/lib/dpkg/status", STATUS),
    tars.member("lib/.wh.log4j-core-2.14.jar"),
    tars.member("etc/\x1b[31m"),
)
LABELS = {"config": {"Labels": {"vendor": "Example", "tier": "db"}}}
NAMED = {
    NGINX: images.image(LOWER, config=LABELS),
    APP: images.image(LOWER, UPPER, config={"config": {"Labels": {"vendor": "Other"}}}),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with two bundles, one of them in a folder of its own."""
    bundles.write(tmp_path / "media/plant", NAMED)
    bundles.write(tmp_path / "media/old/plant", {APP: NAMED[APP]})
    return tmp_path / "media"


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("--file", "log4j-core-*.jar"), {("media/plant", NGINX, "lib/log4j-core-2.14.jar")}),
        (("--file", "/lib/*.jar"), {("media/plant", NGINX, "lib/log4j-core-2.14.jar")}),
        (
            ("--file", "old", "--reference", "app"),
            {("media/plant", APP, "etc/old"), ("media/old/plant", APP, "etc/old")},
        ),
        (
            ("--package", "curl@7.*", "--reference", "app"),
            {
                (location, APP, "curl@7.88.1 (deb, var/lib/dpkg/status)")
                for location in ("media/plant", "media/old/plant")
            },
        ),
        (("--label", "vendor=Ex*"), {("media/plant", NGINX, "vendor=Example")}),
        (
            ("--label", "vendor", "--label", "tier=db"),
            {("media/plant", NGINX, "vendor=Example"), ("media/plant", NGINX, "tier=db")},
        ),
        (
            ("--reference", "library/"),
            {("media/plant", NGINX, NGINX)},
        ),
        (
            ("--digest", UPPER.blob.digest[:19]),
            {
                ("media/plant", APP, UPPER.blob.digest),
                ("media/old/plant", APP, UPPER.blob.digest),
            },
        ),
    ],
)
def test_images_are_found(
    run_airbundle: RunAirbundle, folder: Path, arguments: tuple[str, ...], found: set
):
    result = run_airbundle("find", "media", *arguments, "--json")
    assert result.status == 0, result.stderr
    matches = json.loads(result.stdout)["matches"]
    assert {(item["location"], item["image"], item["text"]) for item in matches} == found


def test_names_are_escaped(run_airbundle: RunAirbundle, folder: Path):
    result = run_airbundle("find", "media/plant", "--file", "*31m")
    assert (result.status, "\x1b" in result.stdout) == (0, False)
    assert APP in result.stdout


def test_damaged_bundle_does_not_hide_the_others(run_airbundle: RunAirbundle, folder: Path):
    damage.flip_bit(bundles.find_largest_blob(folder / "old/plant"))
    result = run_airbundle("find", "media", "--file", "log4j*", "--json")
    value = json.loads(result.stdout)
    assert (result.status, len(value["matches"]), len(value["failed"])) == (11, 1, 1)
    assert run_airbundle("find", "media/old/plant", "--file", "log4j*").status == 3


def test_damaged_image_does_not_hide_the_others(run_airbundle: RunAirbundle, folder: Path):
    damage.flip_bit(folder / "plant/blobs/sha256" / UPPER.blob.digest.removeprefix("sha256:"))
    result = run_airbundle("find", "media/plant", "--file", "log4j*", "--json")
    value = json.loads(result.stdout)
    assert (result.status, [item["image"] for item in value["matches"]]) == (11, [NGINX])
    (failure,) = value["failed"]
    assert APP in failure


def test_bundle_without_inventory_is_not_overlooked(run_airbundle: RunAirbundle, folder: Path):
    (folder / "old/plant/bundle.json").unlink()
    result = run_airbundle("find", "media", "--reference", "nginx", "--json")
    (failure,) = json.loads(result.stdout)["failed"]
    assert (result.status, "media/old/plant" in failure) == (11, True)


def test_file_of_packages_that_cannot_be_read_may_hide_some(
    run_airbundle: RunAirbundle, tmp_path: Path
):
    layer = tars.layer(tars.member("var/lib/dpkg/status", b"\xff not a database"))
    bundles.write(tmp_path / "b", {NGINX: images.image(layer), APP: NAMED[APP]})
    for package, found in (("curl", 1), ("wget", 0)):
        result = run_airbundle("find", "b", "--package", package, "--json")
        value = json.loads(result.stdout)
        assert (result.status, len(value["matches"])) == (11, found)
        assert "var/lib/dpkg/status" in value["failed"][0]


def test_layout_is_searched(run_airbundle: RunAirbundle, tmp_path: Path):
    images.write_layout(tmp_path / "layout", {"a": NAMED[NGINX], "s": images.artifact("a/b", b"")})
    result = run_airbundle("find", "oci:layout", "--label", "tier", "--json")
    assert [item["image"] for item in json.loads(result.stdout)["matches"]] == ["oci:layout:a"]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("media", "--file", "absent"), 9),
        (("media", "--label", "vendor=x"), 9),
        (("media", "--package", "curl@8.*", "--reference", "app"), 9),
        (("absent", "--file", "x"), 9),
        (("empty", "--file", "x"), 9),
        (("media",), 2),
        (("--file", "x"), 2),
        (("media", "--reference", "("), 2),
        (("media", "--digest", "abc"), 2),
    ],
)
def test_wrong_arguments_are_refused(
    run_airbundle: RunAirbundle, folder: Path, arguments: tuple[str, ...], status: int
):
    folder.with_name("empty").mkdir()
    result = run_airbundle("find", *arguments)
    assert (result.status, result.stdout) == (status, "")
