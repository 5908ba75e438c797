"""Our image proxy answers as Skopeo's does.

Skopeo 1.9, which runs here, speaks version 0.2.3 of the protocol: it knows neither layer infos, raw
blobs nor optional images, and gives no code with an error. Its words for an error are its own.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.interop.proxy_client import proxy, read_all

if TYPE_CHECKING:
    from pathlib import Path

    from tests.interop import servers
    from tests.interop.proxy_client import Proxy

CONFIG = {
    "created": "2020-01-02T03:04:05.120000000Z",
    "docker_version": "20.1",
    "container": "abc",
    "config": {"Hostname": "dropped", "Env": ["A=<b>"], "Labels": {"b": "é\u2028"}},
    "history": [{"created": "2020-01-02T03:04:05Z", "created_by": "x"}],
}
LAYER = images.layer({"data": os.urandom(3_000_000)})
IMAGES = {
    "oci": images.image(LAYER, config=CONFIG, annotations={"a": "b"}),
    "index": images.multi_platform("index", "linux/arm64", "linux/amd64"),
}
DOCKER = images.image(
    images.layer({"data": b"1"}, types=images.DOCKER),
    images.layer({"data": b"2"}, types=images.DOCKER),
    types=images.DOCKER,
    config=CONFIG,
)
ZEROS = "sha256:" + "0" * 64
MISTAKES = (
    ("OpenImage",),
    ("OpenImage", 1),
    ("OpenImage", "nowhere:x"),
    ("Initialize",),
    ("GetManifest",),
    ("GetManifest", "1"),
    ("GetManifest", True),
    ("GetManifest", 77),
    ("GetManifest", -1),
    ("CloseImage", 0),
    ("GetBlob", 1, "sha256:xyz", 1),
    ("GetBlob", 1, ZEROS, 1),
    ("GetBlob", 1, ZEROS),
    ("FinishPipe", 99),
    ("Nothing",),
)


@pytest.fixture
def places(tmp_path: Path) -> list[str]:
    layout = images.write_layout(tmp_path / "images", IMAGES)
    directory = tmp_path / "docker"
    directory.mkdir()
    (directory / "version").write_text("Directory Transport Version: 1.1\n")
    (directory / "manifest.json").write_bytes(DOCKER.root.data)
    for blob in DOCKER.blobs:
        (directory / blob.digest.removeprefix("sha256:")).write_bytes(blob.data)
    return [*(f"oci:{layout}:{name}" for name in IMAGES), f"dir:{directory}"]


def test_images_are_the_same_byte_for_byte(
    skopeo: servers.Client, airbundle: servers.Client, places: list[str]
) -> None:
    assert _script(airbundle, places) == _script(skopeo, places)


def test_images_of_a_registry_are_the_same(
    skopeo: servers.Client, airbundle: servers.Client, registry: servers.Registry, repository: str
) -> None:
    images.push(registry.host, repository, IMAGES["index"], "1")
    places = [f"docker://{registry.host}/{repository}:1"]

    found = _script(airbundle, places, "--tls-verify=false")

    assert found == _script(skopeo, places, "--tls-verify=false")


def test_the_same_requests_are_refused(
    skopeo: servers.Client, airbundle: servers.Client, places: list[str]
) -> None:
    def refused(client: servers.Client) -> list[tuple[bool, bool]]:
        with proxy(client) as (running, _):
            early = running.call("OpenImage", places[0])
            running.value("Initialize")
            running.value("OpenImage", places[0])
            replies = [early, *(running.call(*mistake) for mistake in MISTAKES)]
            for packet in (b"{", b"[]", b'{"method": 1}', b'{"method": "GetManifest", "args": {}}'):
                running.send(packet)
                reply = running.receive()
                assert reply is not None
                replies.append(reply)
            return [(reply.success, bool(reply.error)) for reply in replies]

    ours = refused(airbundle)

    assert ours == refused(skopeo) == [(False, True)] * len(ours)


def test_a_client_hears_of_a_blob_that_is_not_what_it_should_be(
    airbundle: servers.Client, skopeo: servers.Client, places: list[str], tmp_path: Path
) -> None:
    digest, data = LAYER.blob.digest, LAYER.blob.data
    blob = tmp_path / "images/blobs/sha256" / digest.removeprefix("sha256:")
    blob.write_bytes(data[:-1] + b"x")

    for client in (airbundle, skopeo):
        with proxy(client) as (running, _):
            running.value("Initialize")
            image = running.value("OpenImage", places[0])
            _, _, finished = running.fetch("GetBlob", image, digest, len(data))

            assert not finished.success
            assert digest in finished.error


def test_what_newer_clients_ask_for(airbundle: servers.Client, places: list[str]) -> None:
    with proxy(airbundle) as (running, process):
        assert running.value("Initialize") == "0.2.8"
        image = running.value("OpenImageOptional", places[0])
        layers = running.value("GetLayerInfo", image)
        _, piped, _ = running.fetch("GetLayerInfoPiped", image)
        raw = running.call("GetRawBlob", image, LAYER.blob.digest)
        data, failure = map(read_all, raw.descriptors)

        assert layers == [
            {
                "digest": LAYER.blob.digest,
                "size": len(LAYER.blob.data),
                "media_type": LAYER.blob.media_type,
            }
        ]
        assert json.loads(piped) == layers
        assert (raw.value, data, failure) == (len(LAYER.blob.data), LAYER.blob.data, b"")
        assert running.value("OpenImageOptional", f"{places[0]}-not") == 0

        running.send(b'{"method": "Shutdown"}')

        assert running.receive() is None
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_configuration_made_for_oci_can_be_had_by_its_new_digest(
    airbundle: servers.Client, places: list[str]
) -> None:
    with proxy(airbundle) as (running, _):
        running.value("Initialize")
        image = running.value("OpenImage", places[-1])
        digest, manifest, _ = running.fetch("GetManifest", image)
        config = json.loads(manifest)["config"]
        _, data, finished = running.fetch("GetBlob", image, config["digest"], config["size"])

        assert digest == DOCKER.digest
        assert images.sha256(data) == config["digest"] != DOCKER.blobs[0].digest
        assert finished.success


def test_a_policy_is_obeyed(airbundle: servers.Client, places: list[str], tmp_path: Path) -> None:
    """As by Skopeo since version 0.2.6 of the protocol."""
    policy = tmp_path / "policy.json"
    policy.write_text('{"default": [{"type": "reject"}]}')
    strict = replace(airbundle, command=(*airbundle.command, "--policy", str(policy)))

    with proxy(strict) as (running, _):
        running.value("Initialize")
        for place in places:
            refused = running.call("OpenImage", place)

            assert not refused.success
            assert "rejected by policy" in refused.error


@pytest.mark.parametrize("descriptor", ["0", "77"])
def test_without_a_socket_it_says_so(airbundle: servers.Client, descriptor: str) -> None:
    ran = airbundle("experimental-image-proxy", "--sockfd", descriptor)

    assert ran.returncode == 2
    assert f"--sockfd {descriptor}" in ran.stderr


def _script(client: servers.Client, places: list[str], *options: str) -> list[object]:
    """All that both versions of the protocol have, of every image."""
    found: list[object] = []
    with proxy(client, *options) as (running, process):
        running.value("Initialize")
        for place in places:
            image = running.value("OpenImage", place)
            digest, manifest, finished = running.fetch("GetManifest", image)
            found += [image, digest, manifest, finished.success]
            for method in ("GetFullConfig", "GetConfig"):
                found += running.fetch(method, image)[:2]
            for layer in json.loads(manifest)["layers"]:
                found += _blob(running, image, layer["digest"], layer["size"])
            found.append(running.value("CloseImage", image))
        running.send(b'{"method": "Shutdown", "args": []}')
        assert running.receive() is None
        found.append(process.wait(10))
    return found


def _blob(running: Proxy, image: int, digest: str, size: int) -> list[object]:
    value, data, finished = running.fetch("GetBlob", image, digest, size)
    return [value, images.sha256(data), finished.success]
