"""A bundle manifest and the images that it lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes import images

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST = """\
name: ward
defaults: {platforms: [linux/amd64, linux/arm64]}
images:
  - oci:./layout:web:1
  - oci:./layout:tool:2
"""


@pytest.fixture
def work_dir(tmp_path: Path) -> Path:
    """A directory with the bundle manifest ``ward.yaml`` and the layout that it names."""
    shared = images.layer({"shared": b"shared " * 100})
    platforms = ("linux/amd64", "linux/arm64", "linux/arm/v7")
    named = {
        "web:1": images.image(shared, images.layer({"web": b"web " * 100})),
        "tool:2": images.multi_platform("tool", *platforms, shared=shared),
    }
    images.write_layout(tmp_path / "layout", named)
    (tmp_path / "ward.yaml").write_text(MANIFEST)
    return tmp_path
