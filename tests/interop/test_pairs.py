"""Each pair of transports: what we copied is what Skopeo copies, by digest wherever it can be.

No two compressors agree. Where layers are compressed on the way their contents are compared, by
the digests of the uncompressed layers that Skopeo itself finds in them.
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
def test_a_copy_is_skopeos(
    source: str,
    destination: str,
    kind: str,
    airbundle: servers.Client,
    skopeo: servers.Client,
    registry: servers.Registry,
    repository: str,
    tmp_path: Path,
) -> None:
    images.push(registry.host, repository, IMAGES[kind], "made")
    made = f"docker://{registry.host}/{repository}:made"
    places = _Places(tmp_path, f"{registry.host}/{repository}")
    start = places.name(source, "start")
    skopeo.ok("copy", *_plain(made, "src"), *_plain(start, "dest"), made, start)
    ours, theirs = places.name(destination, "ours"), places.name(destination, "theirs")

    airbundle.ok(
        "--as", "skopeo", "copy", *_plain(start, "src"), *_plain(ours, "dest"), start, ours
    )
    skopeo.ok("copy", *_plain(start, "src"), *_plain(theirs, "dest"), start, theirs)

    if destination == "docker-archive":
        assert _members(tmp_path / "ours.tar") == _members(tmp_path / "theirs.tar")
    assert _config(skopeo, ours) == _config(skopeo, theirs)
    compressed = source in UNCOMPRESSED and destination in COMPRESSING
    if compressed or (source, destination) in MISLABELLED:
        assert _diff_ids(skopeo, ours, tmp_path / "a") == _diff_ids(skopeo, theirs, tmp_path / "b")
    else:
        assert _manifest(skopeo, ours) == _manifest(skopeo, theirs)


class _Places:
    """Names of new places."""

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
                place = self._folder / name
                return f"containers-storage:[vfs@{place}+{place}-run]example.com/app:1"
            case "docker-archive":
                return f"docker-archive:{self._folder}/{name}.tar:example.com/app:1"
        return f"{transport}:{self._folder}/{name}.tar:app"


def _plain(name: str, side: str) -> list[str]:
    return [f"--{side}-tls-verify=false"] if name.startswith("docker://") else []


def _manifest(skopeo: servers.Client, name: str) -> str:
    return skopeo.ok("inspect", "--raw", *_unverified(name), name)


def _config(skopeo: servers.Client, name: str) -> str:
    return skopeo.ok("inspect", "--raw", "--config", *_unverified(name), name)


def _diff_ids(skopeo: servers.Client, name: str, folder: Path) -> list[str]:
    """The uncompressed layers, as Skopeo writes them into an archive and so has verified them."""
    archive = folder.with_suffix(".read.tar")
    skopeo.ok("copy", *_plain(name, "src"), name, f"docker-archive:{archive}:app:1")
    with tarfile.open(archive) as opened:
        (manifest,) = json.load(opened.extractfile("manifest.json"))  # type: ignore[arg-type]
    return list(manifest["Layers"])


def _unverified(name: str) -> list[str]:
    return ["--tls-verify=false"] if name.startswith("docker://") else []


def _members(path: Path) -> list[tuple[str, bytes]]:
    with tarfile.open(path) as opened:
        return [(one.name, one.tobuf()) for one in opened]
