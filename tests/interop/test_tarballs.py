"""Images of plain tar archives are identical to Skopeo's images."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.fakes import images

if TYPE_CHECKING:
    from pathlib import Path


def test_tarball_image_matches_skopeo(airbundle, skopeo, tmp_path) -> None:
    """Newer versions write the manifest's type, and omit an empty config."""
    paths = []
    for number, packed in enumerate(("tar", "gzip")):
        layer = images.layer({f"file{number}": b"x" * 5000}, compression=packed)
        paths.append(tmp_path / f"{number}.tar")
        paths[-1].write_bytes(layer.blob.data)
        os.utime(paths[-1], ns=(0, 1_600_000_000_500_000_000 + number))
    reference = f"tarball:{paths[0]}:{paths[1]}"

    airbundle.ok("copy", reference, f"dir:{tmp_path}/ours")
    # Skopeo prints dates in the time zone of the machine.
    there = replace(skopeo, environment={"TZ": "UTC"})
    there.ok("copy", reference, f"dir:{tmp_path}/theirs")

    ours, theirs = (read_documents(tmp_path / name) for name in ("ours", "theirs"))
    assert ours["manifest"].pop("mediaType") == images.OCI["manifest"]
    assert theirs["config"].pop("config") == {}
    assert ours == theirs


def test_tarball_is_read_from_stdin(airbundle, tmp_path) -> None:
    airbundle.ok("copy", "tarball:-", f"dir:{tmp_path}/out", stdin="not recognizable as an archive")
    assert read_documents(tmp_path / "out")["manifest"]["layers"][0]["size"] == 30


def read_documents(directory: Path) -> dict[str, dict[str, object]]:
    """Return the manifest without the config's digest, and the config."""
    manifest = json.loads((directory / "manifest.json").read_bytes())
    config = manifest.pop("config")["digest"].removeprefix("sha256:")
    return {"manifest": manifest, "config": json.loads((directory / config).read_bytes())}
