"""Archives of layouts: what we write skopeo, podman and containerd read, and the reverse."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.interop import engines

if TYPE_CHECKING:
    from pathlib import Path

BASE = images.layer({"etc/os-release": b"ID=test\n" * 2000})
PLATFORMS = ("linux/amd64", "linux/arm64/v8", "linux/arm/v7")
IMAGES = {
    "image": images.image(BASE, images.layer({"app": b"1"})),
    "zstd": images.image(images.layer({"app": b"2"}, compression="zstd")),
    "index": images.multi_platform("app", *PLATFORMS, shared=BASE),
}
COPY = ("copy", "--all", "--preserve-digests")


@pytest.fixture(params=IMAGES)
def laid_out(request: pytest.FixtureRequest, tmp_path: Path):
    """An image, and its name in a layout."""
    one = IMAGES[request.param]
    layout = images.write_layout(tmp_path / "layout", {"app:1": one})
    return one, f"oci:{layout}:app:1"


def test_skopeo_reads_our_archive(laid_out, airbundle, skopeo, tmp_path) -> None:
    one, name = laid_out
    archive = f"oci-archive:{tmp_path}/ours.tar:app:1"
    airbundle.ok("copy", name, archive)

    skopeo.ok(*COPY, archive, f"dir:{tmp_path}/read")

    assert digests(tmp_path / "read") == set(one.contents())


def test_we_read_skopeos_archive(laid_out, airbundle, skopeo, tmp_path) -> None:
    one, name = laid_out
    archive = f"oci-archive:{tmp_path}/theirs.tar:app:1"
    skopeo.ok(*COPY, name, archive)

    airbundle.ok("copy", archive, f"dir:{tmp_path}/read")
    airbundle.ok("copy", f"oci-archive:{tmp_path}/theirs.tar:@0", f"dir:{tmp_path}/by-place")

    assert digests(tmp_path / "read") == digests(tmp_path / "by-place") == set(one.contents())


def test_our_archive_holds_what_skopeos_holds(laid_out, airbundle, skopeo, tmp_path) -> None:
    """The order of the blobs is that of their arrival."""
    _, name = laid_out
    airbundle.ok("copy", name, f"oci-archive:{tmp_path}/ours.tar:app:1")
    skopeo.ok(*COPY, name, f"oci-archive:{tmp_path}/theirs.tar:app:1")

    ours, theirs = members(tmp_path / "ours.tar"), members(tmp_path / "theirs.tar")
    assert list(ours)[:2] == list(theirs)[:2] == ["blobs", "blobs/sha256"]
    assert list(ours)[-2:] == list(theirs)[-2:] == ["index.json", "oci-layout"]
    assert entries(ours.pop("index.json")) == entries(theirs.pop("index.json"))
    assert json.loads(ours.pop("oci-layout")) == json.loads(theirs.pop("oci-layout"))
    assert ours == theirs


def test_skopeo_replaces_our_archive_and_we_replace_its(airbundle, skopeo, tmp_path) -> None:
    layout = images.write_layout(tmp_path / "layout", {"a": IMAGES["image"], "b": IMAGES["zstd"]})
    archive = f"oci-archive:{tmp_path}/both.tar"
    airbundle.ok("copy", f"oci:{layout}:a", f"{archive}:a")
    skopeo.ok(*COPY, f"oci:{layout}:b", f"{archive}:b")
    airbundle.ok("copy", f"{archive}:b", f"dir:{tmp_path}/b")
    airbundle.ok("copy", f"oci:{layout}:a", f"{archive}:a")
    skopeo.ok(*COPY, archive, f"dir:{tmp_path}/a")

    assert digests(tmp_path / "a") == set(IMAGES["image"].contents())
    assert digests(tmp_path / "b") == set(IMAGES["zstd"].contents())


@pytest.fixture
def podman():
    with engines.podman() as client:
        yield client


@pytest.mark.kernel("mounts")
def test_podman_loads_our_archive(airbundle, podman, tmp_path) -> None:
    one = IMAGES["image"]
    layout = images.write_layout(tmp_path / "layout", {"a": one})
    airbundle.ok("copy", f"oci:{layout}:a", f"oci-archive:{tmp_path}/ours.tar:example.com/app:1")

    podman.ok("load", "--input", tmp_path / "ours.tar")

    found = json.loads(podman.ok("image", "inspect", "example.com/app:1"))
    assert found[0]["Digest"] == one.digest


@pytest.mark.kernel("mounts")
def test_we_read_what_podman_saves(airbundle, podman, skopeo, tmp_path) -> None:
    layout = images.write_layout(tmp_path / "layout", {"a": IMAGES["image"]})
    airbundle.ok("copy", f"oci:{layout}:a", f"oci-archive:{tmp_path}/ours.tar:example.com/app:1")
    podman.ok("load", "--input", tmp_path / "ours.tar")
    saved = tmp_path / "saved.tar"
    podman.ok("save", "--format", "oci-archive", "--output", saved, "example.com/app:1")

    airbundle.ok("copy", f"oci-archive:{saved}", f"dir:{tmp_path}/ours")
    skopeo.ok(*COPY, f"oci-archive:{saved}", f"dir:{tmp_path}/theirs")

    assert digests(tmp_path / "ours") == digests(tmp_path / "theirs")
    config = json.loads(skopeo.ok("inspect", "--config", f"dir:{tmp_path}/ours"))
    assert config["rootfs"]["diff_ids"] == diff_ids(IMAGES["image"])


@pytest.mark.kernel("root")
def test_containerd_imports_our_archive(airbundle, tmp_path) -> None:
    one = IMAGES["image"]
    layout = images.write_layout(tmp_path / "layout", {"a": one})
    airbundle.ok("copy", f"oci:{layout}:a", f"oci-archive:{tmp_path}/ours.tar:example.com/app:1")
    with engines.containerd() as ctr:
        ctr.ok("images", "import", "--no-unpack", tmp_path / "ours.tar")
        listed = ctr.ok("images", "list")
        ctr.ok("images", "export", tmp_path / "theirs.tar", "example.com/app:1")

    assert one.digest in listed
    airbundle.ok("copy", f"oci-archive:{tmp_path}/theirs.tar", f"dir:{tmp_path}/back")
    assert digests(tmp_path / "back") == set(one.contents())


def members(archive: Path) -> dict[str, bytes]:
    """Every member of an archive by its name, in order; of directories nothing."""
    with tarfile.open(archive) as opened:
        return {one.name: opened.extractfile(one).read() if one.isreg() else b"" for one in opened}


def digests(directory: Path) -> set[str]:
    """The digest of every manifest and blob of a ``dir:`` image, by its bytes."""
    files = [path for path in directory.iterdir() if path.name != "version"]
    return {images.sha256(path.read_bytes()) for path in files}


def entries(index: bytes) -> list[dict[str, object]]:
    """What an ``index.json`` lists."""
    listed = json.loads(index)["manifests"]
    return list(listed)


def diff_ids(one: images.Image) -> list[str]:
    return json.loads(one.blobs[0].data)["rootfs"]["diff_ids"]
