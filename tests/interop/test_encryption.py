"""Airbundle decrypts layers that Skopeo encrypted, and the reverse, with each protocol."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tempfile

import pytest

from bundler.oci.descriptor import Descriptor
from bundler.oci.digest import Digest
from bundler.trust.ocicrypt import recipients
from tests.fakes import images

SUFFIX = "+encrypted"
LAYER = images.layer({"secret": os.urandom(1_500_000)})
PLAIN = images.image(LAYER)

# A recipient, and the keys with which Skopeo and airbundle decrypt layers for it.
PROTOCOLS = {
    "jwe, RSA": ("jwe:rsa.pub", ["rsa.key"]),
    "jwe, elliptic curve": ("jwe:ec.pub", ["ec.key"]),
    "pkcs7": ("pkcs7:rsa.crt", ["rsa.key", "rsa.crt"]),
    "pgp": ("pgp:reader@example.com", ["pgp.key"]),
}
every_protocol = pytest.mark.parametrize(
    ("recipient", "names"), list(PROTOCOLS.values()), ids=list(PROTOCOLS)
)


@pytest.fixture
def keys(tmp_path, skopeo, monkeypatch):
    """A working directory with key files, and a gpg that holds the private key of one."""
    home = tmp_path / "keys"
    home.mkdir()
    monkeypatch.chdir(home)
    gnupg = skopeo.home / ".gnupg"
    gnupg.mkdir(mode=0o700)
    agents = tempfile.mkdtemp(prefix="gpg-")  # the path of an agent's socket must be short
    monkeypatch.setenv("GNUPGHOME", agents)

    def run(command, *more):
        subprocess.run([*command.split(), *more], check=True, capture_output=True)

    run("openssl genrsa -out rsa.key 2048")
    run("openssl rsa -in rsa.key -pubout -out rsa.pub")
    run("openssl req -new -x509 -key rsa.key -subj /CN=reader -out rsa.crt")
    run("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.key")
    run("openssl ec -in ec.key -pubout -out ec.pub")
    gpg = (
        "gpg --batch --pinentry-mode loopback --passphrase",
        "",
    )  # Skopeo 1.9 does not accept a password
    run(*gpg, "--quick-gen-key", "Reader <reader@example.com>", "rsa2048", "sign", "never")
    listed = subprocess.run(
        ["gpg", "--list-keys", "--with-colons"], capture_output=True, check=True
    )
    line = next(line for line in listed.stdout.decode().splitlines() if line.startswith("fpr"))
    run(*gpg, "--quick-add-key", line.split(":")[9], "rsa2048", "encr", "never")
    run("gpg --batch --export-secret-keys --output pgp.key")
    run("gpg --export --output", str(gnupg / "pubring.gpg"))  # the key ring that ocicrypt reads
    yield home
    run("gpgconf --kill all")
    shutil.rmtree(agents, ignore_errors=True)


@every_protocol
def test_airbundle_decrypts_layers_of_skopeo(keys, skopeo, tmp_path, recipient, names):
    images.write_layout(tmp_path / "plain", {"1": PLAIN})
    flags = ("--encryption-key", recipient)
    skopeo.ok("copy", *flags, f"oci:{tmp_path}/plain:1", f"oci:{tmp_path}/encrypted:1", cwd=keys)
    blobs = tmp_path / "encrypted" / "blobs" / "sha256"
    index = json.loads((tmp_path / "encrypted" / "index.json").read_bytes())
    manifest = json.loads((blobs / index["manifests"][0]["digest"][7:]).read_bytes())
    [layer] = manifest["layers"]
    assert layer["mediaType"].endswith(SUFFIX)
    sealed = (blobs / layer["digest"][7:]).read_bytes()
    descriptor = Descriptor(
        layer["mediaType"], Digest(layer["digest"]), layer["size"], annotations=layer["annotations"]
    )
    opened = recipients.create_decryptor(names)(io.BytesIO(sealed), descriptor).read()
    assert opened == LAYER.blob.data


@every_protocol
def test_skopeo_decrypts_layers_of_airbundle(keys, skopeo, tmp_path, recipient, names):
    stream = recipients.create_encryptor([recipient])(io.BytesIO(LAYER.blob.data), None)
    blob = images.Blob(LAYER.blob.media_type + SUFFIX, stream.read())
    config = PLAIN.blobs[0]
    body = {
        "schemaVersion": 2,
        "mediaType": images.OCI["manifest"],
        "config": config.descriptor(),
        "layers": [blob.descriptor(annotations=dict(stream.annotations()))],
    }
    root = images.Blob(images.OCI["manifest"], images.dump(body))
    images.write_layout(tmp_path / "sealed", {"1": images.Image(root, (config, blob))})
    flags = [flag for name in names for flag in ("--decryption-key", name)]
    skopeo.ok("copy", *flags, f"oci:{tmp_path}/sealed:1", f"dir:{tmp_path}/opened", cwd=keys)
    opened = tmp_path / "opened" / LAYER.blob.digest.removeprefix("sha256:")
    assert opened.read_bytes() == LAYER.blob.data
