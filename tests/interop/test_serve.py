"""Real clients pull images from bundles that are served without an import."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
import trustme

from tests.fakes import images
from tests.interop import engines, servers
from tests.interop.serving import Serving, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def serving(airbundle: servers.Client, bundle: Path, keys: Path) -> Iterator[Serving]:
    with serve(airbundle, bundle, "--key", keys / "ours.pub") as running:
        yield running


def test_podman_pulls(serving: Serving):
    with engines.podman() as podman:
        for name, image in serving.images.items():
            reference = f"{serving.host}/{name}"
            podman.ok("pull", "--quiet", "--tls-verify=false", reference)
            digests = podman.ok("image", "inspect", reference, "--format", "{{.RepoDigests}}")
            assert image["digest"] in digests


@pytest.mark.kernel("root")
def test_containerd_pulls(serving: Serving):
    with engines.containerd() as ctr:
        for name, image in serving.images.items():
            reference = f"{serving.host}/{name}"
            ctr.ok("images", "pull", "--plain-http", "--snapshotter", "native", reference)
            assert image["digest"] in ctr.ok("images", "ls")


def test_skopeo_copies(serving: Serving, skopeo: servers.Client, layout: Path, tmp_path: Path):
    for name in serving.images:
        source = f"docker://{serving.host}/{name}"
        skopeo.ok("copy", "--all", "--src-tls-verify=false", source, f"dir:{tmp_path / name}")
        tags = skopeo.ok("list-tags", "--tls-verify=false", source.rpartition(":")[0])
        assert json.loads(tags)["Tags"] == ["1"]


def test_airbundle_exports_with_referrers(airbundle: servers.Client, keys: Path, tmp_path: Path):
    """A bundle of a bundle has the same images, signatures and attestations."""
    app = images.image()
    sbom = images.artifact("application/vnd.example.sbom", b"packages", subject=app)
    tag, signature = images.cosign_signature(app)
    with servers.registry(tmp_path / "registry") as registry:
        images.push(registry.host, "app", app, "1")
        images.push(registry.host, "app", signature, tag)
        images.push(registry.host, "app", images.index(sbom), app.digest.replace(":", "-"))
        first = export(airbundle, registry.host, tmp_path / "first", keys)
    with serve(airbundle, first, "--key", keys / "ours.pub") as serving:
        second = export(airbundle, serving.host, tmp_path / "second", keys)
    (before,), (after,) = (
        json.loads((b / "bundle.json").read_text())["images"] for b in (first, second)
    )
    assert before["digest"] == after["digest"] == app.digest
    found = [{item["digest"] for item in image["referrers"]} for image in (before, after)]
    assert found == [{sbom.digest, signature.digest}] * 2


@pytest.mark.skipif(shutil.which("conformance") is None, reason="no conformance suite")
def test_conformance_suite_passes(airbundle: servers.Client, keys: Path, tmp_path: Path):
    """Pull and discovery pass the suite of the distribution specification.

    https://github.com/opencontainers/distribution-spec/tree/main/conformance, which ``go build``
    compiles to the program ``conformance``.
    """
    app = images.image(images.layer({"a": b"b"}))
    sbom = images.artifact("application/vnd.example.sbom", b"packages", subject=app)
    with servers.registry(tmp_path / "registry") as registry:
        images.push(registry.host, "app", app, "1")
        images.push(registry.host, "app", images.index(sbom), app.digest.replace(":", "-"))
        bundle = export(airbundle, registry.host, tmp_path / "bundle", keys)
    with serve(airbundle, bundle, "--key", keys / "ours.pub") as serving:
        settings = {
            "OCI_REGISTRY": serving.host,
            "OCI_REPO1": "app",
            "OCI_TLS": "disabled",
            "OCI_RO_DATA_TAGS": "1",
            "OCI_RO_DATA_MANIFESTS": f"{app.digest} {sbom.digest}",
            "OCI_RO_DATA_BLOBS": " ".join(blob.digest for blob in (*app.blobs, *sbom.blobs)),
            "OCI_RO_DATA_REFERRERS": app.digest,
            "OCI_RESULTS_DIR": str(tmp_path / "results"),
        }
        writing = ("PUSH", "BLOBS_DELETE", "MANIFESTS_DELETE", "TAGS_DELETE")
        settings |= {f"OCI_API_{name}": "false" for name in writing}
        result = subprocess.run(
            ["conformance"],
            env=airbundle.env() | settings,
            capture_output=True,
            text=True,
            check=False,
        )
    lines = [" ".join(line.replace(".", "").split()) for line in result.stdout.splitlines()]
    assert "OCI Conformance Result: Pass" in lines
    assert not [line for line in lines if re.fullmatch(r"(FAIL|Error|Skip): [1-9]\d*", line)]
    for api in ("Tag listing", "Blob get", "Manifest get by tag", "Referrers"):
        assert f"{api}: Pass" in lines


def export(airbundle: servers.Client, host: str, bundle: Path, keys: Path) -> Path:
    manifest = bundle.with_suffix(".yaml")
    manifest.write_text(
        f"name: again\nregistries: {{'{host}': {{tls: {{plainHttp: true}}}}}}\n"
        f"images: [{host}/app:1]\n"
    )
    airbundle.ok("export", manifest, bundle, "--sign-key", keys / "ours.key")
    return bundle


def test_clients_log_in_over_tls(
    airbundle: servers.Client, skopeo: servers.Client, bundle: Path, keys: Path, tmp_path: Path
):
    authority, folder = trustme.CA(), tmp_path / "tls"
    folder.mkdir()
    certificate = authority.issue_cert("127.0.0.1")
    (folder / "server.pem").write_bytes(b"".join(x.bytes() for x in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(str(folder / "server.key"))
    (tmp_path / "ca").mkdir()
    authority.cert_pem.write_to_path(str(tmp_path / "ca/ca.crt"))
    htpasswd = servers.Client((servers.program("htpasswd"),), tmp_path)
    (folder / "users").write_text(htpasswd.ok("-Bbn", "alice", "correct horse"))
    options = ("--tls-cert", folder / "server.pem", "--tls-key", folder / "server.key")
    options += ("--htpasswd", folder / "users", "--key", keys / "ours.pub")
    with serve(airbundle, bundle, *options) as serving:
        name = next(iter(serving.images))
        source = f"docker://{serving.host}/{name}"
        access = ("--cert-dir", tmp_path / "ca")
        for client in (skopeo, airbundle):
            assert client("inspect", *access, "--creds", "alice:wrong", source).returncode != 0
            assert client("inspect", *access, source).returncode != 0
            client.ok("inspect", *access, "--creds", "alice:correct horse", source)
        with engines.podman() as podman:
            creds = ("--creds", "alice:correct horse")
            podman.ok("pull", "--quiet", *access, *creds, f"{serving.host}/{name}")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_server_ends_successfully_at_a_signal(serving: Serving, number: signal.Signals):
    serving.process.send_signal(number)
    assert serving.process.wait(10) == 0
