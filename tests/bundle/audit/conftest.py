"""Images whose files are listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bundler.bundle.audit.listings.files import ImageFiles
from bundler.cancel import Cancellation
from bundler.oci import manifest
from bundler.transports.oci_layout.transport import LayoutSource
from tests.fakes import images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAME = "docker.io/library/app:1"


@pytest.fixture
def open_files(tmp_path: Path) -> Iterator[Callable[..., ImageFiles]]:
    """Open the files of an image with these layers."""
    opened = []

    def open_image(*layers: images.Layer) -> ImageFiles:
        image = images.image(*layers)
        source = LayoutSource(images.write_layout(tmp_path / "layout", {NAME: image}))
        opened.append(source)
        parsed = manifest.parse(image.root.data, image.root.media_type)
        assert isinstance(parsed, manifest.ImageManifest)
        return ImageFiles(source, parsed, Cancellation())

    yield open_image
    for source in opened:
        source.close()
