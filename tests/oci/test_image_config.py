"""Configs, as far as they say where an image runs."""

from __future__ import annotations

import pytest

from bundler.errors import BundlerError, LimitError, MalformedError
from bundler.oci import image_config
from bundler.oci.digest import Digest
from tests.fakes import images


def test_reads_the_platform_and_the_diff_ids():
    layer = images.layer({"a": b"b"})
    one = images.image(layer, platform="linux/arm/v7")
    parsed = image_config.parse(one.blobs[0].data)
    assert str(parsed.platform) == "linux/arm/v7"
    assert parsed.diff_ids == (Digest(layer.diff_id),)


def test_an_empty_config_says_nothing():
    parsed = image_config.parse(b"{}")
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
        b'{"os":"linux","os":"linux"}',
    ],
)
def test_a_config_of_the_wrong_form_is_refused(raw):
    with pytest.raises(MalformedError):
        image_config.parse(raw, subject="the config")


def test_a_bad_diff_id_is_named_with_its_document():
    with pytest.raises(MalformedError, match="the config: "):
        image_config.parse(b'{"rootfs":{"diff_ids":["x"]}}', subject="the config")


def test_a_config_is_bounded():
    with pytest.raises(LimitError):
        image_config.parse(b'{"a":"' + b"x" * 5_000_000 + b'"}')
    with pytest.raises(BundlerError):
        image_config.parse(b"[" * 1_000_000)
