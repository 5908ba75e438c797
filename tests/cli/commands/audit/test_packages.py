"""``airbundle packages``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.fakes import bundles, images, tars

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

APK = "lib/apk/db/installed"
ONE = tars.layer(tars.member(APK, b"P:one\nV:1.0-r0\nL:MIT\n"))


def test_packages_of_one_image_are_listed(run_airbundle: RunAirbundle, tmp_path: Path):
    bundles.write(tmp_path / "b", {bundles.REFERENCES[0]: images.image(ONE)})
    result = run_airbundle("packages", "b", "nginx:1.27")
    assert result.status == 0
    assert [line.split() for line in result.stdout.splitlines()[1:]] == [
        ["TYPE", "NAME", "VERSION", "LICENCES", "PATH"],
        ["apk", "one", "1.0-r0", "MIT", APK],
    ]


def test_packages_of_all_images_and_platforms_are_json(run_airbundle: RunAirbundle, tmp_path: Path):
    other = images.image(ONE, platform="linux/arm64")
    images.write_layout(
        tmp_path / "layout", {"a": images.index(images.image(ONE), other), "b": images.image()}
    )
    listed = json.loads(run_airbundle("packages", "oci:layout", "--json").stdout)["images"]
    assert [(item["platform"], len(item["packages"])) for item in listed] == [
        ("linux/amd64", 1),
        ("linux/arm64", 1),
        ("linux/amd64", 0),
    ]
    package = listed[0]["packages"][0]
    assert package["purl"] == "pkg:apk/alpine/one@1.0-r0"
    assert package["layer"] == ONE.blob.digest


def test_licenses_are_counted(run_airbundle: RunAirbundle, tmp_path: Path):
    database = b"P:a\nV:1\nL:ISC\n\nP:b\nV:1\n\nP:c\nV:1\nL:MIT\n\nP:d\nV:1\nL:MIT\n"
    layer = tars.layer(tars.member(APK, database))
    images.write_layout(tmp_path / "layout", {"a": images.image(layer)})
    result = run_airbundle("packages", "oci:layout", "--licenses")
    assert [line.split() for line in result.stdout.splitlines()[2:]] == [
        ["2", "MIT"],
        ["1", "not", "stated"],
        ["1", "ISC"],
    ]


def test_platform_is_selected(run_airbundle: RunAirbundle, tmp_path: Path):
    images.write_layout(tmp_path / "layout", {"a": images.image(ONE)})
    arguments = ("packages", "oci:layout", "--json", "--platform")
    assert run_airbundle(*arguments, "linux/amd64").status == 0
    assert run_airbundle(*arguments, "linux/arm64").status == 9


def test_file_that_cannot_be_read_is_reported_after_the_list(
    run_airbundle: RunAirbundle, tmp_path: Path
):
    layer = tars.layer(tars.member(APK, b"garbage"))
    images.write_layout(tmp_path / "layout", {"a": images.image(ONE, layer)})
    result = run_airbundle("packages", "oci:layout", "--json")
    (listed,) = json.loads(result.stdout)["images"]
    assert [item["code"] for item in listed["findings"]] == ["package-file-malformed"]
    assert result.status == 12
    assert APK in result.stderr


def test_damaged_layer_is_an_error(run_airbundle: RunAirbundle, tmp_path: Path):
    layout = images.write_layout(tmp_path / "layout", {"a": images.image(ONE)})
    blob = layout / "blobs" / ONE.blob.digest.replace(":", "/")
    blob.write_bytes(blob.read_bytes()[:-1] + b"x")
    result = run_airbundle("packages", "oci:layout")
    assert (result.status, result.stdout) == (3, "")
