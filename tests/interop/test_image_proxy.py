"""The image proxy answers like that of Skopeo.

Skopeo 1.9, against which the tests run, implements version 0.2.3 of the protocol: it has no layer
infos, raw blobs and optional images, and no code with an error. The texts of its errors differ.
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
def references(tmp_path: Path) -> list[str]:
    layout = images.write_layout(tmp_path / "images", IMAGES)
    directory = tmp_path / "docker"
    directory.mkdir()
    (directory / "version").write_text("Directory Transport Version: 1.1\n")
    (directory / "manifest.json").write_bytes(DOCKER.root.data)
    for blob in DOCKER.blobs:
        (directory / blob.digest.removeprefix("sha256:")).write_bytes(blob.data)
    return [*(f"oci:{layout}:{name}" for name in IMAGES), f"dir:{directory}"]


def test_local_images_are_identical_to_skopeo(
    skopeo: servers.Client, airbundle: servers.Client, references: list[str]
) -> None:
    assert _request_everything(airbundle, references) == _request_everything(skopeo, references)


def test_registry_images_are_identical_to_skopeo(
    skopeo: servers.Client, airbundle: servers.Client, registry: servers.Registry, repository: str
) -> None:
    images.push(registry.host, repository, IMAGES["index"], "1")
    references = [f"docker://{registry.host}/{repository}:1"]

    found = _request_everything(airbundle, references, "--tls-verify=false")

    assert found == _request_everything(skopeo, references, "--tls-verify=false")


def test_requests_that_skopeo_refuses_are_refused(
    skopeo: servers.Client, airbundle: servers.Client, references: list[str]
) -> None:
    def refused(client: servers.Client) -> list[tuple[bool, bool]]:
        with proxy(client) as (running, _):
            early = running.call("OpenImage", references[0])
            running.value("Initialize")
            running.value("OpenImage", references[0])
            received = [early, *(running.call(*mistake) for mistake in MISTAKES)]
            for packet in (b"{", b"[]", b'{"method": 1}', b'{"method": "GetManifest", "args": {}}'):
                running.send(packet)
                reply = running.receive()
                assert reply is not None
                received.append(reply)
            return [(reply.success, bool(reply.error)) for reply in received]

    ours = refused(airbundle)

    assert ours == refused(skopeo) == [(False, True)] * len(ours)


def test_blob_with_wrong_digest_is_reported_to_client(
    airbundle: servers.Client, skopeo: servers.Client, references: list[str], tmp_path: Path
) -> None:
    digest, data = LAYER.blob.digest, LAYER.blob.data
    blob = tmp_path / "images/blobs/sha256" / digest.removeprefix("sha256:")
    blob.write_bytes(data[:-1] + b"x")

    for client in (airbundle, skopeo):
        with proxy(client) as (running, _):
            running.value("Initialize")
            image = running.value("OpenImage", references[0])
            _, _, finished = running.fetch("GetBlob", image, digest, len(data))

            assert not finished.success
            assert digest in finished.error


def test_requests_of_protocol_0_2_8_are_answered(
    airbundle: servers.Client, references: list[str]
) -> None:
    with proxy(airbundle) as (running, process):
        assert running.value("Initialize") == "0.2.8"
        image = running.value("OpenImageOptional", references[0])
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
        assert running.value("OpenImageOptional", f"{references[0]}-not") == 0

        running.send(b'{"method": "Shutdown"}')

        assert running.receive() is None
        assert process.wait(10) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_converted_config_is_available_by_new_digest(
    airbundle: servers.Client, references: list[str]
) -> None:
    with proxy(airbundle) as (running, _):
        running.value("Initialize")
        image = running.value("OpenImage", references[-1])
        digest, manifest, _ = running.fetch("GetManifest", image)
        config = json.loads(manifest)["config"]
        _, data, finished = running.fetch("GetBlob", image, config["digest"], config["size"])

        assert digest == DOCKER.digest
        assert images.sha256(data) == config["digest"] != DOCKER.blobs[0].digest
        assert finished.success


def test_policy_rejects_image(
    airbundle: servers.Client, references: list[str], tmp_path: Path
) -> None:
    """As in Skopeo since version 0.2.6 of the protocol."""
    policy = tmp_path / "policy.json"
    policy.write_text('{"default": [{"type": "reject"}]}')
    strict = replace(airbundle, command=(*airbundle.command, "--policy", str(policy)))

    with proxy(strict) as (running, _):
        running.value("Initialize")
        for reference in references:
            refused = running.call("OpenImage", reference)

            assert not refused.success
            assert "rejected by policy" in refused.error


@pytest.mark.parametrize("descriptor", ["0", "77"])
def test_missing_socket_has_status_2(airbundle: servers.Client, descriptor: str) -> None:
    completed = airbundle("experimental-image-proxy", "--sockfd", descriptor)

    assert completed.returncode == 2
    assert f"--sockfd {descriptor}" in completed.stderr


def _request_everything(
    client: servers.Client, references: list[str], *options: str
) -> list[object]:
    """Send all requests that both protocol versions have, for every image; return the replies."""
    found: list[object] = []
    with proxy(client, *options) as (running, process):
        running.value("Initialize")
        for reference in references:
            image = running.value("OpenImage", reference)
            digest, manifest, finished = running.fetch("GetManifest", image)
            found += [image, digest, manifest, finished.success]
            for method in ("GetFullConfig", "GetConfig"):
                found += running.fetch(method, image)[:2]
            for layer in json.loads(manifest)["layers"]:
                found += _read_blob(running, image, layer["digest"], layer["size"])
            found.append(running.value("CloseImage", image))
        running.send(b'{"method": "Shutdown", "args": []}')
        assert running.receive() is None
        found.append(process.wait(10))
    return found


def _read_blob(running: Proxy, image: int, digest: str, size: int) -> list[object]:
    value, data, finished = running.fetch("GetBlob", image, digest, size)
    return [value, images.sha256(data), finished.success]
