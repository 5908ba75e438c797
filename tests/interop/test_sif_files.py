"""SIF files: skopeo finds in one what we find, but packs it in an order that changes."""

from __future__ import annotations

import json
import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.fakes import sif
from tests.interop import servers

if TYPE_CHECKING:
    from pathlib import Path

DEFINITION = "%environment\n  export A=1\n%runscript\n  echo $A\n"


def test_we_make_the_image_that_skopeo_makes(airbundle, skopeo, tmp_path) -> None:
    for needed in ("mksquashfs", "fakeroot"):
        servers.program(needed)
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "os-release").write_bytes(b"ID=test\n" * 500)
    (root / "etc" / "link").symlink_to("os-release")
    squashfs = sif.squashfs(root, tmp_path / "root.squashfs")
    path = tmp_path / "image.sif"
    path.write_bytes(sif.pack(sif.definition(DEFINITION), sif.partition(squashfs)))

    airbundle.ok("copy", f"sif:{path}", f"dir:{tmp_path}/ours")
    there = replace(skopeo, environment={"TZ": "UTC"})
    there.ok("copy", f"sif:{path}", f"dir:{tmp_path}/theirs")

    ours, theirs = (read(tmp_path / name) for name in ("ours", "theirs"))
    assert ours == theirs


def read(directory: Path) -> tuple[dict[str, Any], dict[str, tuple[object, ...]]]:
    """The config without the layer's digest, and what the layer holds."""
    manifest = json.loads((directory / "manifest.json").read_bytes())
    config, layer = (
        directory / one["digest"].removeprefix("sha256:")
        for one in (manifest["config"], *manifest["layers"])
    )
    said = json.loads(config.read_bytes())
    del said["rootfs"]["diff_ids"], said["history"][0]["created_by"]
    with tarfile.open(layer) as archive:
        files = {
            one.name.removeprefix("./"): (
                one.type,
                one.uid,
                oct(one.mode),
                one.linkname,
                archive.extractfile(one).read() if one.isreg() else b"",
            )
            for one in archive
            if one.name != "."
        }
    return said, files
