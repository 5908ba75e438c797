"""OCI archives: skopeo, podman and containerd read those of airbundle, and the reverse."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.interop import engines
from tests.interop.written_files import COPY_UNCHANGED, read_diff_ids, read_digests, read_entries

if TYPE_CHECKING:
    from pathlib import Path

BASE = images.layer({"etc/os-release": b"ID=test\n" * 2000})
PLATFORMS = ("linux/amd64", "linux/arm64/v8", "linux/arm/v7")
IMAGES = {
    "image": images.image(BASE, images.layer({"app": b"1"})),
    "zstd": images.image(images.layer({"app": b"2"}, compression="zstd")),
    "index": images.multi_platform("app", *PLATFORMS, shared=BASE),
}


@pytest.fixture(params=IMAGES)
def image_in_layout(request: pytest.FixtureRequest, tmp_path: Path):
    """An image, and its name in a layout."""
    image = IMAGES[request.param]
    layout = images.write_layout(tmp_path / "layout", {"app:1": image})
    return image, f"oci:{layout}:app:1"


def test_skopeo_reads_archive_of_airbundle(image_in_layout, airbundle, skopeo, tmp_path) -> None:
    image, name = image_in_layout
    archive = f"oci-archive:{tmp_path}/ours.tar:app:1"
    airbundle.ok("copy", name, archive)

    skopeo.ok(*COPY_UNCHANGED, archive, f"dir:{tmp_path}/read")

    assert read_digests(tmp_path / "read") == set(image.contents())


def test_airbundle_reads_archive_of_skopeo(image_in_layout, airbundle, skopeo, tmp_path) -> None:
    image, name = image_in_layout
    archive = f"oci-archive:{tmp_path}/theirs.tar:app:1"
    skopeo.ok(*COPY_UNCHANGED, name, archive)

    airbundle.ok("copy", archive, f"dir:{tmp_path}/read")
    airbundle.ok("copy", f"oci-archive:{tmp_path}/theirs.tar:@0", f"dir:{tmp_path}/by-index")

    assert (
        read_digests(tmp_path / "read")
        == read_digests(tmp_path / "by-index")
        == set(image.contents())
    )


def test_archive_has_members_of_skopeos_archive(
    image_in_layout, airbundle, skopeo, tmp_path
) -> None:
    """The blobs are in the order in which they were written."""
    _, name = image_in_layout
    airbundle.ok("copy", name, f"oci-archive:{tmp_path}/ours.tar:app:1")
    skopeo.ok(*COPY_UNCHANGED, name, f"oci-archive:{tmp_path}/theirs.tar:app:1")

    ours, theirs = read_members(tmp_path / "ours.tar"), read_members(tmp_path / "theirs.tar")
    assert list(ours)[:2] == list(theirs)[:2] == ["blobs", "blobs/sha256"]
    assert list(ours)[-2:] == list(theirs)[-2:] == ["index.json", "oci-layout"]
    assert read_entries(ours.pop("index.json")) == read_entries(theirs.pop("index.json"))
    assert json.loads(ours.pop("oci-layout")) == json.loads(theirs.pop("oci-layout"))
    assert ours == theirs


def test_airbundle_and_skopeo_replace_archives_of_each_other(airbundle, skopeo, tmp_path) -> None:
    layout = images.write_layout(tmp_path / "layout", {"a": IMAGES["image"], "b": IMAGES["zstd"]})
    archive = f"oci-archive:{tmp_path}/both.tar"
    airbundle.ok("copy", f"oci:{layout}:a", f"{archive}:a")
    skopeo.ok(*COPY_UNCHANGED, f"oci:{layout}:b", f"{archive}:b")
    airbundle.ok("copy", f"{archive}:b", f"dir:{tmp_path}/b")
    airbundle.ok("copy", f"oci:{layout}:a", f"{archive}:a")
    skopeo.ok(*COPY_UNCHANGED, archive, f"dir:{tmp_path}/a")

    assert read_digests(tmp_path / "a") == set(IMAGES["image"].contents())
    assert read_digests(tmp_path / "b") == set(IMAGES["zstd"].contents())


@pytest.fixture
def podman():
    with engines.podman() as client:
        yield client


@pytest.mark.kernel("mounts")
def test_podman_loads_archive(airbundle, podman, tmp_path) -> None:
    image = IMAGES["image"]
    layout = images.write_layout(tmp_path / "layout", {"a": image})
    airbundle.ok("copy", f"oci:{layout}:a", f"oci-archive:{tmp_path}/ours.tar:example.com/app:1")

    podman.ok("load", "--input", tmp_path / "ours.tar")

    inspected = json.loads(podman.ok("image", "inspect", "example.com/app:1"))
    assert inspected[0]["Digest"] == image.digest


@pytest.mark.kernel("mounts")
def test_airbundle_reads_archive_of_podman(airbundle, podman, skopeo, tmp_path) -> None:
    layout = images.write_layout(tmp_path / "layout", {"a": IMAGES["image"]})
    airbundle.ok("copy", f"oci:{layout}:a", f"oci-archive:{tmp_path}/ours.tar:example.com/app:1")
    podman.ok("load", "--input", tmp_path / "ours.tar")
    saved = tmp_path / "saved.tar"
    podman.ok("save", "--format", "oci-archive", "--output", saved, "example.com/app:1")

    airbundle.ok("copy", f"oci-archive:{saved}", f"dir:{tmp_path}/ours")
    skopeo.ok(*COPY_UNCHANGED, f"oci-archive:{saved}", f"dir:{tmp_path}/theirs")

    assert read_digests(tmp_path / "ours") == read_digests(tmp_path / "theirs")
    config = json.loads(skopeo.ok("inspect", "--config", f"dir:{tmp_path}/ours"))
    assert config["rootfs"]["diff_ids"] == read_diff_ids(IMAGES["image"])


@pytest.mark.kernel("root")
def test_containerd_imports_archive(airbundle, tmp_path) -> None:
    image = IMAGES["image"]
    layout = images.write_layout(tmp_path / "layout", {"a": image})
    airbundle.ok("copy", f"oci:{layout}:a", f"oci-archive:{tmp_path}/ours.tar:example.com/app:1")
    with engines.containerd() as ctr:
        ctr.ok("images", "import", "--no-unpack", tmp_path / "ours.tar")
        listed = ctr.ok("images", "list")
        ctr.ok("images", "export", tmp_path / "theirs.tar", "example.com/app:1")

    assert image.digest in listed
    airbundle.ok("copy", f"oci-archive:{tmp_path}/theirs.tar", f"dir:{tmp_path}/back")
    assert read_digests(tmp_path / "back") == set(image.contents())


def read_members(archive: Path) -> dict[str, bytes]:
    """Return the content of every member of an archive by its name, in order."""
    with tarfile.open(archive) as opened:
        return {
            member.name: opened.extractfile(member).read() if member.isreg() else b""
            for member in opened
        }
