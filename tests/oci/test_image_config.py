"""Image configs: platform, diff IDs and date."""

from __future__ import annotations

import pytest

from bundler.errors import BundlerError, LimitError, MalformedError
from bundler.oci.digest import Digest
from bundler.oci.manifest import ImageConfig
from tests.fakes import images


def test_platform_and_diff_ids_are_read():
    layer = images.layer({"a": b"b"})
    image = images.image(layer, platform="linux/arm/v7")
    parsed = ImageConfig.parse(image.blobs[0].data)
    assert str(parsed.platform) == "linux/arm/v7"
    assert parsed.diff_ids == (Digest(layer.diff_id),)


def test_members_of_an_empty_config_are_empty():
    parsed = ImageConfig.parse(b"{}")
    assert (str(parsed.platform), parsed.diff_ids, parsed.created) == ("", (), None)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b'{"os":1}',
        b'{"os":"linux","OS":"windows"}',
        b'{"rootfs":[]}',
        b'{"rootfs":{"diff_ids":["x"]}}',
        b'{"rootfs":{"diff_ids":[5]}}',
        b'{"created":5}',
        b'{"os":"linux","os":"windows"}',
    ],
)
def test_malformed_config_is_refused(raw):
    with pytest.raises(MalformedError):
        ImageConfig.parse(raw, subject="the config")


@pytest.mark.parametrize(
    "raw",
    [
        b'{"os":"linux","os":"linux"}',
        b'{"os":"linux","config":{"Labels":{"maintainer":"J\xf6rg"}}}',
        b'{"os":"linux","OS":"linux","Variant":""}',
    ],
)
def test_deviation_that_changes_no_meaning_is_accepted(raw):
    """Other programs read such configs, and images with them exist."""
    assert ImageConfig.parse(raw).platform.os == "linux"


def test_malformed_diff_id_is_reported_with_its_document():
    with pytest.raises(MalformedError):
        ImageConfig.parse(b'{"rootfs":{"diff_ids":["x"]}}', subject="the config")


def test_large_or_deep_config_is_refused():
    with pytest.raises(LimitError):
        ImageConfig.parse(b'{"a":"' + b"x" * 5_000_000 + b'"}')
    with pytest.raises(BundlerError):
        ImageConfig.parse(b"[" * 1_000_000)
