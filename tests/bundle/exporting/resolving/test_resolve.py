"""The images of one layout are resolved with one source, which finds their referrers once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from bundler import transports
from bundler.bundle.exporting.resolving.resolve import resolve_all
from bundler.config.settings import Settings
from bundler.copy.engine import EngineOptions
from bundler.copy.image import ImageRequest
from bundler.errors import MissingImagesError
from bundler.ports import OpenOptions
from tests.fakes import images

OPTIONS = OpenOptions(Settings)
NAMES = ("a", "b", "c")


@pytest.fixture
def engine():
    with ThreadPoolExecutor(4) as executor:
        yield EngineOptions(executor)


def _write_layouts(tmp_path):
    for layout in ("one", "two"):
        named = {name: images.image(images.layer({name: layout.encode()})) for name in NAMES}
        images.write_layout(tmp_path / layout, named)


def test_images_of_a_layout_share_their_source(tmp_path, engine):
    _write_layouts(tmp_path)
    requests = [
        ImageRequest(transports.parse(f"oci:{tmp_path / layout}:{name}"), referrers="all")
        for layout in ("one", "two")
        for name in NAMES
    ]
    with ExitStack() as stack:
        resolved, _ = resolve_all(requests, OPTIONS, engine, stack)
    assert len({image.graph.root.digest for image in resolved}) == 6
    assert len({id(image.source) for image in resolved[:3]}) == 1
    assert len({id(image.source) for image in resolved}) == 2


def test_each_image_of_a_missing_layout_is_reported(tmp_path, engine):
    missing = [transports.parse(f"oci:{tmp_path / 'none'}:{name}") for name in NAMES]
    with ExitStack() as stack, pytest.raises(MissingImagesError) as caught:
        resolve_all([ImageRequest(reference) for reference in missing], OPTIONS, engine, stack)
    assert all(f"none:{name}" in str(caught.value) for name in NAMES)
