"""The content of images as a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bundler.bundle.audit.images import open_images
from bundler.bundle.audit.listings import tree
from bundler.bundle.audit.location import Location
from bundler.config.settings import Settings
from bundler.errors import LimitError, NotFoundError, UsageError
from bundler.events import discard
from bundler.ports import OpenOptions
from tests.fakes import bundles, images

if TYPE_CHECKING:
    from pathlib import Path

NGINX, APP = bundles.REFERENCES
OPTIONS = OpenOptions(Settings)


def _create_tree(location: object, image: str | None = None) -> tree.ContentNode:
    with open_images(Location((str(location),)), OPTIONS) as found:
        return tree.create_tree(found.find(image).resolve(discard, referrers=True))


@pytest.mark.parametrize("form", ["oci", "dir"])
def test_tree_contains_platforms_and_layers(tmp_path: Path, form: str):
    named = bundles.sample()
    root = _create_tree(bundles.write(tmp_path / "b", named, form=form), APP)
    assert (root.is_index, root.descriptor.digest.text) == (True, named[APP].digest)
    assert [str(child.descriptor.platform) for child in root.children] == [
        "linux/amd64",
        "linux/arm64",
    ]
    for child, expected in zip(root.children, named[APP].children, strict=True):
        assert [node.kind for node in child.children] == ["config", "layer", "layer"]
        digests = [node.descriptor.digest.text for node in child.children]
        assert digests == [blob.digest for blob in expected.blobs]


def test_referrer_stands_below_its_subject(tmp_path: Path):
    image = images.image()
    signature = images.artifact("application/x-signature", b"signed", subject=image)
    directory = images.write_layout(tmp_path / "layout", {"app:1": image, "sig": signature})
    root = _create_tree(f"oci:{directory}:app:1")
    (referrer,) = root.referrers
    assert referrer.descriptor.digest.text == signature.digest
    assert referrer.artifact_type == "application/x-signature"


def test_size_of_a_tree_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tree, "MAX_NODES", 3)
    with pytest.raises(LimitError):
        _create_tree(bundles.write(tmp_path / "b"), APP)


@pytest.mark.parametrize("text", [NGINX, "nginx:1.27", "library/nginx:1.27"])
def test_image_is_found_by_the_end_of_its_name(tmp_path: Path, text: str):
    with open_images(Location((str(bundles.write(tmp_path / "b")),)), OPTIONS) as found:
        assert found.find(text).name == NGINX


def test_image_is_found_by_its_digest(tmp_path: Path):
    named = bundles.sample()
    digest = named[NGINX].digest
    with open_images(Location((str(bundles.write(tmp_path / "b", named)),)), OPTIONS) as found:
        for text in (digest, digest[:19], digest.partition(":")[2][:12]):
            assert found.find(text).name == NGINX
        for text in (digest[:18], "ginx:1.27", "", "sha256:"):
            with pytest.raises(NotFoundError):
                found.find(text)


def test_one_of_several_images_has_to_be_named(tmp_path: Path):
    bundle = str(bundles.write(tmp_path / "b"))
    with open_images(Location((bundle,)), OPTIONS) as found, pytest.raises(UsageError):
        found.find(None)


def test_image_layout_is_no_bundle(tmp_path: Path):
    directory = images.write_layout(tmp_path / "layout", {"app:1": images.image()})
    with pytest.raises(NotFoundError):
        open_images(Location((str(directory),)), OPTIONS)


def test_all_images_of_a_layout_are_opened(tmp_path: Path):
    named = {"app:1": images.image(), "app:2": images.image(platform="linux/arm64")}
    directory = images.write_layout(tmp_path / "layout", named)
    with open_images(Location((f"oci:{directory}",)), OPTIONS) as found:
        assert [image.name for image in found.images] == [
            f"oci:{directory}:app:1",
            f"oci:{directory}:app:2",
        ]
        assert found.find(f"oci:{directory}:app:2").resolve(discard).graph.platforms
