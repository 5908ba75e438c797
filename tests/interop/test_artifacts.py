"""Charts, modules and other artifacts, and indexes within indexes, travel like images.

Skopeo copies artifacts as well, byte for byte; to inspect one it refuses. Of an index within an
index it says that it cannot be copied.
"""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop import servers

CHART = "application/vnd.cncf.helm.config.v1+json"
MODULE = "application/vnd.wasm.config.v0+json"
PLACES = ("docker", "dir", "oci", "oci-archive")
ROUTE = (
    *("docker", "docker", "dir", "dir", "oci", "oci", "oci-archive", "oci-archive"),
    *("docker", "oci", "docker", "oci-archive", "dir", "oci-archive", "oci", "dir", "docker"),
)
"""From every place to every one, once."""


def artifact(config_type: str, config: bytes, layer_type: str, **members: object) -> images.Image:
    """An artifact as tools made them before OCI 1.1: told by the type of its config."""
    blobs = images.Blob(config_type, config), images.Blob(layer_type, b"content" * 100)
    body = {
        "schemaVersion": 2,
        "config": blobs[0].descriptor(),
        "layers": [blobs[1].descriptor(annotations={"org.opencontainers.image.title": "a.tgz"})],
        **members,
    }
    return images.Image(images.Blob(images.OCI["manifest"], images.dump(body)), blobs)


ARTIFACTS = {
    "chart": artifact(
        CHART,
        b'{"name":"app","version":"1.0.0","apiVersion":"v2"}',
        "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
        annotations={"org.opencontainers.image.title": "app"},
    ),
    "module": artifact(MODULE, b'{"created":"2024"}', "application/wasm"),
    "empty": images.artifact("application/vnd.example.data", b"data"),
}
NESTED = images.index(
    images.index(images.image(platform="linux/amd64"), images.image(platform="linux/arm64")),
    images.image(platform="linux/s390x"),
    images.artifact("application/vnd.example.data", b"about all of them"),
)
ALL = ARTIFACTS | {"nested": NESTED}


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    return images.write_layout(tmp_path / "origin", ALL)


@pytest.mark.parametrize("name", ALL)
def test_it_travels_round_and_stays_what_it_is(
    airbundle: servers.Client,
    registry: servers.Registry,
    repository: str,
    layout: Path,
    tmp_path: Path,
    name: str,
) -> None:
    stops = [
        _place(transport, f"{number}-{transport}", registry, repository, tmp_path)
        for number, transport in enumerate(ROUTE)
    ]
    back = tmp_path / "back"
    for source, goal in itertools.pairwise((f"oci:{layout}:{name}", *stops, f"oci:{back}:{name}")):
        plain = (*_plain("src-", source), *_plain("dest-", goal))
        assert ALL[name].digest in airbundle.ok("copy", *plain, source, goal)

    assert _blobs(back) == ALL[name].contents()


@pytest.mark.parametrize("name", ARTIFACTS)
@pytest.mark.parametrize("transport", ["dir", "oci"])
def test_skopeo_makes_the_same_copy(
    airbundle: servers.Client,
    skopeo: servers.Client,
    layout: Path,
    tmp_path: Path,
    name: str,
    transport: str,
) -> None:
    for client, place in ((airbundle, "ours"), (skopeo, "theirs")):
        goal = f"{transport}:{tmp_path}/{place}"
        client.ok("copy", f"oci:{layout}:{name}", goal + (":1" if transport == "oci" else ""))

    ours, theirs = (
        {path.name: path.read_bytes() for path in _files(tmp_path / place)}
        for place in ("ours/blobs" if transport == "oci" else "ours", "theirs")
    )
    assert ours.items() <= theirs.items()
    assert {*theirs} - {*ours} <= {"index.json", "oci-layout"}


@pytest.mark.parametrize(
    ("name", "kind", "config"),
    [
        ("chart", CHART, CHART),
        ("module", MODULE, MODULE),
        ("empty", "application/vnd.example.data", images.EMPTY),
    ],
)
def test_it_can_be_inspected(
    airbundle: servers.Client,
    registry: servers.Registry,
    repository: str,
    layout: Path,
    tmp_path: Path,
    name: str,
    kind: str,
    config: str,
) -> None:
    one = ARTIFACTS[name]
    for transport in PLACES:
        place = _place(transport, name, registry, repository, tmp_path)
        plain = _plain("dest-", place)
        airbundle.ok("copy", *plain, f"oci:{layout}:{name}", place)
        reading = _plain("", place)

        said = json.loads(airbundle.ok("inspect", "--no-tags", *reading, place))
        raw = airbundle.ok("inspect", "--raw", *reading, place)
        raw_config = airbundle.ok("inspect", "--raw", "--config", *reading, place)

        assert (said["Digest"], said["ArtifactType"], said["ConfigType"]) == (
            one.digest,
            kind,
            config,
        )
        assert said["Layers"] == [one.blobs[1].digest]
        assert (raw.encode(), raw_config.encode()) == (one.root.data, one.blobs[0].data)


def test_its_names_are_listed(
    airbundle: servers.Client, registry: servers.Registry, repository: str, layout: Path
) -> None:
    for name in ALL:
        goal = f"docker://{registry.host}/{repository}:{name}"
        airbundle.ok("copy", "--dest-tls-verify=false", f"oci:{layout}:{name}", goal)
    place = f"docker://{registry.host}/{repository}"

    remote = json.loads(airbundle.ok("list-tags", "--tls-verify=false", place))
    local = json.loads(airbundle.ok("list-tags", f"oci:{layout}"))

    assert sorted(remote["Tags"]) == sorted(local["Tags"]) == sorted(ALL)


@pytest.mark.parametrize("name", ARTIFACTS)
def test_it_goes_nowhere_where_only_images_can_be(
    airbundle: servers.Client, layout: Path, tmp_path: Path, name: str
) -> None:
    goal = tmp_path / "a.tar"

    ran = airbundle("copy", f"oci:{layout}:{name}", f"docker-archive:{goal}:example.com/a:1")

    assert ran.returncode == 1, ran.stderr
    assert "only images can be converted" in ran.stderr
    assert not goal.exists()


def _place(
    transport: str, name: str, registry: servers.Registry, repository: str, tmp_path: Path
) -> str:
    match transport:
        case "docker":
            return f"docker://{registry.host}/{repository}:{name}"
        case "dir":
            return f"dir:{tmp_path}/{name}-dir"
        case _:
            return f"{transport}:{tmp_path}/{name}-{transport}:{name}"


def _plain(side: str, place: str) -> list[str]:
    return [f"--{side}tls-verify=false"] if place.startswith("docker:") else []


def _files(place: Path) -> list[Path]:
    return [path for path in place.rglob("*") if path.is_file()]


def _blobs(layout: Path) -> dict[str, bytes]:
    return {f"sha256:{p.name}": p.read_bytes() for p in (layout / "blobs/sha256").iterdir()}
