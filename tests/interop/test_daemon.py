"""Container engines load images of airbundle, and return the same image to both programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.interop import engines
from tests.interop.written_files import read_files

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
    """The address of an engine, as ``--daemon-host`` accepts it."""
    with {"podman": engines.podman_service, "dockerd": engines.dockerd}[request.param]() as host:
        yield host


@pytest.fixture(params=["oci", "docker", "zstd"])
def image(request: pytest.FixtureRequest) -> images.Image:
    return {"oci": OCI, "docker": DOCKER, "zstd": ZSTD}[request.param]


def test_engine_loads_and_returns_image(engine, airbundle, image, tmp_path) -> None:
    layout = images.write_layout(tmp_path / "layout", {"a": image})
    to, back = f"--dest-daemon-host={engine}", f"--src-daemon-host={engine}"

    airbundle.ok("copy", to, f"oci:{layout}:a", "docker-daemon:example.com/ours:1")
    airbundle.ok("copy", back, "docker-daemon:example.com/ours:1", f"dir:{tmp_path}/back")
    by_id = f"docker-daemon:{image.blobs[0].digest}"
    airbundle.ok("copy", back, by_id, f"dir:{tmp_path}/by-id")

    assert read_config_digest(tmp_path / "back") == image.blobs[0].digest
    assert read_files(tmp_path / "by-id") == read_files(tmp_path / "back")


def test_image_of_engine_matches_skopeo(engine, airbundle, skopeo, tmp_path) -> None:
    layout = images.write_layout(tmp_path / "layout", {"a": OCI})
    name, host = "docker-daemon:read:1", f"--src-daemon-host={engine}"
    archive = f"docker-archive:{tmp_path}/a.tar:docker.io/library/read:1"
    skopeo.ok("copy", f"oci:{layout}:a", archive)
    skopeo.ok("copy", f"--dest-daemon-host={engine}", f"docker-archive:{tmp_path}/a.tar", name)

    airbundle.ok("copy", host, name, f"dir:{tmp_path}/ours")
    skopeo.ok("copy", host, name, f"dir:{tmp_path}/theirs")

    assert read_files(tmp_path / "ours") == read_files(tmp_path / "theirs")


def test_image_missing_in_engine_has_status_9(engine, airbundle, tmp_path) -> None:
    host = f"--src-daemon-host={engine}"
    result = airbundle("copy", host, "docker-daemon:nowhere:1", f"dir:{tmp_path}/out")
    assert result.returncode == 9
    assert "nowhere:1" in result.stderr


def test_image_that_engine_refuses_is_reported(engine, airbundle, tmp_path) -> None:
    """The layer differs from the diff ID in the config.

    Podman responds with status 500, which may be temporary.
    """
    wrong = images.layer({"app": b"other"})
    broken = images.image(images.Layer(LAYERS[1].blob, wrong.diff_id))
    layout = images.write_layout(tmp_path / "layout", {"a": broken})
    host = f"--dest-daemon-host={engine}"
    result = airbundle("copy", host, f"oci:{layout}:a", "docker-daemon:broken:1")
    assert result.returncode == (6 if "podman" in engine else 1)
    assert "engine" in result.stderr


def read_config_digest(directory: Path) -> str:
    return json.loads((directory / "manifest.json").read_bytes())["config"]["digest"]
