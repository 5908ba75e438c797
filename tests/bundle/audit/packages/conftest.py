"""Images whose packages are read."""

from __future__ import annotations

import itertools
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from bundler.bundle.audit.layers.layer_reader import LayerReader
from bundler.bundle.audit.packages.image_packages import ImagePackages, read_packages
from bundler.bundle.audit.platforms import PlatformImage
from bundler.cancel import Cancellation
from bundler.oci import manifest
from bundler.oci.digest import Digest
from bundler.oci.platform import Platform
from bundler.transports.oci_layout.transport import LayoutSource
from tests.fakes import images, tars

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def read_layers(tmp_path: Path) -> Callable[..., ImagePackages]:
    """Read the packages of an image with these layers."""
    numbers = itertools.count()

    def read(*layers: images.Layer) -> ImagePackages:
        image = images.image(*layers)
        parsed = manifest.parse(image.root.data, image.root.media_type)
        assert isinstance(parsed, manifest.ImageManifest)
        platform = PlatformImage(Digest(image.root.digest), Platform("linux", "amd64"), parsed)
        source = LayoutSource(
            images.write_layout(tmp_path / f"layout{next(numbers)}", {"app:1": image})
        )
        with closing(source), LayerReader(Cancellation()) as reader:
            return read_packages([("app:1", source, platform)], reader)[0]

    return read


@pytest.fixture
def read_files(read_layers: Callable[..., ImagePackages]) -> Callable[..., ImagePackages]:
    """Read the packages of an image with one layer of these files, by their paths."""

    def read(files: dict[str, bytes | str]) -> ImagePackages:
        contents = {
            path: data.encode() if isinstance(data, str) else data for path, data in files.items()
        }
        return read_layers(tars.layer(*(tars.member(*item) for item in contents.items())))

    return read
