"""``copy`` and ``sync`` with sigstore signatures, and ``generate-sigstore-key``."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from bundler.oci import signature as signatures
from bundler.oci.signature import BUNDLE_ANNOTATION, CHAIN_ANNOTATION
from bundler.trust.sigstore import keys
from bundler.trust.sigstore.attachments.attachment import (
    SigstoreKeys,
    TrustedFulcio,
    verify_attachment,
)
from bundler.trust.sigstore.certificates import Authority, OidcIdentity
from tests.fakes import images, sigstore as fake
from tests.fakes.registry import FakeRegistry

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import RunAirbundle

NAME = "registry.example.org/app:1"
PASSPHRASE = "marked-secret-passphrase"


@pytest.fixture
def workspace(tmp_path: Path, run_airbundle: RunAirbundle) -> Path:
    """A directory with a layout, a directory of images, and a key pair."""
    index = images.multi_platform("app", "linux/amd64", "linux/arm64")
    images.write_layout(tmp_path / "in", {"app": index})
    (tmp_path / "pass").write_text(f"{PASSPHRASE}\n")
    created = run_airbundle(
        "generate-sigstore-key", "--output-prefix", "site", "--passphrase-file", "pass"
    )
    assert created.status == 0
    return tmp_path


def read_signatures(directory: Path) -> dict[str, tuple[bytes, signatures.SigstoreSignature]]:
    """Return the manifest and the signature of each signed manifest of a ``dir:`` image."""
    found = {}
    for path in directory.glob("*signature-1"):
        stem = path.name.removesuffix("signature-1").removesuffix(".")
        manifest = directory / (f"{stem}.manifest.json" if stem else "manifest.json")
        signature = signatures.parse(path.read_bytes())
        assert isinstance(signature, signatures.SigstoreSignature)
        found[stem] = (manifest.read_bytes(), signature)
    return found


def verify_all(directory: Path, trust) -> set[str]:
    now = datetime.now(UTC)
    return {
        verify_attachment(signature, trust, manifest, now).payload.reference
        for manifest, signature in read_signatures(directory).values()
    }


def trusted_key(path: Path) -> SigstoreKeys:
    return SigstoreKeys((keys.parse_public_key(path.read_bytes(), str(path)),))


KEY_FLAGS = ("--sign-by-sigstore-private-key", "site.private", "--sign-passphrase-file", "pass")


@pytest.mark.parametrize("frontend", [[], ["--as", "skopeo", "--insecure-policy"]])
def test_copy_signs_index_and_images(workspace, run_airbundle, frontend):
    copied = run_airbundle(
        *frontend, "copy", "--all", *KEY_FLAGS, "--sign-identity", NAME, "oci:in:app", "dir:out"
    )
    assert copied.status == 0
    assert len(read_signatures(workspace / "out")) == 3
    assert verify_all(workspace / "out", trusted_key(workspace / "site.pub")) == {NAME}


def test_name_at_destination_is_signed_by_default(workspace, run_airbundle):
    refused = run_airbundle("copy", *KEY_FLAGS, "oci:in:app", "dir:out")
    assert refused.status == 2
    assert "--sign-identity" in refused.stderr
    assert not (workspace / "out").exists()


@pytest.mark.parametrize(
    "identity", ["app:1", "registry.example.org/app", "registry.example.org/APP:1", ""]
)
def test_incomplete_identity_is_refused(workspace, run_airbundle, identity):
    arguments = (*KEY_FLAGS, "--sign-identity", identity, "oci:in:app", "dir:out")
    refused = run_airbundle("copy", *arguments)
    assert refused.status == 2
    assert not (workspace / "out").exists()


def test_skopeo_requires_canonical_identity(workspace, run_airbundle):
    arguments = (*KEY_FLAGS, "--sign-identity", "app:1", "oci:in:app", "dir:out")
    refused = run_airbundle("--as", "skopeo", "--insecure-policy", "copy", *arguments)
    assert refused.status == 1
    assert "Could not parse --sign-identity: repository name must be canonical" in refused.stderr


@pytest.mark.parametrize("frontend", [[], ["--as", "skopeo", "--insecure-policy"]])
def test_wrong_passphrase_is_refused_before_anything_is_copied(workspace, run_airbundle, frontend):
    (workspace / "pass").write_text("another-marked-secret\n")
    refused = run_airbundle(
        *frontend, "copy", *KEY_FLAGS, "--sign-identity", NAME, "oci:in:app", "dir:out"
    )
    assert refused.status != 0
    assert "marked-secret" not in refused.stdout + refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not (workspace / "out").exists()


def test_passphrase_cannot_be_prompted_for_without_terminal(workspace, run_airbundle):
    arguments = (*KEY_FLAGS[:2], "--sign-identity", NAME, "oci:in:app", "dir:out")
    refused = run_airbundle("copy", *arguments)
    assert refused.status == 2
    assert "--sign-passphrase-file" in refused.stderr
    skopeo = run_airbundle("--as", "skopeo", "--insecure-policy", "copy", *arguments)
    assert skopeo.status == 1
    assert (
        "Cannot prompt for a passphrase for key site.private, standard input is not a TTY"
        in skopeo.stderr
    )


def test_destination_that_cannot_store_signatures_is_refused(workspace, run_airbundle):
    arguments = (*KEY_FLAGS, "--sign-identity", NAME, "oci:in:app", "oci:out:app")
    refused = run_airbundle("copy", *arguments)
    assert refused.status == 1
    assert "cannot store signatures" in refused.stderr


def write_parameters(workspace: Path, text: str) -> tuple[str, str]:
    (workspace / "params.yaml").write_text(text)
    return "--sign-by-sigstore", "params.yaml"


def test_signature_by_fulcio_is_recorded_and_verifies(workspace, run_airbundle):
    with fake.FakeServices() as services:
        token = fake.create_token()
        flags = write_parameters(
            workspace,
            f"fulcio:\n  fulcioURL: {services.url}\n  oidcMode: staticToken\n"
            f"  oidcIDToken: {token}\nrekorURL: {services.url}\n",
        )
        copied = run_airbundle("copy", *flags, "--sign-identity", NAME, "oci:in:app", "dir:out")
        assert copied.status == 0
        paths = [path for _, path, _ in services.requests]
        assert paths == ["/api/v1/signingCert", *["/api/v1/log/entries"] * 3]
        trust = TrustedFulcio(
            Authority((services.fulcio.root,)),
            OidcIdentity(fake.ISSUER, fake.EMAIL),
            (keys.accept_public_key(services.log.key.public_key(), "log"),),
        )
    assert verify_all(workspace / "out", trust) == {NAME}
    for _, signature in read_signatures(workspace / "out").values():
        assert CHAIN_ANNOTATION in signature.annotations


def test_signature_by_key_of_parameter_file_is_recorded(workspace, run_airbundle):
    with fake.FakeServices() as services:
        flags = write_parameters(
            workspace,
            "privateKeyFile: site.private\nprivateKeyPassphraseFile: pass\n"
            f"rekorURL: {services.url}/\n",
        )
        copied = run_airbundle(
            "--as", "skopeo", "--insecure-policy", "copy", *flags, "--sign-identity", NAME,
            "oci:in:app", "dir:out",
        )  # fmt: skip
        assert copied.status == 0
        log = (keys.accept_public_key(services.log.key.public_key(), "log"),)
    trust = SigstoreKeys(trusted_key(workspace / "site.pub").keys, log)
    assert verify_all(workspace / "out", trust) == {NAME}
    ((_, signature),) = read_signatures(workspace / "out").values()
    assert BUNDLE_ANNOTATION in signature.annotations


def test_refusal_of_service_stops_copy_without_publishing(workspace, run_airbundle):
    with fake.FakeServices() as services:
        services.failures.append((403, b'{"message":"no"}'))
        token = fake.create_token()
        flags = write_parameters(
            workspace,
            f"fulcio: {{fulcioURL: '{services.url}', oidcMode: staticToken, oidcIDToken: {token}}}",
        )
        refused = run_airbundle("copy", *flags, "--sign-identity", NAME, "oci:in:app", "dir:out")
    assert refused.status == 1
    assert "HTTP status 403: no" in refused.stderr
    assert token not in refused.stderr
    assert not (workspace / "out" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "expected either privateKeyFile or fulcio"),
        ("privateKeyFile: a\nfulcio: {}\n", "expected either privateKeyFile or fulcio"),
        ("privateKeyFile: a\nprivateKeyFile: b\n", "params.yaml"),
        ("privatekeyfile: a\n", "unknown key 'privatekeyfile'"),
        ("privateKeyFile: a\nrekorURL: ftp://x\n", "rekorURL is not an http or https URL"),
        ("privateKeyFile: a\nrekorURL: http://u:marked@x\n", "rekorURL is not"),
        ("fulcio: {oidcMode: staticToken}\n", "fulcioURL is missing"),
        ("fulcio: {fulcioURL: 'https://f'}\n", "oidcMode is missing"),
        ("fulcio: {fulcioURL: 'https://f', oidcMode: staticToken}\n", "oidcIDToken is missing"),
        ("fulcio: {fulcioURL: 'https://f', oidcMode: other}\n", "unknown oidcMode 'other'"),
        (
            "fulcio: {fulcioURL: 'https://f', oidcMode: staticToken, oidcIDToken: marked}\n",
            "not a JSON Web Token",
        ),
        ("fulcio: {fulcioURL: 'https://f', oidcMode: interactive}\n", "oidcClientID is missing"),
        (
            "fulcio: {fulcioURL: 'https://f', oidcMode: deviceGrant, oidcClientID: c}\n",
            "oidcIssuerURL is missing",
        ),
        ("[1]", "params.yaml"),
    ],
    ids=range(14),
)
def test_invalid_parameter_file_is_refused(workspace, run_airbundle, text, problem):
    flags = write_parameters(workspace, text)
    refused = run_airbundle("copy", *flags, "--sign-identity", NAME, "oci:in:app", "dir:out")
    assert refused.status == 2
    assert problem in refused.stderr
    assert "marked" not in refused.stderr


def test_sync_into_directory_has_no_name_to_sign(workspace, run_airbundle):
    synced = run_airbundle("sync", "--src", "oci", "--dest", "dir", *KEY_FLAGS, "in", "synced")
    assert synced.status == 2
    assert "no image name to sign" in synced.stderr


@pytest.mark.parametrize("frontend", [[], ["--as", "skopeo", "--insecure-policy"]])
def test_sync_signs_each_image_for_its_name(workspace, run_airbundle, frontend):
    for name in ("a", "b"):
        assert run_airbundle("copy", "oci:in:app", f"dir:images/{name}").status == 0
    (workspace / "signatures").mkdir()
    (workspace / "signatures" / "all.yaml").write_text(
        "default-docker: {use-sigstore-attachments: true}\n"
    )
    with FakeRegistry() as registry:
        synced = run_airbundle(
            *frontend, "--registries.d", "signatures", "sync", "--src", "dir", "--dest", "docker",
            "--dest-tls-verify=false", *KEY_FLAGS, "images", f"{registry.host}/site",
        )  # fmt: skip
        assert synced.status == 0
        for name in ("a", "b"):
            copied = run_airbundle(
                "--registries.d", "signatures", "copy", "--src-tls-verify=false",
                f"docker://{registry.host}/site/{name}:latest", f"dir:back-{name}",
            )  # fmt: skip
            assert copied.status == 0
            signed = verify_all(workspace / f"back-{name}", trusted_key(workspace / "site.pub"))
            assert signed == {f"{registry.host}/site/{name}:latest"}


# generate-sigstore-key


def test_generated_key_has_both_labels_read(workspace, run_airbundle):
    text = (workspace / "site.private").read_text()
    assert text.startswith("-----BEGIN ENCRYPTED COSIGN PRIVATE KEY-----\n")
    for label in ("COSIGN", "SIGSTORE"):
        renamed = text.replace("COSIGN", label).encode()
        key = keys.parse_private_key(renamed, PASSPHRASE.encode(), "key")
        assert key.public.to_pem() == (workspace / "site.pub").read_bytes()


def test_skopeo_generates_key_with_empty_passphrase(tmp_path, run_airbundle):
    created = run_airbundle(
        "--as", "skopeo", "generate-sigstore-key", "--output-prefix", "k", "--passphrase-file",
        "/dev/null",
    )  # fmt: skip
    assert created.status == 0
    assert created.stdout == 'Key written to "k.private" and "k.pub"\n'
    assert (tmp_path / "k.private").stat().st_mode & 0o777 == 0o600
    keys.parse_private_key((tmp_path / "k.private").read_bytes(), b"", "k.private")


def test_skopeo_keeps_carriage_return_of_passphrase(tmp_path, run_airbundle):
    (tmp_path / "crlf").write_bytes(b"word\r\nmore\r\n")
    run_airbundle(
        "--as", "skopeo", "generate-sigstore-key", "--output-prefix", "k", "--passphrase-file",
        "crlf",
    )  # fmt: skip
    keys.parse_private_key((tmp_path / "k.private").read_bytes(), b"word\r", "k.private")


@pytest.mark.parametrize("end", ["pub", "private"])
def test_existing_key_is_not_overwritten(tmp_path, run_airbundle, end):
    (tmp_path / f"k.{end}").write_text("mine")
    arguments = ("generate-sigstore-key", "--output-prefix", "k", "--passphrase-file", "/dev/null")
    native = run_airbundle(*arguments)
    assert native.status == 10
    skopeo = run_airbundle("--as", "skopeo", *arguments)
    assert skopeo.status == 1
    message = skopeo.stderr.partition("msg=")[2]
    assert json.loads(message) == f'Refusing to overwrite existing "k.{end}"'
    assert [path.read_text() for path in tmp_path.glob("k.*")] == ["mine"]


@pytest.mark.parametrize("arguments", [[], ["--output-prefix", "k", "more"]])
def test_skopeo_states_usage_of_generate(run_airbundle, arguments):
    refused = run_airbundle("--as", "skopeo", "generate-sigstore-key", *arguments)
    assert refused.status == 1
    assert "Usage: generate-sigstore-key --output-prefix PREFIX" in refused.stderr


def test_payload_states_creator_and_time(workspace, run_airbundle):
    run_airbundle("copy", *KEY_FLAGS, "--sign-identity", NAME, "oci:in:app", "dir:out")
    raw = (workspace / "out" / "signature-1").read_bytes()
    document = json.loads(raw.partition(b"\n")[2])
    payload = json.loads(base64.b64decode(document["payload"]))
    assert payload["optional"]["creator"].startswith("airbundle ")
    assert abs(payload["optional"]["timestamp"] - datetime.now(UTC).timestamp()) < 600
