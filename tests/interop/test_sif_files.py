"""SIF files: skopeo creates the same image, but with layer members in a varying order."""

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


def test_sif_image_matches_skopeo(airbundle, skopeo, tmp_path) -> None:
    for needed in ("mksquashfs", "fakeroot"):
        servers.program(needed)
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc" / "os-release").write_bytes(b"ID=test\n" * 500)
    (root / "etc" / "link").symlink_to("os-release")
    squashfs = sif.create_squashfs(root, tmp_path / "root.squashfs")
    path = tmp_path / "image.sif"
    path.write_bytes(sif.pack(sif.definition(DEFINITION), sif.partition(squashfs)))

    airbundle.ok("copy", f"sif:{path}", f"dir:{tmp_path}/ours")
    there = replace(skopeo, environment={"TZ": "UTC"})
    there.ok("copy", f"sif:{path}", f"dir:{tmp_path}/theirs")

    ours, theirs = (read_image(tmp_path / name) for name in ("ours", "theirs"))
    assert ours == theirs


def read_image(directory: Path) -> tuple[dict[str, Any], dict[str, tuple[object, ...]]]:
    """Return the config without the layer's digest, and the members of the layer."""
    manifest = json.loads((directory / "manifest.json").read_bytes())
    config, layer = (
        directory / descriptor["digest"].removeprefix("sha256:")
        for descriptor in (manifest["config"], *manifest["layers"])
    )
    output = json.loads(config.read_bytes())
    del output["rootfs"]["diff_ids"], output["history"][0]["created_by"]
    with tarfile.open(layer) as archive:
        files = {
            member.name.removeprefix("./"): (
                member.type,
                member.uid,
                oct(member.mode),
                member.linkname,
                archive.extractfile(member).read() if member.isreg() else b"",
            )
            for member in archive
            if member.name != "."
        }
    return output, files
