"""Layers that are not tar archives are copied unchanged, or refused before anything is written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images, sif
from tests.interop.written_files import read_digests

if TYPE_CHECKING:
    from pathlib import Path

TYPES = (
    "application/vnd.oci.image.layer.v1.squashfs",
    "application/vnd.stacker.image.layer.squashfs+zstd+verity",
    "application/vnd.erofs.layer.v1",
)


@pytest.fixture(params=TYPES)
def image(request, tmp_path: Path) -> images.Image:
    """An image with a squashfs as its only layer."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "file").write_bytes(b"content" * 1000)
    data = sif.create_squashfs(tmp_path / "root", tmp_path / "root.squashfs")
    return images.image(images.Layer(images.Blob(request.param, data), images.sha256(data)))


@pytest.mark.parametrize("name", ["airbundle", "skopeo-name"])
@pytest.mark.parametrize("kind", ["docker-archive", "containers-storage"])
def test_squashfs_layer_is_refused_before_anything_is_written(clients, image, tmp_path, name, kind):
    layout = images.write_layout(tmp_path / "layout", {"app": image})
    target = tmp_path / "target"
    location = f"[vfs@{target}+{tmp_path}/run]" if kind == "containers-storage" else f"{target}:"
    completed = clients(name)("copy", f"oci:{layout}:app", f"{kind}:{location}example.com/app:1")
    assert completed.returncode == 1
    assert "is not a tar archive" in completed.stderr
    images_json = target / "vfs-images" / "images.json"
    assert not target.is_file()
    assert not images_json.exists() or json.loads(images_json.read_bytes()) == []


@pytest.mark.parametrize("name", ["airbundle", "skopeo-name", "skopeo"])
def test_squashfs_layer_is_copied_unchanged(clients, image, registry, repository, tmp_path, name):
    layout = images.write_layout(tmp_path / "layout", {"app": image})
    client, reference = clients(name), f"docker://{registry.host}/{repository}:1"
    client.ok("copy", "--dest-tls-verify=false", f"oci:{layout}:app", reference)
    client.ok("copy", "--src-tls-verify=false", reference, f"dir:{tmp_path}/read")
    assert read_digests(tmp_path / "read") == set(image.contents())
