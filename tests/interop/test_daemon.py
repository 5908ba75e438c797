"""Real container engines take what we give them, and give skopeo and us the same."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.interop import engines

if TYPE_CHECKING:
    from pathlib import Path

LAYERS = (images.layer({"etc/os-release": b"ID=test\n" * 2000}), images.layer({"app": b"1"}))
OCI = images.image(*LAYERS)
DOCKER = images.image(
    *(images.layer({name: b"docker"}, types=images.DOCKER) for name in ("a", "b")),
    types=images.DOCKER,
)

ZSTD = images.image(LAYERS[0], images.layer({"app": b"zstd"}, compression="zstd"))


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("podman", marks=pytest.mark.kernel("mounts")),
        pytest.param("dockerd", marks=pytest.mark.kernel("mounts as root")),
    ],
)
def engine(request: pytest.FixtureRequest):
    """Where an engine listens, as ``--daemon-host`` takes it."""
    with {"podman": engines.podman_service, "dockerd": engines.dockerd}[request.param]() as host:
        yield host


@pytest.fixture(params=["oci", "docker", "zstd"])
def one(request: pytest.FixtureRequest) -> images.Image:
    return {"oci": OCI, "docker": DOCKER, "zstd": ZSTD}[request.param]


def test_an_engine_takes_an_image_and_gives_it_back(engine, airbundle, one, tmp_path) -> None:
    layout = images.write_layout(tmp_path / "layout", {"a": one})
    to, back = f"--dest-daemon-host={engine}", f"--src-daemon-host={engine}"

    airbundle.ok("copy", to, f"oci:{layout}:a", "docker-daemon:example.com/ours:1")
    airbundle.ok("copy", back, "docker-daemon:example.com/ours:1", f"dir:{tmp_path}/back")
    by_id = f"docker-daemon:{one.blobs[0].digest}"
    airbundle.ok("copy", back, by_id, f"dir:{tmp_path}/by-id")

    assert config_digest(tmp_path / "back") == one.blobs[0].digest
    assert files(tmp_path / "by-id") == files(tmp_path / "back")


def test_we_read_from_an_engine_what_skopeo_reads(engine, airbundle, skopeo, tmp_path) -> None:
    layout = images.write_layout(tmp_path / "layout", {"a": OCI})
    name, host = "docker-daemon:read:1", f"--src-daemon-host={engine}"
    archive = f"docker-archive:{tmp_path}/a.tar:docker.io/library/read:1"
    skopeo.ok("copy", f"oci:{layout}:a", archive)
    skopeo.ok("copy", f"--dest-daemon-host={engine}", f"docker-archive:{tmp_path}/a.tar", name)

    airbundle.ok("copy", host, name, f"dir:{tmp_path}/ours")
    skopeo.ok("copy", host, name, f"dir:{tmp_path}/theirs")

    assert files(tmp_path / "ours") == files(tmp_path / "theirs")


def test_an_image_that_an_engine_does_not_have_is_told(engine, airbundle, tmp_path) -> None:
    host = f"--src-daemon-host={engine}"
    ran = airbundle("copy", host, "docker-daemon:nowhere:1", f"dir:{tmp_path}/out")
    assert ran.returncode == 9
    assert "nowhere:1" in ran.stderr


def test_an_image_that_an_engine_cannot_take_is_told(engine, airbundle, tmp_path) -> None:
    """Its layer is not the one that its config tells of."""
    wrong = images.layer({"app": b"other"})
    broken = images.image(images.Layer(LAYERS[1].blob, wrong.diff_id))
    layout = images.write_layout(tmp_path / "layout", {"a": broken})
    host = f"--dest-daemon-host={engine}"
    ran = airbundle("copy", host, f"oci:{layout}:a", "docker-daemon:broken:1")
    assert ran.returncode == 6
    assert "engine" in ran.stderr


def config_digest(directory: Path) -> str:
    return json.loads((directory / "manifest.json").read_bytes())["config"]["digest"]


def files(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}
