"""``airbundle why``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.fakes import bundles, images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

NGINX, APP = bundles.REFERENCES


@pytest.fixture
def named(tmp_path: Path) -> dict[str, images.Image]:
    """Write the bundle ``b``, whose images come from one line, and return its images."""
    named = bundles.sample()
    signature = images.artifact("application/x-signature", b"signed", subject=named[NGINX])
    bundle = tmp_path / "b"
    images.write_layout(bundle, named | {"signature": signature})
    inventory = bundles.create_inventory(bundle, named)
    for image in inventory["images"]:
        image |= {"origin": "plant-7.yaml:12", "source": "mirror.corp/x"}
    inventory["images"][0]["referrers"] = [
        {
            "digest": signature.digest,
            "mediaType": signature.root.media_type,
            "size": len(signature.root.data),
            "subject": named[NGINX].digest,
        }
    ]
    (bundle / "VERIFY.txt").write_text("x\n")
    bundles.seal(bundle, inventory)
    return named | {"signature": signature}


def _why(run: RunAirbundle, content: str) -> list[dict[str, Any]]:
    result = run("why", "b", content, "--json")
    assert result.status == 0, result.stderr
    return json.loads(result.stdout)["images"]


def test_line_of_the_bundle_manifest_is_shown(run_airbundle: RunAirbundle, named):
    result = run_airbundle("why", "b", "nginx:1.27")
    assert result.status == 0
    assert "plant-7.yaml:12" in result.stdout
    assert "mirror.corp/x" in result.stdout
    assert "none verified" in result.stdout
    (use,) = _why(run_airbundle, "nginx:1.27")
    assert (use["name"], use["origin"], use["imagesOfLine"]) == (NGINX, "plant-7.yaml:12", 2)


def test_shared_layer_is_needed_by_each_platform(run_airbundle: RunAirbundle, named):
    shared = named[NGINX].blobs[1].digest
    uses = _why(run_airbundle, shared[:19])
    assert [(use["name"], [step["kind"] for step in use["path"]]) for use in uses] == [
        (NGINX, ["manifest", "layer"]),
        (APP, ["index", "manifest", "layer"]),
        (APP, ["index", "manifest", "layer"]),
    ]
    platforms = [use["path"][1]["platform"] for use in uses[1:]]
    assert platforms == ["linux/amd64", "linux/arm64"]
    assert {use["path"][-1]["digest"] for use in uses} == {shared}


def test_content_of_a_referrer_is_needed_by_its_image(run_airbundle: RunAirbundle, named):
    (use,) = _why(run_airbundle, named["signature"].blobs[1].digest)
    assert [step.get("referrer", False) for step in use["path"]] == [False, True, False]
    assert use["path"][1]["artifactType"] == "application/x-signature"


@pytest.mark.parametrize("content", ["absent", "sha256:" + "0" * 64, "0" * 12, "", "sha256:"])
def test_absent_content_is_not_found(run_airbundle: RunAirbundle, named, content: str):
    result = run_airbundle("why", "b", content)
    assert (result.status, result.stdout) == (9, "")


def test_layer_of_a_layout_is_found(run_airbundle: RunAirbundle, tmp_path: Path):
    image = images.image()
    images.write_layout(tmp_path / "layout", {"app:1": image})
    result = run_airbundle("why", "oci:layout", image.blobs[1].digest, "--json")
    (use,) = json.loads(result.stdout)["images"]
    assert [step["kind"] for step in use["path"]] == ["manifest", "layer"]
