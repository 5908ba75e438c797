"""Bundles are checked and named before they are served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bundler.copy.target_names import NameMapping
from bundler.errors import (
    ConflictError,
    DamagedBundleError,
    DigestMismatchError,
    ExpiredError,
    InvalidReferenceError,
    NotFoundError,
    UnauthenticatedError,
)
from bundler.gocompat.regexp import GoExpression
from tests.fakes import bundles, images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.bundle.serving.conftest import OpenBundles

EXPIRED = "2020-01-01T00:00:00Z"


def find_blob(bundle: Path, blob: images.Blob) -> Path:
    return bundle / "blobs" / blob.digest.replace(":", "/")


def test_bundles_are_served_together(tmp_path: Path, open_bundles: OpenBundles):
    """The same image may be in several bundles, which may have different formats."""
    one, two = images.image(platform="linux/arm64"), images.image()
    first = bundles.write(tmp_path / "1", {"docker.io/library/a:1": one, "quay.io/b:1": two})
    second = bundles.write(tmp_path / "2", {"docker.io/library/a:1": one}, form="dir")
    content = open_bundles(first, second)
    assert sorted(content.repositories) == ["b", "library/a"]
    assert [str(item.name) for item in content.images] == ["library/a:1", "b:1", "library/a:1"]


def test_different_images_with_one_name_are_a_conflict(tmp_path: Path, open_bundles: OpenBundles):
    one, two = images.image(platform="linux/arm64"), images.image()
    first = bundles.write(tmp_path / "1", {"docker.io/library/a:1": one})
    second = bundles.write(tmp_path / "2", {"quay.io/library/a:1": two})
    with pytest.raises(ConflictError) as caught:
        open_bundles(first, second)
    assert caught.value.subjects == ("library/a:1",)
    content = open_bundles(first, second, names=NameMapping(default="host-path"))
    assert sorted(content.repositories) == ["docker.io/library/a", "quay.io/library/a"]


def test_names_are_those_of_an_import(tmp_path: Path, open_bundles: OpenBundles):
    bundle = bundles.write(tmp_path / "b")
    rules = (("registry.corp:5000/infra", "team"),)
    content = open_bundles(bundle, names=NameMapping(rules, prefix="gate"))
    assert sorted(content.repositories) == ["gate/library/nginx", "gate/team/app"]
    with pytest.raises(InvalidReferenceError):
        open_bundles(bundle, names=NameMapping(prefix="Wrong Prefix"))


def test_images_are_selected(tmp_path: Path, open_bundles: OpenBundles):
    bundle = bundles.write(tmp_path / "b")
    content = open_bundles(bundle, only=(GoExpression.parse("nginx"),))
    assert sorted(content.repositories) == ["library/nginx"]
    with pytest.raises(NotFoundError):
        open_bundles(bundle, only=(GoExpression.parse("absent"),))


def test_image_without_tag_is_found_by_its_digest(tmp_path: Path, open_bundles: OpenBundles):
    image = images.image()
    reference = f"docker.io/library/a@{image.digest}"
    repository = open_bundles(bundles.write(tmp_path / "b", {reference: image})).repositories
    assert repository["library/a"].tags == {}
    assert repository["library/a"].find_manifest(image.digest) is not None


def test_bundle_is_authenticated(tmp_path: Path, open_bundles: OpenBundles):
    bundle = bundles.write(tmp_path / "b", expires=EXPIRED)
    with pytest.raises(UnauthenticatedError):
        open_bundles(bundle, allow_unsigned=False)
    with pytest.raises(ExpiredError):
        open_bundles(bundle)
    assert len(open_bundles(bundle, allow_expired=True).images) == 2


def test_missing_and_damaged_content_is_refused(tmp_path: Path, open_bundles: OpenBundles):
    image = images.image()
    bundle = bundles.write(tmp_path / "b", {"docker.io/library/a:1": image})
    layer = find_blob(bundle, image.blobs[1])
    layer.write_bytes(image.blobs[1].data + b"x")
    with pytest.raises(DamagedBundleError):
        open_bundles(bundle)
    layer.write_bytes(image.blobs[1].data)
    manifest = find_blob(bundle, image.root)
    manifest.write_bytes(image.root.data.replace(b"2", b"3", 1))
    with pytest.raises(DigestMismatchError):
        open_bundles(bundle)
    manifest.unlink()
    with pytest.raises(DamagedBundleError):
        open_bundles(bundle)
