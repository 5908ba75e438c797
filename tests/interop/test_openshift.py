"""Signed image streams of OpenShift under both names: a fake API server, a real registry and gpg.

Skopeo is not one of the programs, because distributions build it without this transport.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

import pytest

from tests.fakes import images
from tests.fakes.openshift import FakeOpenShift
from tests.interop import servers
from tests.interop.real_clusters import RegistryContent
from tests.transports.openshift.clusters import AUTHORITY, TOKEN, create_server_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.fakes.openpgp import GnuPG

NAMES = ["airbundle", "skopeo-name"]
IMAGE = images.image()


@pytest.fixture(scope="module")
def key(gnupg: GnuPG) -> str:
    return gnupg.generate("Signer <signer@example.com>")


@pytest.fixture
def cluster(registry: servers.Registry, repository: str) -> Iterator[FakeOpenShift]:
    content = RegistryContent(registry, repository)
    authorization, tls = f"Bearer {TOKEN}", create_server_context()
    with FakeOpenShift(content, authorization=authorization, tls=tls) as running:
        yield running


@pytest.fixture
def program(tmp_path: Path, gnupg: GnuPG, key: str, clients, cluster: FakeOpenShift):
    """One of the programs by name, as a user of the cluster whose policy requires signatures."""
    images.write_layout(tmp_path / "in", {"app": IMAGE})
    (tmp_path / "keys.gpg").write_bytes(gnupg.export(key))
    authority = base64.b64encode(AUTHORITY.cert_pem.bytes()).decode()
    config = {
        "current-context": "mine",
        "contexts": [{"name": "mine", "context": {"cluster": "here", "user": "me"}}],
        "clusters": [
            {
                "name": "here",
                "cluster": {"server": cluster.url, "certificate-authority-data": authority},
            }
        ],
        "users": [{"name": "me", "user": {"token": TOKEN}}],
    }
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(config))
    signed = {"type": "signedBy", "keyType": "GPGKeys", "keyPath": str(tmp_path / "keys.gpg")}
    anything = [{"type": "insecureAcceptAnything"}]
    scopes = {f"{cluster.registry.host}/tests": [signed]}
    policy = {
        "default": [{"type": "reject"}],
        "transports": {"oci": {"": anything}, "atomic": scopes, "docker": scopes},
    }
    (tmp_path / "policy.json").write_text(json.dumps(policy))

    def get(name: str) -> servers.Client:
        client = clients(name)
        command = [word for word in client.command if word != "--insecure-policy"]
        environment = {
            **client.environment,
            "KUBECONFIG": str(kubeconfig),
            "GNUPGHOME": str(gnupg.home),
        }
        return servers.Client(
            (*command, "--policy", str(tmp_path / "policy.json")), client.home, environment
        )

    return get


@pytest.fixture
def target(cluster: FakeOpenShift, repository: str) -> str:
    """The tag of an image stream that only this test uses."""
    return f"atomic:{cluster.registry.host}/{repository}:app"


@pytest.mark.parametrize("name", NAMES)
def test_signed_image_is_stored_and_accepted_by_the_policy(
    tmp_path: Path,
    program: Callable[[str], servers.Client],
    cluster: FakeOpenShift,
    key: str,
    target: str,
    name: str,
):
    tls = "--dest-tls-verify=false"
    options = ("--sign-by", key, tls)
    client = program(name)
    client.ok("copy", *options, "oci:in:app", target, cwd=tmp_path)
    (stored,) = cluster.signatures[IMAGE.digest]
    client.ok("copy", "--src-tls-verify=false", target, "dir:out", cwd=tmp_path)
    manifest = (tmp_path / "out/manifest.json").read_bytes()
    assert manifest == IMAGE.root.data
    signature = (tmp_path / "out/signature-1").read_bytes()
    assert base64.b64encode(signature).decode() == stored["content"]


@pytest.mark.parametrize("name", NAMES)
def test_unsigned_image_is_rejected_by_a_policy_of_the_namespace(
    tmp_path: Path, program: Callable[[str], servers.Client], target: str, name: str
):
    client = program(name)
    client.ok("copy", "--dest-tls-verify=false", "oci:in:app", target, cwd=tmp_path)
    copied = client("copy", "--src-tls-verify=false", target, "dir:out", cwd=tmp_path)
    assert copied.returncode in (1, 4)
    assert "signature" in copied.stderr
    assert not (tmp_path / "out/manifest.json").exists()


def test_signatures_of_an_image_stream_travel_in_a_bundle(
    tmp_path: Path,
    program: Callable[[str], servers.Client],
    cluster: FakeOpenShift,
    key: str,
    target: str,
):
    client = program("airbundle")
    tls = "--dest-tls-verify=false"
    client.ok("copy", "--sign-by", key, tls, "oci:in:app", target, cwd=tmp_path)
    registries = json.dumps({cluster.registry.host: {"tls": {"verify": False}}})
    (tmp_path / "stream.yaml").write_text(f"registries: {registries}\nimages: ['{target}']\n")
    client.ok("export", "--unsigned", "stream.yaml", "bundle", cwd=tmp_path)
    reason = ("--allow-unsigned", "--reason", "test")
    client.ok("import", *reason, "bundle", "dir:inside", cwd=tmp_path)
    (signature,) = (tmp_path / "inside").rglob("signature-1")
    (stored,) = cluster.signatures.pop(IMAGE.digest)
    assert base64.b64encode(signature.read_bytes()).decode() == stored["content"]
    options = (*reason, "--tls-verify=false")
    client.ok("import", *options, "bundle", f"atomic:{cluster.registry.host}", cwd=tmp_path)
    (again,) = cluster.signatures[IMAGE.digest]
    assert again["content"] == stored["content"]
    client.ok("copy", "--src-tls-verify=false", target, "dir:accepted", cwd=tmp_path)
