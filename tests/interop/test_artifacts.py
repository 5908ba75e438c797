"""Charts, modules, other artifacts and nested indexes are copied like images.

Skopeo copies artifacts as well, byte for byte, but refuses to inspect them. It refuses to copy a
nested index.
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
TRANSPORTS = ("docker", "dir", "oci", "oci-archive")
ROUTE = (
    *("docker", "docker", "dir", "dir", "oci", "oci", "oci-archive", "oci-archive"),
    *("docker", "oci", "docker", "oci-archive", "dir", "oci-archive", "oci", "dir", "docker"),
)
"""Contains each ordered pair of transports once."""


def create_old_artifact(
    config_type: str, config: bytes, layer_type: str, **members: object
) -> images.Image:
    """Create an artifact as before OCI 1.1, identified by the media type of its config."""
    blobs = images.Blob(config_type, config), images.Blob(layer_type, b"content" * 100)
    body = {
        "schemaVersion": 2,
        "config": blobs[0].descriptor(),
        "layers": [blobs[1].descriptor(annotations={"org.opencontainers.image.title": "a.tgz"})],
        **members,
    }
    return images.Image(images.Blob(images.OCI["manifest"], images.dump(body)), blobs)


ARTIFACTS = {
    "chart": create_old_artifact(
        CHART,
        b'{"name":"app","version":"1.0.0","apiVersion":"v2"}',
        "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
        annotations={"org.opencontainers.image.title": "app"},
    ),
    "module": create_old_artifact(MODULE, b'{"created":"2024"}', "application/wasm"),
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
def test_artifact_stays_identical_through_all_transports(
    airbundle: servers.Client,
    registry: servers.Registry,
    repository: str,
    layout: Path,
    tmp_path: Path,
    name: str,
) -> None:
    stops = [
        _create_reference(transport, f"{number}-{transport}", registry, repository, tmp_path)
        for number, transport in enumerate(ROUTE)
    ]
    back = tmp_path / "back"
    for source, destination in itertools.pairwise(
        (f"oci:{layout}:{name}", *stops, f"oci:{back}:{name}")
    ):
        access = (*_allow_plain_http("src-", source), *_allow_plain_http("dest-", destination))
        assert ALL[name].digest in airbundle.ok("copy", *access, source, destination)

    assert _read_blobs(back) == ALL[name].contents()


@pytest.mark.parametrize("name", ARTIFACTS)
@pytest.mark.parametrize("transport", ["dir", "oci"])
def test_copy_of_artifact_matches_skopeo(
    airbundle: servers.Client,
    skopeo: servers.Client,
    layout: Path,
    tmp_path: Path,
    name: str,
    transport: str,
) -> None:
    for client, reference in ((airbundle, "ours"), (skopeo, "theirs")):
        destination = f"{transport}:{tmp_path}/{reference}"
        client.ok(
            "copy", f"oci:{layout}:{name}", destination + (":1" if transport == "oci" else "")
        )

    ours, theirs = (
        {path.name: path.read_bytes() for path in _find_files(tmp_path / reference)}
        for reference in ("ours/blobs" if transport == "oci" else "ours", "theirs")
    )
    assert ours.items() <= theirs.items()
    assert {*theirs} - {*ours} <= {"index.json", "oci-layout"}


@pytest.mark.parametrize(
    ("name", "artifact_type", "config"),
    [
        ("chart", CHART, CHART),
        ("module", MODULE, MODULE),
        ("empty", "application/vnd.example.data", images.EMPTY),
    ],
)
def test_inspect_shows_artifact_from_every_transport(
    airbundle: servers.Client,
    registry: servers.Registry,
    repository: str,
    layout: Path,
    tmp_path: Path,
    name: str,
    artifact_type: str,
    config: str,
) -> None:
    image = ARTIFACTS[name]
    for transport in TRANSPORTS:
        reference = _create_reference(transport, name, registry, repository, tmp_path)
        access = _allow_plain_http("dest-", reference)
        airbundle.ok("copy", *access, f"oci:{layout}:{name}", reference)
        read_access = _allow_plain_http("", reference)

        summary = json.loads(airbundle.ok("inspect", "--no-tags", *read_access, reference))
        raw = airbundle.ok("inspect", "--raw", *read_access, reference)
        raw_config = airbundle.ok("inspect", "--raw", "--config", *read_access, reference)

        assert (summary["Digest"], summary["ArtifactType"], summary["ConfigType"]) == (
            image.digest,
            artifact_type,
            config,
        )
        assert summary["Layers"] == [image.blobs[1].digest]
        assert (raw.encode(), raw_config.encode()) == (image.root.data, image.blobs[0].data)


def test_list_tags_lists_artifacts(
    airbundle: servers.Client, registry: servers.Registry, repository: str, layout: Path
) -> None:
    for name in ALL:
        destination = f"docker://{registry.host}/{repository}:{name}"
        airbundle.ok("copy", "--dest-tls-verify=false", f"oci:{layout}:{name}", destination)
    reference = f"docker://{registry.host}/{repository}"

    remote = json.loads(airbundle.ok("list-tags", "--tls-verify=false", reference))
    local = json.loads(airbundle.ok("list-tags", f"oci:{layout}"))

    assert sorted(remote["Tags"]) == sorted(local["Tags"]) == sorted(ALL)


@pytest.mark.parametrize("name", ARTIFACTS)
def test_copy_of_artifact_to_docker_archive_is_refused(
    airbundle: servers.Client, layout: Path, tmp_path: Path, name: str
) -> None:
    destination = tmp_path / "a.tar"

    refused = airbundle(
        "copy", f"oci:{layout}:{name}", f"docker-archive:{destination}:example.com/a:1"
    )

    assert refused.returncode == 1, refused.stderr
    assert "only images can be converted" in refused.stderr
    assert not destination.exists()


def _create_reference(
    transport: str, name: str, registry: servers.Registry, repository: str, tmp_path: Path
) -> str:
    match transport:
        case "docker":
            return f"docker://{registry.host}/{repository}:{name}"
        case "dir":
            return f"dir:{tmp_path}/{name}-dir"
        case _:
            return f"{transport}:{tmp_path}/{name}-{transport}:{name}"


def _allow_plain_http(side: str, reference: str) -> list[str]:
    return [f"--{side}tls-verify=false"] if reference.startswith("docker:") else []


def _find_files(reference: Path) -> list[Path]:
    return [path for path in reference.rglob("*") if path.is_file()]


def _read_blobs(layout: Path) -> dict[str, bytes]:
    return {f"sha256:{p.name}": p.read_bytes() for p in (layout / "blobs/sha256").iterdir()}
