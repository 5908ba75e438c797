"""Symbolic links inside a layout that the user names: followed only under Skopeo's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes import images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle


@pytest.mark.parametrize(
    ("front_end", "status"), [(("--as", "skopeo", "--insecure-policy"), 0), ((), 3)]
)
def test_links_inside_a_layout(
    tmp_path: Path, run_airbundle: RunAirbundle, front_end: tuple[str, ...], status: int
):
    images.write_layout(tmp_path / "l", {"web:1": images.image(images.layer({"a": b"1"}))})
    (tmp_path / "l/blobs").rename(tmp_path / "elsewhere")
    (tmp_path / "l/blobs").symlink_to("../elsewhere")
    assert run_airbundle(*front_end, "copy", "oci:l:web:1", "dir:out").status == status
    assert (tmp_path / "out/manifest.json").exists() == (status == 0)
