"""Signatures in ``containers-storage:``, written by one program and read by another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.interop import engines, servers
from tests.interop.test_storage import LOWER, TOP, EngineStorage, image, podman_in, records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.fakes.openpgp import GnuPG

NAME = "example.com/app:1"
IMAGE = image(LOWER, TOP)
pytestmark = pytest.mark.kernel("owners", "devices", "mounts as root")


@pytest.fixture
def store() -> Iterator[EngineStorage]:
    with engines.home() as home:
        yield EngineStorage("vfs", home, podman_in(home, "vfs"))


@pytest.fixture
def signed(gnupg: GnuPG, skopeo: servers.Client, tmp_path: Path) -> str:
    """A directory with an image and two signatures of Skopeo."""
    key = gnupg.generate("Signer <signer@example.com>")
    (tmp_path / "keys.gpg").write_bytes(gnupg.export(key))
    source = f"oci:{images.write_layout(tmp_path / 'in', {'app': IMAGE})}:app"
    environment = {**skopeo.environment, "GNUPGHOME": str(gnupg.home)}
    signer = servers.Client(skopeo.command, skopeo.home, environment)
    for number in ("1", "2"):
        target = f"dir:{tmp_path}/signed-{number}"
        signer.ok("copy", "--sign-by", key, "--sign-identity", NAME, source, target)
        source = target
    assert len([*(tmp_path / "signed-2").glob("signature-*")]) == 2
    return source


def read_items(store: EngineStorage) -> dict[str, bytes]:
    """Return the items of the only image, by file: the config, manifests and signatures."""
    (record,) = records(store, "images")
    directory = store.root / "vfs-images" / record["id"]
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def test_files_match_skopeo(store, airbundle, skopeo, signed):
    airbundle.ok("copy", signed, store.ref())
    with engines.home() as home:
        other = EngineStorage(store.driver, home, podman_in(home, store.driver))
        skopeo.ok("copy", signed, other.ref())
        assert read_items(store) == read_items(other)
        assert records(store, "images") == records(other, "images")


def write_policy(path: Path, transport: str, identity: str) -> None:
    """Write a policy that demands a signature for the name ``identity``."""
    signed_by = {
        "type": "signedBy",
        "keyType": "GPGKeys",
        "keyPath": f"{path.parent}/keys.gpg",
        "signedIdentity": {"type": "exactReference", "dockerReference": identity},
    }
    transports = {transport: {"": [signed_by]}}
    path.write_text(json.dumps({"default": [{"type": "reject"}], "transports": transports}))


@pytest.mark.parametrize("reader", ["airbundle", "skopeo-name", "skopeo"])
def test_signatures_in_the_storage_meet_a_policy(
    store, airbundle, clients, signed, tmp_path, reader
):
    airbundle.ok("copy", signed, store.ref())
    client = clients(reader)
    command = tuple(word for word in client.command if word != "--insecure-policy")
    strict = servers.Client(command, client.home, client.environment)
    options = ("--policy", tmp_path / "policy.json", "copy", "--remove-signatures")
    for identity, accepted in ((NAME, True), ("example.com/other:1", False)):
        write_policy(tmp_path / "policy.json", "containers-storage", identity)
        copied = strict(*options, store.ref(), f"dir:{tmp_path}/copied")
        assert (copied.returncode == 0) == accepted, copied.stderr


@pytest.mark.parametrize(("identity", "accepted"), [(NAME, True), ("example.com/other:1", False)])
def test_podman_verifies_lookaside_signatures(
    store, airbundle, signed, registry, repository, tmp_path, identity, accepted
):
    target = f"{registry.host}/{repository}:1"
    config = f"default-docker: {{lookaside: 'file://{tmp_path}/signatures'}}\n"
    for home in (airbundle.home, store.home):
        directory = home / ".config/containers/registries.d"
        directory.mkdir(parents=True)
        (directory / "default.yaml").write_text(config)
    airbundle.ok("copy", "--dest-tls-verify=false", signed, f"docker://{target}")
    write_policy(tmp_path / "policy.json", "docker", identity)
    options = ("--tls-verify=false", "--signature-policy", tmp_path / "policy.json")
    pulled = store.podman("pull", *options, f"docker://{target}")
    assert (pulled.returncode == 0) == accepted, pulled.stderr
    if accepted:
        refused = airbundle("copy", store.ref(target), f"dir:{tmp_path}/copied")
        assert "the image is signed" in refused.stderr


@pytest.mark.parametrize("target", ["dir:copy", "oci:copy:app"])
def test_signed_image_is_refused_where_its_manifest_changes(
    store, clients, skopeo, signed, target, tmp_path
):
    """The storage contains the uncompressed layers only."""
    skopeo.ok("copy", signed, store.ref())
    ours, airbundle = clients("skopeo-name"), clients("airbundle")
    theirs = skopeo("copy", store.ref(), target, cwd=tmp_path)
    assert theirs.returncode == 1
    found = ours("copy", store.ref(), target, cwd=tmp_path)
    assert found.stderr.partition("msg=")[2] == theirs.stderr.partition("msg=")[2]
    refused = airbundle("copy", store.ref(), target, cwd=tmp_path)
    assert refused.returncode == 1
    assert "--remove-signatures" in refused.stderr
    for client in (ours, airbundle):
        client.ok("copy", "--remove-signatures", store.ref(), target, cwd=tmp_path)
