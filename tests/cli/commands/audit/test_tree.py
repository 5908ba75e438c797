"""``airbundle tree``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.fakes import bundles

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle


def test_all_images_are_shown(run_airbundle: RunAirbundle, tmp_path: Path):
    named = bundles.sample()
    bundles.write(tmp_path / "b", named)
    result = run_airbundle("tree", "b")
    assert result.status == 0
    for name, image in named.items():
        assert name in result.stdout
        for blob in (*image.manifests(), *image.all_blobs()):
            assert blob.digest[:19] in result.stdout


def test_json_contains_one_image(run_airbundle: RunAirbundle, tmp_path: Path):
    named = bundles.sample()
    bundles.write(tmp_path / "b", named)
    (image,) = json.loads(run_airbundle("tree", "b", "app:v2.1", "--json").stdout)["images"]
    assert image["name"] == bundles.REFERENCES[1]
    assert image["root"]["kind"] == "index"
    assert [child["platform"] for child in image["root"]["children"]] == [
        "linux/amd64",
        "linux/arm64",
    ]


def test_absent_image_is_not_found(run_airbundle: RunAirbundle, tmp_path: Path):
    bundles.write(tmp_path / "b")
    assert run_airbundle("tree", "b", "absent").status == 9
