"""Media types: each one has one class."""

from __future__ import annotations

import pytest

from bundler.oci import media_types


def test_no_type_is_both_an_image_and_an_index():
    assert not media_types.IMAGE_MANIFESTS & media_types.INDEXES
    assert set(media_types.ACCEPT_MANIFESTS) == media_types.MANIFESTS


@pytest.mark.parametrize(
    ("header", "essence"),
    [
        ("application/JSON; charset=utf-8", "application/json"),
        (" text/html ", "text/html"),
        ("", ""),
        (";", ""),
    ],
)
def test_content_type_is_parsed_without_parameters(header, essence):
    assert media_types.parse_content_type(header) == essence


@pytest.mark.parametrize("media_type", sorted(media_types.FOREIGN_LAYERS))
def test_foreign_layer_may_be_absent_only_with_urls(media_type):
    assert media_types.is_foreign(media_type, ["https://example.com/layer"])
    assert not media_types.is_foreign(media_type, [])


def test_ordinary_layer_with_urls_is_not_foreign():
    assert not media_types.is_foreign(media_types.OCI_LAYER_GZIP, ["https://example.com/layer"])
