"""Copies between each pair of transports are those of Skopeo, by digest where possible.

No two compressors produce equal output. If layers are compressed during the copy, their content is
compared by the digests of the uncompressed layers, as Skopeo finds them.
"""

from __future__ import annotations

import json
import tarfile
from itertools import product
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop import servers

FILES = [images.layer({"etc/os-release": b"ID=test\n" * 2000}), images.layer({"app": b"<1>"})]
DOCKER_FILES = [images.layer({"app": b"<1>"}, types=images.DOCKER)]
CONFIG = {
    "created": "2024-02-29T12:30:00.120000000Z",
    "docker_version": "26.1",
    "history": [{"created": "2024-02-29T12:30:00Z", "created_by": "COPY <a> & b", "comment": "x"}],
}
IMAGES = {
    "oci": images.image(*FILES),
    "docker": images.image(*DOCKER_FILES, types=images.DOCKER, config=CONFIG),
}
STORAGE = pytest.mark.kernel("owners")
PLACES = ("docker", "dir", "oci", "oci-archive", "docker-archive", "containers-storage")
UNCOMPRESSED = ("docker-archive", "containers-storage")
COMPRESSING = ("docker", "oci", "oci-archive")
# Skopeo keeps the media types of compressed layers for layers that are not compressed any more.
MISLABELLED = (("containers-storage", "dir"), ("containers-storage", "containers-storage"))
PAIRS = [
    pytest.param(*pair, marks=[STORAGE] if "containers-storage" in pair else [])
    for pair in product(PLACES, PLACES)
]


@pytest.mark.parametrize("kind", IMAGES)
@pytest.mark.parametrize(("source", "destination"), PAIRS)
def test_copy_matches_skopeo(
    source: str,
    destination: str,
    kind: str,
    airbundle: servers.Client,
    skopeo: servers.Client,
    registry: servers.Registry,
    repository: str,
    tmp_path: Path,
) -> None:
    images.push(registry.host, repository, IMAGES[kind], "pushed")
    pushed = f"docker://{registry.host}/{repository}:pushed"
    destinations = _Destinations(tmp_path, f"{registry.host}/{repository}")
    origin = destinations.name(source, "start")
    skopeo.ok(
        "copy",
        *_allow_plain_http(pushed, "src"),
        *_allow_plain_http(origin, "dest"),
        pushed,
        origin,
    )
    ours, theirs = destinations.name(destination, "ours"), destinations.name(destination, "theirs")

    airbundle.ok(
        "--as",
        "skopeo",
        "copy",
        *_allow_plain_http(origin, "src"),
        *_allow_plain_http(ours, "dest"),
        origin,
        ours,
    )
    skopeo.ok(
        "copy",
        *_allow_plain_http(origin, "src"),
        *_allow_plain_http(theirs, "dest"),
        origin,
        theirs,
    )

    if destination == "docker-archive":
        assert _read_members(tmp_path / "ours.tar") == _read_members(tmp_path / "theirs.tar")
    assert _read_config(skopeo, ours) == _read_config(skopeo, theirs)
    compressed = source in UNCOMPRESSED and destination in COMPRESSING
    if compressed or (source, destination) in MISLABELLED:
        assert _find_diff_ids(skopeo, ours, tmp_path / "a") == _find_diff_ids(
            skopeo, theirs, tmp_path / "b"
        )
    else:
        assert _read_manifest(skopeo, ours) == _read_manifest(skopeo, theirs)


class _Destinations:
    """Creates references for new images."""

    def __init__(self, folder: Path, repository: str) -> None:
        self._folder = folder
        self._repository = repository

    def name(self, transport: str, name: str) -> str:
        match transport:
            case "docker":
                return f"docker://{self._repository}:{name}"
            case "dir":
                return f"dir:{self._folder}/{name}"
            case "oci":
                return f"oci:{self._folder}/{name}:app"
            case "containers-storage":
                location = self._folder / name
                return f"containers-storage:[vfs@{location}+{location}-run]example.com/app:1"
            case "docker-archive":
                return f"docker-archive:{self._folder}/{name}.tar:example.com/app:1"
        return f"{transport}:{self._folder}/{name}.tar:app"


def _allow_plain_http(name: str, side: str) -> list[str]:
    return [f"--{side}-tls-verify=false"] if name.startswith("docker://") else []


def _read_manifest(skopeo: servers.Client, name: str) -> str:
    return skopeo.ok("inspect", "--raw", *_remove_policy_option(name), name)


def _read_config(skopeo: servers.Client, name: str) -> str:
    return skopeo.ok("inspect", "--raw", "--config", *_remove_policy_option(name), name)


def _find_diff_ids(skopeo: servers.Client, name: str, folder: Path) -> list[str]:
    """Return the diff IDs of an archive that Skopeo wrote, and therefore verified."""
    archive = folder.with_suffix(".read.tar")
    skopeo.ok("copy", *_allow_plain_http(name, "src"), name, f"docker-archive:{archive}:app:1")
    with tarfile.open(archive) as opened:
        (manifest,) = json.load(opened.extractfile("manifest.json"))  # type: ignore[arg-type]
    return list(manifest["Layers"])


def _remove_policy_option(name: str) -> list[str]:
    return ["--tls-verify=false"] if name.startswith("docker://") else []


def _read_members(path: Path) -> list[tuple[str, bytes]]:
    with tarfile.open(path) as opened:
        return [(member.name, member.tobuf()) for member in opened]
