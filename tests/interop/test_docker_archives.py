"""Docker archives are identical to those of skopeo, and container engines load them."""

from __future__ import annotations

import gzip
import json
import subprocess
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.fakes.damage import flip_bit
from tests.interop import engines, servers
from tests.interop.written_files import read_files

if TYPE_CHECKING:
    from pathlib import Path

ODD = {
    "created": "2020-01-01T00:00:00.5Z",
    "docker_version": "1.0",
    "container": "abc",
    "config": {"Cmd": ["sh", "-c", "a < b && é > 1.0"], "Labels": {"x": '\\u2028 " y'}},
    "history": [{"created_by": "x"}],
}


def docker_image(*layers: images.Layer, **more: object) -> images.Image:
    return images.image(*layers, types=images.DOCKER, **more)


def layer(files: dict[str, bytes]) -> images.Layer:
    return images.layer(files, compression="tar", types=images.DOCKER)


IMAGES = {
    "two": docker_image(layer({"etc/os-release": b"ID=test\n" * 2000}), layer({"app": b"1"})),
    "odd": docker_image(layer({"app": b"2"}), config=ODD),
    "twice": docker_image(*(layer({"app": b"3"}),) * 2),
    "oci": images.image(images.layer({"app": b"4"}), images.layer({"more": b"5"})),
}


@pytest.mark.parametrize("which", IMAGES)
def test_archive_is_identical_to_skopeo(which, airbundle, skopeo, tmp_path) -> None:
    reference = write_directory(tmp_path / "dir", IMAGES[which])
    skopeo.ok("copy", reference, f"docker-archive:{tmp_path}/theirs.tar:localhost:5000/app:1")
    airbundle.ok("copy", reference, f"docker-archive:{tmp_path}/ours.tar:localhost:5000/app:1")

    assert (tmp_path / "ours.tar").read_bytes() == (tmp_path / "theirs.tar").read_bytes()


def test_archive_is_read_from_stdin_and_written_to_stdout(airbundle, tmp_path) -> None:
    """Stdin may be a pipe or a file, and the archive may be compressed."""
    reference = write_directory(tmp_path / "dir", IMAGES["two"])
    airbundle.ok("copy", reference, f"docker-archive:{tmp_path}/a.tar:app:1")
    command = [*airbundle.command, "copy", "docker-archive:/dev/stdin"]
    raw = (tmp_path / "a.tar").read_bytes()

    for name, data in {"plain": raw, "packed": gzip.compress(raw)}.items():
        run(airbundle, [*command, f"dir:{tmp_path}/{name}"], input=data)
    with (tmp_path / "a.tar").open("rb") as file:
        run(airbundle, [*command, f"dir:{tmp_path}/file"], stdin=file)

    assert (
        read_files(tmp_path / "plain")
        == read_files(tmp_path / "packed")
        == read_files(tmp_path / "file")
    )


def test_layer_that_differs_from_config_is_refused(archive, airbundle, tmp_path) -> None:
    with tarfile.open(archive) as opened:
        (layer, *_) = [
            member for member in opened if member.name.endswith(".tar") and member.isfile()
        ]
    flip_bit(archive, layer.offset_data + 600)

    result = airbundle("copy", f"docker-archive:{archive}", f"dir:{tmp_path}/out")

    assert result.returncode == 3
    assert "digest mismatch" in result.stderr
    assert not (tmp_path / "out" / "manifest.json").exists()


@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive"])
def test_stdout_contains_only_archive(airbundle, transport, tmp_path) -> None:
    reference = write_directory(tmp_path / "dir", IMAGES["two"])
    airbundle.ok("copy", reference, f"{transport}:{tmp_path}/a.tar:app:1")
    command = [*airbundle.command, "copy", reference, f"{transport}:/dev/stdout:app:1"]
    assert run(airbundle, command) == (tmp_path / "a.tar").read_bytes()


def run(client: servers.Client, command: list[str], **given: object) -> bytes:
    return subprocess.run(
        command, env=client.env(), check=True, stdout=subprocess.PIPE, **given
    ).stdout


@pytest.fixture
def archive(airbundle, tmp_path) -> Path:
    reference = write_directory(tmp_path / "dir", IMAGES["odd"])
    airbundle.ok("copy", reference, f"docker-archive:{tmp_path}/ours.tar:example.com/app:1")
    return tmp_path / "ours.tar"


ID = IMAGES["odd"].blobs[0].digest


@pytest.mark.kernel("mounts")
def test_podman_loads_archive(archive) -> None:
    with engines.podman() as podman:
        podman.ok("load", "--input", archive)
        (found,) = json.loads(podman.ok("image", "inspect", "example.com/app:1"))

    assert found["Id"] == ID.removeprefix("sha256:")


@pytest.mark.kernel("mounts as root")
def test_docker_loads_archive(archive, tmp_path) -> None:
    with engines.dockerd() as host:
        docker = servers.Client((servers.program("docker"), "--host", host), tmp_path)
        docker.ok("load", "--input", archive)
        (found,) = json.loads(docker.ok("image", "inspect", "example.com/app:1"))

    assert found["Id"] == ID


@pytest.mark.kernel("root")
def test_containerd_imports_archive(archive) -> None:
    with engines.containerd() as ctr:
        ctr.ok("images", "import", "--no-unpack", archive)
        listed = ctr.ok("images", "list", "--quiet")

    assert listed.split() == ["example.com/app:1"]


def write_directory(directory: Path, image: images.Image) -> str:
    """Write an image as a ``dir:`` image, which may have any manifest type."""
    directory.mkdir()
    (directory / "version").write_text("Directory Transport Version: 1.1\n")
    (directory / "manifest.json").write_bytes(image.root.data)
    for blob in image.all_blobs():
        (directory / blob.digest.removeprefix("sha256:")).write_bytes(blob.data)
    return f"dir:{directory}"
