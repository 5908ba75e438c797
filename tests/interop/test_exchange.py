"""What airbundle writes skopeo reads, and the reverse: every byte of every image is compared."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest

from tests.fakes import images
from tests.interop import servers

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
# Left to itself, skopeo compresses what is not compressed.
COPY = ("copy", "--all", "--preserve-digests")
# Docker's formats are not OCI's, and skopeo would convert on the way to oci:.
AS_LAYOUT = {name: one for name, one in IMAGES.items() if "docker" not in name}


@pytest.fixture(params=IMAGES)
def pushed(request: pytest.FixtureRequest, registry: servers.Registry, repository: str):
    """An image, and its name in a registry where neither of the two has put it."""
    one = IMAGES[request.param]
    images.push(registry.host, repository, one, "1")
    return one, f"docker://{registry.host}/{repository}:1"


@pytest.fixture(params=AS_LAYOUT)
def laid_out(request: pytest.FixtureRequest, tmp_path: Path):
    """An image, and its name in a layout."""
    one = AS_LAYOUT[request.param]
    layout = images.write_layout(tmp_path / "layout", {"app:1": one})
    return one, f"oci:{layout}:app:1"


def test_ours_to_dir_is_skopeos_to_dir(pushed, airbundle, skopeo, tmp_path) -> None:
    _, name = pushed

    airbundle.ok("copy", "--src-tls-verify=false", name, f"dir:{tmp_path}/ours")
    skopeo.ok(*COPY, "--src-tls-verify=false", name, f"dir:{tmp_path}/theirs")

    assert tree(tmp_path / "ours") == tree(tmp_path / "theirs")


def test_ours_to_oci_is_skopeos_to_oci(laid_out, airbundle, skopeo, tmp_path) -> None:
    _, name = laid_out

    airbundle.ok("copy", name, f"oci:{tmp_path}/ours:app:1")
    skopeo.ok(*COPY, name, f"oci:{tmp_path}/theirs:app:1")

    ours, theirs = tree(tmp_path / "ours"), tree(tmp_path / "theirs")
    assert entries(ours.pop("index.json")) == entries(theirs.pop("index.json"))
    assert json.loads(ours.pop("oci-layout")) == json.loads(theirs.pop("oci-layout"))
    assert ours == theirs


def test_skopeo_reads_our_dir(pushed, airbundle, skopeo, tmp_path) -> None:
    one, name = pushed
    airbundle.ok("copy", "--src-tls-verify=false", name, f"dir:{tmp_path}/ours")

    skopeo.ok(*COPY, f"dir:{tmp_path}/ours", f"dir:{tmp_path}/read")

    assert digests(tmp_path / "read") == set(one.contents())


def test_skopeo_reads_our_oci(laid_out, airbundle, skopeo, tmp_path) -> None:
    one, name = laid_out
    airbundle.ok("copy", name, f"oci:{tmp_path}/ours:app:1")

    skopeo.ok(*COPY, f"oci:{tmp_path}/ours:app:1", f"dir:{tmp_path}/read")

    assert digests(tmp_path / "read") == set(one.contents())


def test_skopeo_reads_what_we_pushed(pushed, airbundle, skopeo, tmp_path) -> None:
    one, name = pushed
    insecure = ("--src-tls-verify=false", "--dest-tls-verify=false")
    copied = name.replace("/tests/", "/copies/")

    airbundle.ok("copy", *insecure, name, copied)

    skopeo.ok(*COPY, "--src-tls-verify=false", copied, f"dir:{tmp_path}/pulled")
    assert digests(tmp_path / "pulled") == set(one.contents())


def test_we_read_skopeos_dir(pushed, airbundle, skopeo, tmp_path) -> None:
    one, name = pushed
    skopeo.ok(*COPY, "--src-tls-verify=false", name, f"dir:{tmp_path}/theirs")

    airbundle.ok("copy", f"dir:{tmp_path}/theirs", f"dir:{tmp_path}/ours")

    assert digests(tmp_path / "ours") == set(one.contents())


def test_we_read_skopeos_oci(laid_out, airbundle, skopeo, tmp_path) -> None:
    one, name = laid_out
    skopeo.ok(*COPY, name, f"oci:{tmp_path}/theirs:app:1")

    airbundle.ok("copy", f"oci:{tmp_path}/theirs:app:1", f"dir:{tmp_path}/ours")

    assert digests(tmp_path / "ours") == set(one.contents())


def test_one_platform_is_the_one_that_skopeo_takes(
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

    assert tree(tmp_path / "ours") == tree(tmp_path / "theirs")


def test_docker_archive_of_skopeo_is_read(airbundle, skopeo, tmp_path) -> None:
    one = images.image(DOCKER_BASE, types=images.DOCKER)
    layout = images.write_layout(
        tmp_path / "layout", {"a": images.image(BASE, images.layer({"app": b"1"}))}
    )
    archive = f"docker-archive:{tmp_path}/app.tar"
    skopeo.ok("copy", f"oci:{layout}:a", f"{archive}:example.com/app:1")

    airbundle.ok("copy", archive, f"dir:{tmp_path}/ours")
    skopeo.ok("copy", archive, f"dir:{tmp_path}/theirs")

    config = json.loads(skopeo.ok("inspect", "--config", "--raw", f"dir:{tmp_path}/ours"))
    assert config["rootfs"]["diff_ids"][0] == sha256_of_tar(one)
    assert config == json.loads(skopeo.ok("inspect", "--config", "--raw", f"dir:{tmp_path}/theirs"))


@pytest.mark.kernel("mounts")
def test_podman_pulls_what_we_pushed(registry, airbundle, repository, tmp_path) -> None:
    one = IMAGES["oci"]
    layout = images.write_layout(tmp_path / "layout", {"a": one})
    airbundle.ok(
        "copy",
        "--dest-tls-verify=false",
        f"oci:{layout}:a",
        f"docker://{registry.host}/{repository}:1",
    )
    # Podman takes no long path for its files.
    with tempfile.TemporaryDirectory() as home:
        storage = ("--root", f"{home}/root", "--runroot", f"{home}/run", "--storage-driver", "vfs")
        podman = servers.Client((servers.program("podman"), *storage), Path(home))
        podman.ok("pull", "--tls-verify=false", f"{registry.host}/{repository}:1")
        found = podman.ok("image", "inspect", f"{registry.host}/{repository}:1")

    assert json.loads(found)[0]["Digest"] == one.digest


def tree(directory: Path) -> dict[str, bytes]:
    """Every file of a directory by its path."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def digests(directory: Path) -> set[str]:
    """The digest of every manifest and blob of a ``dir:`` image, by its bytes."""
    return {images.sha256(data) for name, data in tree(directory).items() if name != "version"}


def entries(index: bytes) -> list[dict[str, object]]:
    """What an ``index.json`` lists."""
    listed = json.loads(index)["manifests"]
    return list(listed)


def sha256_of_tar(one: images.Image) -> str:
    return json.loads(one.blobs[0].data)["rootfs"]["diff_ids"][0]
