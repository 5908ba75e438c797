"""Skopeo reads the images that airbundle writes, and the reverse: all bytes are compared."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from tests.fakes import images
from tests.interop import servers
from tests.interop.written_files import (
    COPY_UNCHANGED,
    read_diff_ids,
    read_digests,
    read_entries,
    read_files,
)

BASE = images.layer({"etc/os-release": b"ID=test\n" * 2000})
DOCKER_BASE = images.layer({"etc/os-release": b"ID=test\n" * 2000}, types=images.DOCKER)
PLATFORMS = ("linux/amd64", "linux/arm64/v8", "linux/arm/v7")
IMAGES = {
    "oci": images.image(BASE, images.layer({"app": b"1"})),
    "docker": images.image(DOCKER_BASE, types=images.DOCKER),
    "zstd": images.image(images.layer({"app": b"2"}, compression="zstd")),
    "uncompressed": images.image(images.layer({"app": b"3"}, compression="tar")),
    "oci-index": images.multi_platform("app", *PLATFORMS, shared=BASE),
    "docker-list": images.multi_platform("app", *PLATFORMS, types=images.DOCKER),
    "annotated": images.image(BASE, annotations={"org.example": "ü € \\u0000"}),
}
# Skopeo would convert Docker's formats for an oci: destination.
AS_LAYOUT = {name: image for name, image in IMAGES.items() if "docker" not in name}


@pytest.fixture(params=IMAGES)
def pushed(request: pytest.FixtureRequest, registry: servers.Registry, repository: str):
    """An image, and its name in a registry into which neither program pushed it."""
    image = IMAGES[request.param]
    images.push(registry.host, repository, image, "1")
    return image, f"docker://{registry.host}/{repository}:1"


@pytest.fixture(params=AS_LAYOUT)
def image_in_layout(request: pytest.FixtureRequest, tmp_path: Path):
    """An image, and its name in a layout."""
    image = AS_LAYOUT[request.param]
    layout = images.write_layout(tmp_path / "layout", {"app:1": image})
    return image, f"oci:{layout}:app:1"


def test_directory_is_identical_to_skopeo(pushed, airbundle, skopeo, tmp_path) -> None:
    _, name = pushed

    airbundle.ok("copy", "--src-tls-verify=false", name, f"dir:{tmp_path}/ours")
    skopeo.ok(*COPY_UNCHANGED, "--src-tls-verify=false", name, f"dir:{tmp_path}/theirs")

    assert read_files(tmp_path / "ours") == read_files(tmp_path / "theirs")


def test_layout_is_identical_to_skopeo(image_in_layout, airbundle, skopeo, tmp_path) -> None:
    _, name = image_in_layout

    airbundle.ok("copy", name, f"oci:{tmp_path}/ours:app:1")
    skopeo.ok(*COPY_UNCHANGED, name, f"oci:{tmp_path}/theirs:app:1")

    ours, theirs = read_files(tmp_path / "ours"), read_files(tmp_path / "theirs")
    assert read_entries(ours.pop("index.json")) == read_entries(theirs.pop("index.json"))
    assert json.loads(ours.pop("oci-layout")) == json.loads(theirs.pop("oci-layout"))
    assert ours == theirs


def test_skopeo_reads_directory(pushed, airbundle, skopeo, tmp_path) -> None:
    image, name = pushed
    airbundle.ok("copy", "--src-tls-verify=false", name, f"dir:{tmp_path}/ours")

    skopeo.ok(*COPY_UNCHANGED, f"dir:{tmp_path}/ours", f"dir:{tmp_path}/read")

    assert read_digests(tmp_path / "read") == set(image.contents())


def test_skopeo_reads_layout(image_in_layout, airbundle, skopeo, tmp_path) -> None:
    image, name = image_in_layout
    airbundle.ok("copy", name, f"oci:{tmp_path}/ours:app:1")

    skopeo.ok(*COPY_UNCHANGED, f"oci:{tmp_path}/ours:app:1", f"dir:{tmp_path}/read")

    assert read_digests(tmp_path / "read") == set(image.contents())


def test_skopeo_reads_pushed_image(pushed, airbundle, skopeo, tmp_path) -> None:
    image, name = pushed
    insecure = ("--src-tls-verify=false", "--dest-tls-verify=false")
    copied = name.replace("/tests/", "/copies/")

    airbundle.ok("copy", *insecure, name, copied)

    skopeo.ok(*COPY_UNCHANGED, "--src-tls-verify=false", copied, f"dir:{tmp_path}/pulled")
    assert read_digests(tmp_path / "pulled") == set(image.contents())


def test_airbundle_reads_directory_of_skopeo(pushed, airbundle, skopeo, tmp_path) -> None:
    image, name = pushed
    skopeo.ok(*COPY_UNCHANGED, "--src-tls-verify=false", name, f"dir:{tmp_path}/theirs")

    airbundle.ok("copy", f"dir:{tmp_path}/theirs", f"dir:{tmp_path}/ours")

    assert read_digests(tmp_path / "ours") == set(image.contents())


def test_airbundle_reads_layout_of_skopeo(image_in_layout, airbundle, skopeo, tmp_path) -> None:
    image, name = image_in_layout
    skopeo.ok(*COPY_UNCHANGED, name, f"oci:{tmp_path}/theirs:app:1")

    airbundle.ok("copy", f"oci:{tmp_path}/theirs:app:1", f"dir:{tmp_path}/ours")

    assert read_digests(tmp_path / "ours") == set(image.contents())


def test_selected_platform_matches_skopeo(
    registry, airbundle, skopeo, repository, tmp_path
) -> None:
    index = IMAGES["oci-index"]
    images.push(registry.host, repository, index, "1")
    name = f"docker://{registry.host}/{repository}:1"

    airbundle.ok(
        "copy", "--platform", "linux/arm/v7", "--src-tls-verify=false", name, f"dir:{tmp_path}/ours"
    )
    chosen = ("--override-arch", "arm", "--override-variant", "v7", "--override-os", "linux")
    skopeo.ok(*chosen, "copy", "--src-tls-verify=false", name, f"dir:{tmp_path}/theirs")

    assert read_files(tmp_path / "ours") == read_files(tmp_path / "theirs")


def test_airbundle_reads_docker_archive_of_skopeo(airbundle, skopeo, tmp_path) -> None:
    image = images.image(DOCKER_BASE, types=images.DOCKER)
    layout = images.write_layout(
        tmp_path / "layout", {"a": images.image(BASE, images.layer({"app": b"1"}))}
    )
    archive = f"docker-archive:{tmp_path}/app.tar"
    skopeo.ok("copy", f"oci:{layout}:a", f"{archive}:example.com/app:1")

    airbundle.ok("copy", archive, f"dir:{tmp_path}/ours")
    skopeo.ok("copy", archive, f"dir:{tmp_path}/theirs")

    config = json.loads(skopeo.ok("inspect", "--config", "--raw", f"dir:{tmp_path}/ours"))
    assert config["rootfs"]["diff_ids"][0] == read_diff_ids(image)[0]
    assert config == json.loads(skopeo.ok("inspect", "--config", "--raw", f"dir:{tmp_path}/theirs"))


@pytest.mark.kernel("mounts")
def test_podman_pulls_pushed_image(registry, airbundle, repository, tmp_path) -> None:
    image = IMAGES["oci"]
    layout = images.write_layout(tmp_path / "layout", {"a": image})
    airbundle.ok(
        "copy",
        "--dest-tls-verify=false",
        f"oci:{layout}:a",
        f"docker://{registry.host}/{repository}:1",
    )
    # Podman does not accept long paths for its files.
    with tempfile.TemporaryDirectory() as home:
        storage = ("--root", f"{home}/root", "--runroot", f"{home}/run", "--storage-driver", "vfs")
        podman = servers.Client((servers.program("podman"), *storage), Path(home))
        podman.ok("pull", "--tls-verify=false", f"{registry.host}/{repository}:1")
        inspected = podman.ok("image", "inspect", f"{registry.host}/{repository}:1")

    assert json.loads(inspected)[0]["Digest"] == image.digest
